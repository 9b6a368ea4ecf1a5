"""Tree to sentence: every expression as one plain sentence, in Chinese and in English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal as OneOf

from tierwise.definitions.language.functions import FUNCTIONS
from tierwise.definitions.language.nodes import (
    COMPARISONS, Call, Chain, Column, CustomerValue, Items, Literal, Name, Node, Op, Parameter, walk,
)  # fmt: skip
from tierwise.definitions.language.printer import quoted
from tierwise.definitions.language.times import parse_date, parse_duration, parse_instant, Zone
from tierwise.definitions.streams import BUILT_IN, REFERENCE_TABLES, Stream

__all__ = ["Labels", "Language", "SentencePart", "parts", "sentence"]

Language = OneOf["zh", "en"]
_Words = Mapping[str, Mapping[str, str]]
_NO_WORDS: Final[_Words] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Labels:
    """What people call things: name → language → label; where a label is absent, the name with spaces.

    Tiers are named ``tiering.tier``, columns ``stream.column``, columns of a lookup ``lookup.column``. `units` of tags,
    attributes and parameters stand behind the numbers they are compared with. `streams` give the Chinese labels of
    streams and columns that are not labelled here.

    Example:
        >>> names = Labels(tags={"spend_365d": {"zh": "近一年消费", "en": "spend, last year"}})
        >>> names.text("tags", "spend_365d", "zh"), names.text("tags", "orders_365d", "zh")
        ('近一年消费', 'orders 365d')
        >>> names.text("columns", "orders.amount", "zh"), names.text("columns", "orders.amount", "en")
        ('实付金额', 'amount')
    """

    tags: _Words = _NO_WORDS
    attributes: _Words = _NO_WORDS
    segments: _Words = _NO_WORDS
    tierings: _Words = _NO_WORDS
    tiers: _Words = _NO_WORDS
    columns: _Words = _NO_WORDS
    parameters: _Words = _NO_WORDS
    lookups: _Words = _NO_WORDS
    streams: Mapping[str, Stream] = field(default_factory=lambda: MappingProxyType(BUILT_IN))
    stream_labels: _Words = _NO_WORDS
    units: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def text(self, of: str, name: str, language: Language) -> str:
        """Return what a thing is called; `of` is the plural of what it is (``tags``, ``tiers`` …)."""
        words: _Words = getattr(self, "stream_labels" if of == "streams" else of)
        found = words.get(name, {})
        plain = name.rpartition(".")[2].replace("_", " ")
        return found.get(language) or self._own(of, name, language) or next(filter(None, found.values()), "") or plain

    def _own(self, of: str, name: str, language: Language) -> str:
        """Return the Chinese label that comes with a stream, a column or an attribute."""
        if language != "zh":
            return ""
        if of == "streams":
            return self.streams[name].label if name in self.streams else ""
        if of not in ("columns", "attributes"):
            return ""
        table, _, column = name.rpartition(".")
        if column == "time":
            return "时间"
        first = self.streams.get(table, REFERENCE_TABLES["customers"])
        tables = (first, REFERENCE_TABLES["products"], REFERENCE_TABLES["stores"]) if table else (first,)
        return next((found.label for t in tables if (found := t.column(column)) and found.label), "")


@dataclass(frozen=True, slots=True)
class SentencePart:
    """How one node reads, by its address in the tree."""

    address: str
    text: str


def sentence(node: Node, language: Language, names: Labels | None = None) -> str:
    """Return the expression as one sentence.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> tree = parse('exists(orders, where=amount > 100, within="30d") and city != "上海"')
        >>> sentence(tree, "zh")
        '近30天内有订单（实付金额 > 100），且 城市 不是 "上海"（含缺失）'
        >>> sentence(tree, "en")
        'has orders (amount is more than 100) in the last 30 days, and city is not "上海" (or unknown)'
    """
    return _Writer(language, names or Labels()).write(node, "")


def parts(node: Node, language: Language, names: Labels | None = None) -> list[SentencePart]:
    """Return how each node of the tree reads, parents first; the first part is the whole sentence.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> [(part.address, part.text) for part in parts(parse("kept and spend > 5"), "en")]
        [('', 'kept, and spend is more than 5'), ('args.0', 'kept'), ('args.1', 'spend is more than 5'),
         ('args.1.args.0', 'spend'), ('args.1.args.1', '5')]
    """
    writer = _Writer(language, names or Labels())
    writer.write(node, "")
    return [SentencePart(address, writer.found[address]) for address, _ in walk(node)]


# -- words ----------------------------------------------------------------------------------------------------------

_RANK: Final = {
    "or": 1, "and": 2, "not": 3, "+": 5, "-": 5, "*": 6, "/": 6, "neg": 7,
    **dict.fromkeys((*COMPARISONS, "in", "not_in", "missing", "present"), 4),
}  # fmt: skip
_SIGNS: Final = {"+": "+", "-": "−", "*": "×", "/": "÷", "==": "=", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_COMPARED: Final = {
    "zh": {**_SIGNS, "is": "是", "!=": "≠", "is not": "不是"},
    "en": {
        "==": "equals", "!=": "does not equal", "is": "is", "is not": "is not",
        "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least",
    },
}  # fmt: skip
_COMPARED_TIMES: Final = {
    "zh": {"<": "早于", "<=": "不晚于", ">": "晚于", ">=": "不早于", "==": "是", "!=": "不是"},
    "en": {"<": "is before", "<=": "is on or before", ">": "is after", ">=": "is on or after", "==": "is", "!=": "is not"},
}  # fmt: skip
#: Chinese and English of everything that is not a function's own template.
_WORDS: Final = {
    "zh": {
        "and": "，且 ", "or": "，或 ", "not": "并非 {0}", "true": "真", "false": "假", "as_of": "计算时刻", "unknown": "（含缺失）",
        "in": "{0} 是 {1} 之一", "not_in": "{0} 不是 {1} 之一", "in list": "{0} 在{1}之中", "not_in list": "{0} 不在{1}之中",
        "missing": "{0} 缺失", "present": "{0} 有值", "parameter": "参数{0}", "customer": "客户的{0}", "file": "「{0}」列",
        "list": "、", "if": "若 {0} 则 {1}", "otherwise": "否则 {0}", "then": "；", "latest": "最近{0}条{1}",
    },
    "en": {
        "and": ", and ", "or": ", or ", "not": "not {0}", "true": "true", "false": "false", "as_of": "the moment of the answer",
        "unknown": " (or unknown)", "in": "{0} is one of ({1})", "not_in": "{0} is none of ({1})", "in list": "{0} is in {1}",
        "not_in list": "{0} is not in {1}", "missing": "{0} is unknown", "present": "{0} is known", "parameter": "the parameter {0}",
        "customer": "the customer's {0}", "file": 'the column "{0}"', "list": ", ", "if": "{1} if {0}", "otherwise": "otherwise {0}",
        "then": "; ", "latest": "the latest {0} {1}",
    },
}  # fmt: skip
#: Functions that have a negative form of their own; the text tests say that a missing text passes too.
_NEGATED: Final = {
    "exists": {"zh": "没有{stream}", "en": "has no {stream}"},
    "contains": {"zh": "{x}不包含{part}（含缺失）", "en": "{x} does not contain {part} (or unknown)"},
    "startswith": {"zh": "{x}不以{start}开头（含缺失）", "en": "{x} does not start with {start} (or unknown)"},
    "matches": {"zh": "{x}不匹配{pattern}（含缺失）", "en": "{x} does not match {pattern} (or unknown)"},
    "segment": {"zh": "不属于「{segment}」分群", "en": "is not in the segment {segment}"},
    "at_least": {"zh": "所在{tiering}低于{tier}", "en": "tier in {tiering} is below {tier}"},
}
_BELOW: Final = {"zh": "{x}低于平均", "en": "{x} is below the mean"}
#: Options that no template has a place for, in the bracket behind.
_BEHIND: Final = {
    "zh": {"by": "同{0}内", "among": "限{0}的客户", "low": "低者为优", "high": "高者为优", "top.by": "按{0}", "top.n": "取前{0}个"},
    "en": {
        "by": "within the same {0}", "among": "among customers with {0}", "low": "lowest is best", "high": "highest is best",
        "top.by": "by {0}", "top.n": "the first {0}",
    },
}  # fmt: skip
_WINDOWS: Final = {
    "zh": {"within": "近{0}内", "ago": "{0}前", "since": "{0}之后", "since day": "自{0}起", "until": "截至{0}", "to": "~"},
    "en": {
        "within": "in the last {0}", "ago": "{0} ago", "since": "after {0}", "since day": "from {0} on", "until": "up to {0}",
        "to": " to ",
    },
}  # fmt: skip
_CALENDAR: Final = {
    "today": "今天", "yesterday": "昨天", "this week": "本周", "last week": "上周", "this month": "本月", "last month": "上月",
    "this quarter": "本季度", "last quarter": "上季度", "this year": "今年", "last year": "去年",
}  # fmt: skip
_UNITS: Final = {
    "m": ("分钟", "minute"), "h": ("小时", "hour"), "d": ("天", "day"), "w": ("周", "week"), "mo": ("个月", "month"), "y": ("年", "year"),
}  # fmt: skip
_UTC: Final = Zone("UTC")


# -- writing --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Writer:
    """One walk over one tree; `found` keeps how each node reads, by address.

    The `role` of a node is what is expected of it where it stands: it says how a literal reads.
    """

    language: Language
    names: Labels
    found: dict[str, str] = field(default_factory=dict)

    def write(self, node: Node, address: str, stream: str = "", role: str = "") -> str:
        text = self.found[address] = self._write(node, address, stream, role)
        return text

    def word(self, name: str, *values: str) -> str:
        return _WORDS[self.language][name].format(*values)

    def bracketed(self, text: str) -> str:
        return f"（{text}）" if self.language == "zh" else f"({text})"

    def _write(self, node: Node, address: str, stream: str, role: str) -> str:
        text = self.names.text
        match node:
            case Literal(value):
                return self.literal(value, role)
            case Items(items):
                return self.word("list").join(
                    self.inside(item, _under(address, f"items.{i}"), stream, role) for i, item in enumerate(items)
                )
            case Name("as_of") | Column("as_of"):
                return self.word("as_of")
            case Name(name):
                return text("tags" if name in self.names.tags else "attributes", name, self.language)
            case CustomerValue(name):
                of = "tags" if name in self.names.tags else "attributes"
                return self.word("customer", text(of, name, self.language))
            case Column(name):
                return text("columns", f"{stream}.{name}", self.language) if stream else self.word("file", name)
            case Parameter(name):
                return self.word("parameter", text("parameters", name, self.language))
            case Chain(ops, args):
                return self.chain(ops, args, address, stream)
            case Call():
                return self.call(node, address, stream, FUNCTIONS[node.function].sentence[self.language])
            case Op("and" | "or" as op, args):
                return self.word(op).join(self.operand(arg, i, address, stream, 3) for i, arg in enumerate(args))
            case Op("not", (operand,)):
                return self.negation(operand, address, stream)
            case Op("neg", (operand,)):
                return "−" + self.operand(operand, 0, address, stream, 7)
            case Op("missing" | "present" as op, (operand,)):
                return self.word(op, self.operand(operand, 0, address, stream, 5))
            case Op("in" | "not_in" as op, args):
                return self.membership(op, args, address, stream)
            case Op("+" | "-" | "*" | "/" as op, args):
                return self.arithmetic(op, args, address, stream)
            case Op(op, (left, right)):
                return self.comparison(op, left, right, address, stream)
        raise AssertionError(node)

    def operand(self, node: Node, index: int, address: str, stream: str, least: int, role: str = "") -> str:
        """Write an operand, in brackets where it binds more loosely than its place allows."""
        text = self.write(node, _under(address, f"args.{index}"), stream, role)
        return self.bracketed(text) if _rank(node) < least else text

    def inside(self, node: Node, address: str, stream: str, role: str = "") -> str:
        """Write a node inside a phrase, in brackets unless nothing around it could be read into it."""
        text = self.write(node, address, stream, role)
        return text if _is_bare(node) else self.bracketed(text)

    # -- operators --------------------------------------------------------------------------------------------------

    def negation(self, operand: Node, address: str, stream: str) -> str:
        under = _under(address, "args.0")
        text = self.write(operand, under, stream)
        if isinstance(operand, Call) and operand.function in _NEGATED:
            return self.call(operand, under, stream, _NEGATED[operand.function][self.language])
        plain = isinstance(operand, Literal | Name | Column | CustomerValue | Parameter)
        return self.word("not", text if plain else self.bracketed(text))

    def arithmetic(self, op: str, args: tuple[Node, ...], address: str, stream: str) -> str:
        rank = _RANK[op]
        written = []
        for i, arg in enumerate(args):
            first_of_own = i == 0 and not (op in "+*" and isinstance(arg, Op) and arg.op == op)
            role = "duration" if op in "+-" and i > 0 else ""
            written.append(self.operand(arg, i, address, stream, rank if first_of_own else rank + 1, role))
        return f" {_SIGNS[op]} ".join(written)

    def membership(self, op: str, args: tuple[Node, ...], address: str, stream: str) -> str:
        left = self.operand(args[0], 0, address, stream, 5)
        listed = isinstance(args[1], Items)
        right = self.operand(args[1], 1, address, stream, 8, self.role_beside(args[0]))
        return self.word(op if listed else f"{op} list", left, right) + (self.word("unknown") if op == "not_in" else "")

    def comparison(self, op: str, left: Node, right: Node, address: str, stream: str) -> str:
        roles = self.role_beside(right), self.role_beside(left)
        before = self.operand(left, 0, address, stream, 5, roles[0])
        after = self.operand(right, 1, address, stream, 5, roles[1])
        return f"{before} {self.compared(op, left, right)} {after}" + (self.word("unknown") if op == "!=" else "")

    def compared(self, op: str, left: Node, right: Node) -> str:
        """Return the words of a comparison, by what is compared."""
        if _is_time(left) or _is_time(right):
            return _COMPARED_TIMES[self.language][op]
        words = _COMPARED[self.language]
        named = any(
            (isinstance(node, Literal) and isinstance(node.value, str | bool)) or (isinstance(node, Call) and node.function == "tier")
            for node in (left, right)
        )
        return words[{"==": "is", "!=": "is not"}.get(op, op)] if named else words[op]

    def chain(self, ops: tuple[str, ...], args: tuple[Node, ...], address: str, stream: str) -> str:
        roles = [self.role_beside(args[1]), *(self.role_beside(arg) for arg in args[:-1])]
        if len(args) > 2 and not roles[1]:
            roles[1] = self.role_beside(args[2])
        written = [self.operand(arg, i, address, stream, 5, roles[i]) for i, arg in enumerate(args)]
        if self.language == "en" and len(args) == 3:
            first = self.compared(_TURNED[ops[0]], args[1], args[0])
            second = self.compared(ops[1], args[1], args[2]).removeprefix("is ")
            return f"{written[1]} {first} {written[0]} and {second} {written[2]}"
        rest = (f"{self.signed(op)} {text}" for op, text in zip(ops, written[1:], strict=True))
        return " ".join([written[0], *rest])

    def signed(self, op: str) -> str:
        return _SIGNS.get(op, "≠")

    def role_beside(self, node: Node) -> str:
        """Return how a literal that meets this node reads: a tier's label, a percentage, a number with a unit."""
        match node:
            case Call("tier", (Literal(str() as tiering), *_)):
                return f"tier {tiering}"
            case Call("share" | "percent_rank"):
                return "percent"
            case Name(name) | CustomerValue(name) | Parameter(name) if self.names.units.get(name):
                return f"unit {self.names.units[name]}"
        return ""

    # -- literals ---------------------------------------------------------------------------------------------------

    def literal(self, value: bool | int | Decimal | str, role: str) -> str:
        if isinstance(value, bool):
            return self.word("true" if value else "false")
        kind, _, rest = role.partition(" ")
        if isinstance(value, str):
            if kind == "duration":
                return self.duration(value)
            if kind == "tier":
                return self.names.text("tiers", f"{rest}.{value}", self.language)
            if kind == "name":
                return self.names.text(rest, value, self.language)
            if kind == "column":
                return self.names.text("columns", f"{rest}.{value}", self.language)
            return value if _is_time(Literal(value)) else quoted(value)
        if kind == "percent" and isinstance(value, int | Decimal):
            return f"{_number(Decimal(value) * 100)}%"
        if kind == "ordinal" and isinstance(value, int):
            return _ordinal(value) if self.language == "en" else str(value)
        return _number(value) + (f" {rest}" if kind == "unit" else "")

    def duration(self, text: str) -> str:
        found = re.fullmatch(r"(\d+)(mo|[mhdwy])", text, re.ASCII)
        if found is None or parse_duration(text) is None:
            return quoted(text)
        count, (zh, en) = int(found[1]), _UNITS[found[2]]
        return f"{count}{zh}" if self.language == "zh" else f"{count} {en}{'' if count == 1 else 's'}"

    def ago(self, value: object) -> str:
        near, dots, far = str(value).partition("..")
        if not isinstance(value, str) or not dots or parse_duration(near.strip()) is None or parse_duration(far.strip()) is None:
            return quoted(str(value))
        first, last = self.duration(near.strip()), self.duration(far.strip())
        if re.sub(r"\d+", "", near.strip()) == re.sub(r"\d+", "", far.strip()):
            first = re.match(r"\d+", first)[0]  # type: ignore[index]  # 30~90天前, 30 to 90 days ago
        return first + _WINDOWS[self.language]["to"] + last

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(self, node: Call, address: str, stream: str, template: str) -> str:
        function = FUNCTIONS[node.function]
        positional = [p.name for p in function.params if not p.keyword and not p.takes.startswith("stream")]
        named = dict(node.named)
        slots: dict[str, str] = {}
        behind: list[str] = []
        if function.name == "case":
            slots["x"] = self.case(node, address, stream)
        for i, arg in enumerate(node.args if function.name != "case" else ()):
            name = positional[min(i, len(positional) - 1)] if positional else ""
            text = self.inside(arg, _under(address, f"args.{i}"), stream, self.argument_role(node, name))
            if "{" + name + "}" not in template or (name in slots and not function.params[-1].many):
                behind.append(text)
            else:
                slots[name] = slots[name] + self.word("list") + text if name in slots else text
        windows = [self.window(node, name, address) for name in ("within", "ago", "on", "since", "until") if name in named and function.group == "stream"]  # fmt: skip
        for name, option in node.named:
            if function.group == "stream" and name in ("where", "latest", *_WINDOWS["zh"], "on"):
                continue
            self.option(node, name, option, address, stream, template, slots, behind)
        before = ""
        if function.group == "stream":
            before = self.rows(node, address, windows, slots)
        if function.name == "above_mean" and named.get("best") == Literal("low"):
            template = _BELOW[self.language]
        if node.column:
            shown = self.names.text("columns", f"{node.stream}.{node.column}", self.language)
            slots["column"] = shown
            if "{column}" not in template:
                behind.append(shown)
        text = re.sub(r"\{(\w+)\}", lambda slot: slots.get(slot[1], "…"), template)
        text = before + text
        if not behind:
            return text
        return text + (" " if self.language == "en" else "") + self.bracketed(self.word("then").join(behind))

    def rows(self, node: Call, address: str, windows: list[str], slots: dict[str, str]) -> str:
        """Fill in the rows a call is about; return what stands before it all: in Chinese the window."""
        label = self.names.text("streams", node.stream, self.language)
        where, latest = node.option("where"), node.option("latest")
        condition = "" if where is None else self.write(where, _under(address, "where"), node.stream)
        number = "" if latest is None else self.write(latest, _under(address, "latest"))
        if self.language == "zh":
            rows = label + (self.bracketed(condition) if condition else "")
            slots["stream"] = slots["row"] = self.word("latest", number, rows) if number else rows
            gap = " " if {"since", "until"} & dict(node.named).keys() else ""
            return "、".join(windows) + gap
        tail = "".join([f" {self.bracketed(condition)}" if condition else "", *(f" {window}" for window in windows)])
        for slot, plain in (("stream", label), ("row", label if number else _singular(label))):
            slots[slot] = (self.word("latest", number, plain) if number else plain) + tail
        return ""
