"""Every function of the language, declared once: what it takes, what it gives, what it is of nothing, how it reads.

The emitters, the reference evaluator, the reference page and the builder's form are looked up by a function's name;
a house test fails where one is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tierwise.definitions.language.kinds import BOOLEAN, FLOAT, INSTANT, INTEGER, TEXT, Kind

__all__ = ["FUNCTIONS", "LATER", "STREAM_OPTIONS", "Function", "Param"]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: its name, what it takes, whether it must be given and whether it goes by keyword.

    `takes` is one of ``stream``, ``stream.column``, ``rows`` (a condition on rows), ``aggregate``, ``number``,
    ``text``, ``boolean``, ``time`` (date or instant), ``ordered``, ``any``, ``integer`` (a literal), ``duration`` (a
    literal), ``step`` (a stream with a condition), ``column`` (a column of the steps), ``choice`` (one of `choices`), ``name`` (a literal name).
    """

    name: str
    takes: str
    required: bool = True
    keyword: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language.

    `result` is a kind, or ``same`` (that of its first value), ``list`` (a list of that) or ``tier``.
    `of_nothing` is what it gives when no row qualifies: a value, or None for missing.
    `boundary` says how time alone can change the answer: none, window (a row crosses an edge of its window), threshold
    (at any moment), calendar (when a day, a period or an anniversary comes) or daily (at every local midnight).
    """

    name: str
    group: str
    params: tuple[Param, ...]
    result: Kind | str
    sentence: Mapping[str, str]
    of_nothing: int | bool | None = None
    boundary: str = "none"
    engines: tuple[str, ...] = ("duckdb",)
    about: str = ""

    def param(self, name: str) -> Param | None:
        """Return the parameter with this name, or None."""
        return next((param for param in self.params if param.name == name), None)


#: What every function over a stream takes beside its own parameters.
STREAM_OPTIONS: Final = (
    Param("where", "rows", required=False, keyword=True),
    Param("within", "duration", required=False, keyword=True),
    Param("ago", "durations", required=False, keyword=True),
    Param("since", "time", required=False, keyword=True),
    Param("until", "time", required=False, keyword=True),
    Param("on", "choice", required=False, keyword=True, choices=(
        "today", "yesterday", "this week", "last week", "this month", "last month", "this quarter", "last quarter",
        "this year", "last year", "same day last year", "same month last year", "same quarter last year",
        "last year to date",
    )),
    Param("latest", "integer", required=False, keyword=True),
)  # fmt: skip

_WITHIN: Final = Param("within", "duration", required=False, keyword=True)
_STREAM: Final = Param("stream", "stream")
_COLUMN: Final = Param("column", "stream.column")


def _over_stream(
    name: str,
    params: tuple[Param, ...],
    result: Kind | str,
    zh: str,
    en: str,
    of_nothing: int | bool | None,
    about: str,
    boundary: str = "window",
) -> Function:
    return Function(
        name, "stream", params + STREAM_OPTIONS, result, MappingProxyType({"zh": zh, "en": en}), of_nothing, boundary,
        about=about,
    )  # fmt: skip


def _scalar(
    name: str, params: tuple[Param, ...], result: Kind | str, zh: str, en: str, about: str, boundary: str = "none"
) -> Function:
    return Function(
        name, "scalar", params, result, MappingProxyType({"zh": zh, "en": en}), boundary=boundary, about=about
    )  # fmt: skip


def _population(name: str, params: tuple[Param, ...], result: Kind, zh: str, en: str, about: str) -> Function:
    shared = (
        Param("by", "any", required=False, keyword=True),
        Param("among", "boolean", required=False, keyword=True),
        Param("best", "choice", required=False, keyword=True, choices=("high", "low")),
    )
    return Function(
        name, "population", (Param("x", "ordered"), *params, *shared), result, MappingProxyType({"zh": zh, "en": en}),
        about=about,
    )  # fmt: skip


def _group(name: str, x: Param, result: Kind | str, zh: str, en: str, about: str) -> Function:
    by = Param("by", "any", keyword=True)
    return Function(name, "group", (x, by), result, MappingProxyType({"zh": zh, "en": en}), about=about)


_ALL: Final = (
    # over a stream
    _over_stream("count", (_STREAM,), INTEGER, "{stream}次数", "number of {stream}", 0, "How many rows."),
    _over_stream("exists", (_STREAM,), BOOLEAN, "有{stream}", "has {stream}", False, "Whether there is a row."),
    _over_stream("sum", (_COLUMN,), "same", "{stream}的{column}合计", "total {column} of {stream}", 0, "The exact sum; of rows that are all missing 0."),
    _over_stream("avg", (_COLUMN,), FLOAT, "{stream}的{column}平均值", "average {column} of {stream}", None, "Exact sum divided by count."),
    _over_stream("min", (_COLUMN,), "same", "{stream}的{column}最小值", "smallest {column} of {stream}", None, "The smallest value."),
    _over_stream("max", (_COLUMN,), "same", "{stream}的{column}最大值", "largest {column} of {stream}", None, "The largest value."),
    _over_stream("distinct", (_COLUMN,), INTEGER, "{stream}中不同{column}的个数", "number of different {column} in {stream}", 0, "How many different values."),
    _over_stream("days", (_STREAM,), INTEGER, "有{stream}的天数", "number of days with {stream}", 0, "On how many local days."),
    _over_stream("share", (_STREAM, Param("of", "rows", keyword=True)), FLOAT, "{stream}中{of}的占比", "share of {stream} with {of}", None, "Rows passing `where` that meet `of`, divided by rows passing `where`."),
    _over_stream("first", (_COLUMN,), "same", "首次{stream}的{column}", "{column} of the first {row}", None, "The earliest value that is not missing."),
    _over_stream("last", (_COLUMN,), "same", "最近一次{stream}的{column}", "{column} of the last {row}", None, "The latest value that is not missing."),
    _over_stream("nth", (_COLUMN, Param("n", "integer")), "same", "第{n}次{stream}的{column}", "{column} of the {n} {row}", None, "The n-th value that is not missing, in time order."),
    _over_stream("top", (_COLUMN, Param("by", "aggregate", required=False, keyword=True), Param("n", "integer", required=False, keyword=True)), "same", "{stream}中最多的{column}", "most common {column} in {stream}", None, "The value with the largest `by` (default: most rows); `n=` above 1 gives the list of the first n."),
    _over_stream("score", (_STREAM, Param("half_life", "duration", keyword=True)), FLOAT, "{stream}热度（半衰期{half_life}）", "score of {stream} with a half-life of {half_life}", 0, "Sum of 0.5 ^ (age of the row / half_life).", "threshold"),
    _over_stream("streak", (_STREAM, Param("every", "duration", keyword=True)), INTEGER, "连续有{stream}的期数（每期{every}）", "number of periods of {every} in a row with {stream}", 0, "Consecutive calendar periods (1d, 1w, 1mo, 1y) with a row; an empty current one does not break it.", "calendar"),
    _over_stream("avg_gap", (_STREAM,), FLOAT, "{stream}平均间隔天数", "average days between {stream}", None, "Average gap between neighbouring rows, in days."),
    _over_stream("min_gap", (_STREAM,), FLOAT, "{stream}最短间隔天数", "shortest gap in days between {stream}", None, "Smallest gap between neighbouring rows, in days."),
    _over_stream("max_gap", (_STREAM,), FLOAT, "{stream}最长间隔天数", "longest gap in days between {stream}", None, "Largest gap between neighbouring rows, in days."),
    _over_stream("periods", (_STREAM, Param("every", "duration", keyword=True), Param("n", "integer", keyword=True)), INTEGER, "近{n}期中有{stream}的期数（每期{every}）", "number of the last {n} periods of {every} with {stream}", 0, "In how many of the last n calendar periods (1d, 1w, 1mo, 3mo, 1y), the current one included, there is a row.", "calendar"),
    Function("time_avg", "stream", (_COLUMN, *(option for option in STREAM_OPTIONS if option.name != "latest")), FLOAT, MappingProxyType({"zh": "{stream}的{column}按时间加权的平均值", "en": "time-weighted average {column} of {stream}"}), boundary="threshold", about="The average over time of a value that holds until the next row; what was before the first row is left out."),
    # order of things
    Function("followed", "sequence", (Param("step", "step", many=True), Param("within", "duration", required=False, keyword=True), Param("gap", "duration", required=False, keyword=True), Param("same", "column", required=False, keyword=True), Param("without", "step", required=False, keyword=True)), BOOLEAN, MappingProxyType({"zh": "依次有{step}", "en": "has {step}"}), False, "window", about="Whether rows of the steps follow each other in time: `within=` from first to last, `gap=` between neighbours, `same=` one value of a column in all of them, `without=` a row that must not come."),
    # scalar: time
    _scalar("days_since", (Param("x", "time"),), INTEGER, "距{x}的天数", "days since {x}", "Local midnights from x to as_of.", "daily"),
    _scalar("days_until", (Param("x", "time"),), INTEGER, "到{x}的剩余天数", "days until {x}", "Local midnights from as_of to x.", "daily"),
    _scalar("hours_since", (Param("x", "time"),), FLOAT, "距{x}的小时数", "hours since {x}", "Elapsed hours, with their fraction.", "threshold"),
    _scalar("months_since", (Param("x", "time"),), INTEGER, "距{x}的整月数", "whole months since {x}", "Completed calendar months.", "daily"),
    _scalar("year", (Param("x", "time"),), INTEGER, "{x}的年份", "year of {x}", "Local calendar year."),
    _scalar("month", (Param("x", "time"),), INTEGER, "{x}的月份", "month of {x}", "Local month, 1 to 12."),
    _scalar("day", (Param("x", "time"),), INTEGER, "{x}的日", "day of the month of {x}", "Local day of the month, 1 to 31."),
    _scalar("weekday", (Param("x", "time"),), INTEGER, "{x}的星期", "weekday of {x}", "Local weekday, Monday 1 to Sunday 7."),
    _scalar("hour", (Param("x", "time"),), INTEGER, "{x}的小时", "hour of {x}", "Local hour, 0 to 23; 0 for a date."),
    _scalar("age", (Param("x", "time"),), INTEGER, "按{x}算的周岁", "age in years by {x}", "Completed years; 29 February counts as 28 February in other years.", "daily"),
    _scalar("anniversary", (Param("x", "time"), Param("within", "duration", keyword=True), Param("calendar", "choice", required=False, keyword=True, choices=("solar", "lunar"))), BOOLEAN, "{x}的周年日在未来{within}内", "the anniversary of {x} is within the next {within}", "Whether the next anniversary is at most this far ahead, today included; by the Chinese lunar calendar on request.", "calendar"),
    # scalar: place
    _scalar("distance_km", (Param("latitude", "number"), Param("longitude", "number"), Param("latitude2", "number"), Param("longitude2", "number")), FLOAT, "（{latitude}，{longitude}）到（{latitude2}，{longitude2}）的公里数", "kilometres from ({latitude}, {longitude}) to ({latitude2}, {longitude2})", "The distance on a sphere of 6,371.0088 km radius between two points in degrees."),
    # scalar: choosing
    _scalar("band", (Param("x", "number"), Param("edge", "number literal", many=True)), TEXT, "{x}按{edge}分的区间", "band of {x} with the edges ({edge})", "The half-open interval x falls in, written `<18`, `18-25`, `35+`."),
    _scalar("coalesce", (Param("x", "any", many=True),), "same", "（{x}）中首个有值的", "first known of ({x})", "The first value that is not missing."),
    _scalar("case", (Param("x", "any", many=True),), "same", "{x}", "{x}", "case(condition, value, …, otherwise): the value of the first condition that holds."),
    _scalar("least", (Param("x", "ordered", many=True),), "same", "（{x}）中最小的", "smallest of ({x})", "The smallest value, missing ones left out."),
    _scalar("greatest", (Param("x", "ordered", many=True),), "same", "（{x}）中最大的", "largest of ({x})", "The largest value, missing ones left out."),
    _scalar("lookup", (Param("table", "name"), Param("key", "text"), Param("column", "name")), "same", "{table}中{key}的{column}", "{column} of {key} in {table}", "A value from a declared small table."),
    # scalar: text
    _scalar("contains", (Param("x", "text or list"), Param("part", "text")), BOOLEAN, "{x}包含{part}", "{x} contains {part}", "Whether the text (or the list) contains the part."),
    _scalar("startswith", (Param("x", "text"), Param("start", "text")), BOOLEAN, "{x}以{start}开头", "{x} starts with {start}", "Whether the text starts so."),
    _scalar("matches", (Param("x", "text"), Param("pattern", "pattern")), BOOLEAN, "{x}匹配{pattern}", "{x} matches {pattern}", "Whether the whole text matches the RE2 pattern."),
    _scalar("lower", (Param("x", "text"),), TEXT, "{x}的小写", "lower-case {x}", "In lower case."),
    # population
    _population("ntile", (Param("n", "integer"),), INTEGER, "{x}的{n}等分档位", "place of {x} in {n} equal groups", "1 + the number of cut points below x."),
    _population("quintile", (), INTEGER, "{x}的五等分档位", "place of {x} in fifths", "ntile with n = 5."),
    _population("percent_rank", (), FLOAT, "{x}的百分位", "percentile of {x}", "Share of the published population below x, in thousandths."),
    _population("rank", (), INTEGER, "{x}的名次", "rank of {x}", "1 + the number in the published population that are better."),
    _population("in_top", (Param("n", "integer", required=False, keyword=True), Param("percent", "number literal", required=False, keyword=True)), BOOLEAN, "{x}排名前{size}", "{x} is in the top {size}", "Among the n best, or the best percent; equal values are all in."),
    _population("above_mean", (), BOOLEAN, "{x}高于平均", "{x} is above the mean", "Whether x is above the published mean."),
    _population("zscore", (), FLOAT, "{x}的标准分", "standard score of {x}", "(x - mean) / standard deviation of the published population."),
    # groups
    _group("group_sum", Param("x", "number"), "same", "同{by}客户的{x}合计", "total {x} of customers with the same {by}", "The exact sum over all customers known at as_of with the same `by` value, this one included."),
    _group("group_count", Param("x", "boolean", required=False), INTEGER, "同{by}客户的人数", "number of customers with the same {by}", "How many customers have the same `by` value (and meet the condition)."),
    _group("group_avg", Param("x", "number"), FLOAT, "同{by}客户的{x}平均值", "average {x} of customers with the same {by}", "The average over the group, missing values left out."),
    _group("group_min", Param("x", "ordered"), "same", "同{by}客户的{x}最小值", "smallest {x} of customers with the same {by}", "The smallest value in the group."),
    _group("group_max", Param("x", "ordered"), "same", "同{by}客户的{x}最大值", "largest {x} of customers with the same {by}", "The largest value in the group."),
    # membership
    Function("segment", "membership", (Param("segment", "name"),), BOOLEAN, MappingProxyType({"zh": "属于「{segment}」分群", "en": "is in the segment {segment}"}), about="Whether the customer is in the segment."),
    Function("tier", "membership", (Param("tiering", "name"),), "tier", MappingProxyType({"zh": "所在{tiering}", "en": "tier in {tiering}"}), about="The tier of the tiering the customer is in."),
    Function("at_least", "membership", (Param("tiering", "name"), Param("tier", "name")), BOOLEAN, MappingProxyType({"zh": "所在{tiering}不低于{tier}", "en": "tier in {tiering} is {tier} or better"}), about="Whether the tier is this one or a better one; for ordered tierings."),
    Function("was_tier", "membership", (Param("tiering", "name"), Param("tier", "name"), _WITHIN), BOOLEAN, MappingProxyType({"zh": "曾为{tiering}的{tier}", "en": "was {tier} in {tiering}"}), False, "window", about="Whether the membership log, strictly before as_of, has the customer in this tier at some time of the window."),
    Function("tier_since", "membership", (Param("tiering", "name"),), INSTANT, MappingProxyType({"zh": "进入{tiering}当前档的时间", "en": "time of entering the present tier of {tiering}"}), about="When the customer's tier last changed, by the membership log strictly before as_of."),
    Function("entered", "membership", (Param("name", "name"), Param("tier", "name", required=False), _WITHIN), BOOLEAN, MappingProxyType({"zh": "进入过{name}", "en": "entered {name}"}), False, "window", about="Whether the log has the customer enter the segment (or this tier of the tiering) in the window."),
    Function("left", "membership", (Param("name", "name"), Param("tier", "name", required=False), _WITHIN), BOOLEAN, MappingProxyType({"zh": "离开过{name}", "en": "left {name}"}), False, "window", about="Whether the log has the customer leave the segment (or this tier of the tiering) in the window."),
    Function("to_next", "membership", (Param("tiering", "name"),), "same", MappingProxyType({"zh": "升到{tiering}上一档还差的数", "en": "what is missing to the next better tier of {tiering}"}), about="By how much the only failing condition of the next better tier fails, where that is a comparison of numbers."),
    Function("sample", "membership", (Param("share", "number literal"), Param("salt", "text literal", keyword=True)), BOOLEAN, MappingProxyType({"zh": "属于随机抽取的{share}（种子{salt}）", "en": "is in the random sample of {share} (seed {salt})"}), about="Whether chance puts the customer into this share; the same customers for the same salt, always."),
)  # fmt: skip

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType({function.name: function for function in _ALL})

#: Functions the language has and this version refuses, with the room they come with.
LATER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "community": "communities",
        **dict.fromkeys(("points_balance", "consent", "reachable", "in_journey", "assigned"), "loyalty and campaigns"),
        **dict.fromkeys(
            ("clv_12m", "p_alive", "expected_orders", "churn_risk", "next_order_at", "affinity"), "value models"
        ),
    }
)
