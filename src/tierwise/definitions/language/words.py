"""What things are called, and the words sentences are made of: each in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from tierwise.definitions.streams import BUILT_IN, REFERENCE_TABLES, Stream

__all__ = [
    "CALENDAR",
    "NEGATED",
    "SIGNS",
    "WINDOWS",
    "WORDS",
    "Labels",
    "Language",
    "duration_text",
    "number_text",
    "ordinal",
    "singular",
    "span_text",
]

Language = Literal["zh", "en"]
_Words = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Labels:
    """What people call things: name → language → label; where a label is absent, the name with spaces.

    Tiers are named ``tiering.tier``, columns ``stream.column``, columns of a lookup ``lookup.column``. `units` of tags,
    attributes and parameters stand behind the numbers they are compared with. The streams in `known` give the Chinese
    labels of streams and columns that are not labelled here.

    Example:
        >>> names = Labels(tags={"spend_365d": {"zh": "近一年消费", "en": "spend, last year"}})
        >>> names.text("tags", "spend_365d", "zh"), names.text("tags", "orders_365d", "zh")
        ('近一年消费', 'orders 365d')
        >>> names.text("columns", "orders.amount", "zh"), names.text("columns", "orders.amount", "en")
        ('实付金额', 'amount')
    """

    tags: _Words = field(default_factory=dict)
    attributes: _Words = field(default_factory=dict)
    segments: _Words = field(default_factory=dict)
    tierings: _Words = field(default_factory=dict)
    tiers: _Words = field(default_factory=dict)
    columns: _Words = field(default_factory=dict)
    parameters: _Words = field(default_factory=dict)
    lookups: _Words = field(default_factory=dict)
    streams: _Words = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, Stream] = field(default_factory=lambda: BUILT_IN)

    def text(self, of: str, name: str, language: Language) -> str:
        """Return what a thing is called; `of` is the plural of what it is (``tags``, ``tiers`` …)."""
        words: _Words = getattr(self, of)
        found = words.get(name, {})
        plain = (name.partition(".")[2] if of in ("tiers", "columns") else name).replace("_", " ")
        return found.get(language) or self._own(of, name, language) or next(filter(None, found.values()), "") or plain

    def _own(self, of: str, name: str, language: Language) -> str:
        """Return the Chinese label that comes with a stream, a column or an attribute."""
        if language != "zh":
            return ""
        if of == "streams":
            return self.known[name].label if name in self.known else ""
        if of not in ("columns", "attributes"):
            return ""
        table, _, column = name.rpartition(".")
        if table and column == "time":
            return "时间"
        own = [self.known[table]] if table in self.known else []
        tables = [*own, REFERENCE_TABLES["products"], REFERENCE_TABLES["stores"]]
        for stream in tables if table else [REFERENCE_TABLES["customers"]]:
            if (found := stream.column(column)) and found.label:
                return found.label
        return ""


#: Operators as signs.
SIGNS: Final = MappingProxyType(
    {"+": "+", "-": "−", "*": "×", "/": "÷", "==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}
)

#: Key → (Chinese, English); `{0}` is what it is about.
WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "and": ("，且", ", and"),
        "or": ("，或", ", or"),
        "not": ("并非", "not"),
        "list": ("、", ", "),
        "unknown": ("（含缺失）", " (or unknown)"),
        "missing": ("{0} 缺失", "{0} is unknown"),
        "present": ("{0} 有值", "{0} is known"),
        # numbers, truths and columns; texts, booleans and tiers; dates and instants
        "==": ("=", "equals"),
        "!=": ("≠", "does not equal"),
        "<": ("<", "is less than"),
        "<=": ("≤", "is at most"),
        ">": (">", "is more than"),
        ">=": ("≥", "is at least"),
        "named ==": ("是", "is"),
        "named !=": ("不是", "is not"),
        "time ==": ("是", "is"),
        "time !=": ("不是", "is not"),
        "time <": ("早于", "is before"),
        "time <=": ("不晚于", "is on or before"),
        "time >": ("晚于", "is after"),
        "time >=": ("不早于", "is on or after"),
        "in": ("{0} 是 {1} 之一", "{0} is one of ({1})"),
        "not_in": ("{0} 不是 {1} 之一", "{0} is none of ({1})"),
        "in list": ("{0} 在 {1} 之中", "{0} is in {1}"),
        "not_in list": ("{0} 不在 {1} 之中", "{0} is not in {1}"),
        "below": ("{{x}}低于平均", "{{x}} is below the mean"),
        # values
        "True": ("真", "true"),
        "False": ("假", "false"),
        "as_of": ("计算时刻", "the moment of the answer"),
        "parameter": ("参数{0}", "the parameter {0}"),
        "customer": ("客户的{0}", "the customer's {0}"),
        "file": ("「{0}」列", 'the column "{0}"'),
        "place": ("{0}名", "{0}"),
        # what was recorded
        "behind was_tier.within": ("近{0}内", "in the last {0}"),
        "behind entered.tier": ("{0}", "{0}"),
        "behind entered.within": ("近{0}内", "in the last {0}"),
        "behind left.tier": ("{0}", "{0}"),
        "behind left.within": ("近{0}内", "in the last {0}"),
        # case
        "if": ("若 {0} 则 {1}", "{1} if {0}"),
        "otherwise": ("否则 {0}", "otherwise {0}"),
        "then": ("；", "; "),
        # steps
        "next": ("，之后有", ", then "),
        "behind followed.within": ("首尾相隔不超过{0}", "within {0}"),
        "behind followed.gap": ("相邻相隔不超过{0}", "at most {0} apart"),
        "behind followed.same": ("{0}相同", "the same {0}"),
        "behind followed.without": ("其间没有{0}", "without {0}"),
        # rows
        "latest": ("最近{0}条{1}", "the latest {0} {1}"),
        "window within": ("近{0}内", "in the last {0}"),
        "window within other": ("近{0}内", "within {0}"),
        "window ago": ("{0}前", "{0} ago"),
        "window on": ("{0}", "{0}"),
        "window since": ("{0}之后", "after {0}"),
        "window since day": ("自{0}起", "from {0} on"),
        "window until": ("截至{0}", "up to {0}"),
        # options that no template has a place for, in a bracket behind
        "behind by": ("同{0}内", "within the same {0}"),
        "behind among": ("限{0}的客户", "among customers with {0}"),
        "behind best": ("{0}", "{0}"),
        "best low": ("低者为优", "lowest is best"),
        "best high": ("高者为优", "highest is best"),
        "behind anniversary.calendar": ("按{0}", "by the {0} calendar"),
        "era lunar": ("农历", "lunar"),
        "era solar": ("公历", "solar"),
        "behind group_count.x": ("限{0}的客户", "among customers with {0}"),
        "behind top.by": ("按{0}", "by {0}"),
        "behind top.n": ("取前{0}个", "the first {0}"),
    }
)

#: Functions that have a negative form of their own; those about a text say that a missing one passes too.
NEGATED: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "exists": ("没有{stream}", "has no {stream}"),
        "followed": ("没有依次有{step}", "does not have {step}"),
        "contains": ("{x}不包含{part}（含缺失）", "{x} does not contain {part} (or unknown)"),
        "startswith": ("{x}不以{start}开头（含缺失）", "{x} does not start with {start} (or unknown)"),
        "matches": ("{x}不匹配{pattern}（含缺失）", "{x} does not match {pattern} (or unknown)"),
        "segment": ("不属于「{segment}」分群", "is not in the segment {segment}"),
        "at_least": ("所在{tiering}低于{tier}", "tier in {tiering} is below {tier}"),
    }
)

#: The options of a call over a stream that say when.
WINDOWS: Final = ("within", "ago", "on", "since", "until")

#: The calendar words of ``on=``, in Chinese.
CALENDAR: Final[Mapping[str, str]] = MappingProxyType(
    {
        "today": "今天",
        "yesterday": "昨天",
        "this week": "本周",
        "last week": "上周",
        "this month": "本月",
        "last month": "上月",
        "this quarter": "本季度",
        "last quarter": "上季度",
        "this year": "今年",
        "last year": "去年",
        "same day last year": "去年同日",
        "same month last year": "去年同月（截至同日）",
        "same quarter last year": "去年同季（截至同日）",
        "last year to date": "去年（截至同日）",
    }
)

#: Units of lengths of time.
_UNITS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "m": ("分钟", "minute"),
        "h": ("小时", "hour"),
        "d": ("天", "day"),
        "w": ("周", "week"),
        "mo": ("个月", "month"),
        "y": ("年", "year"),
    }
)
_DIGITS: Final = "0123456789"


def duration_text(text: str, language: Language) -> str:
    """Return how a length of time reads.

    Example:
        >>> duration_text("3mo", "zh"), duration_text("1y", "en"), duration_text("2w", "en")
        ('3个月', '1 year', '2 weeks')
    """
    unit = text.lstrip(_DIGITS)
    count = int(text.removesuffix(unit))
    zh, en = _UNITS[unit]
    return f"{count}{zh}" if language == "zh" else f"{count} {en}{'' if count == 1 else 's'}"


def span_text(near: str, far: str, language: Language) -> str:
    """Return how the span between two lengths of time reads.

    Example:
        >>> span_text("30d", "90d", "zh"), span_text("3mo", "1y", "en")
        ('30~90天', '3 months to 1 year')
    """
    unit = near.lstrip(_DIGITS)
    first = str(int(near.removesuffix(unit))) if unit == far.lstrip(_DIGITS) else duration_text(near, language)
    return first + ("~" if language == "zh" else " to ") + duration_text(far, language)


def number_text(value: int | Decimal) -> str:
    """Return how a number reads: no zeros at its end, thousands set apart from 10,000 on.

    Example:
        >>> number_text(2026), number_text(Decimal("12345.50"))
        ('2026', '12,345.5')
    """
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return (f"{int(whole):,}" if len(whole) > 4 else whole) + (f".{fraction}" if fraction else "")


def ordinal(number: int) -> str:
    """Return an English ordinal.

    Example:
        >>> ordinal(1), ordinal(12), ordinal(23)
        ('1st', '12th', '23rd')
    """
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def singular(label: str) -> str:
    """Return what one row of a stream is called in English.

    Example:
        >>> singular("orders"), singular("activities")
        ('order', 'activity')
    """
    if label.endswith("ies"):
        return label[:-3] + "y"
    return label[:-1] if label.endswith("s") and not label.endswith("ss") else label
