"""The engine's SQL trees in Spark's words: each function and each construct that differs, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from tierwise.engine.backends.spark.joins import without_asof
from tierwise.engine.backends.spark.nodes import bound, call, each, float_sum, lambda_of, spark_type
from tierwise.engine.backends.spark.rounding import nine_digits
from tierwise.engine.sql import cast, col, number, text
from tierwise.errors import EngineRefused

__all__ = ["for_spark"]

_LARGEST: Final = "1.7976931348623157e308"
#: A sum is exact in this type, whatever exact kind its column has.
_EXACT_SUM: Final = "DECIMAL(38, 6)"
_Args = Sequence[exp.Expression]
_Function = Callable[[_Args], exp.Expression]


def for_spark(statement: exp.Expression, macros: Mapping[str, exp.Expression]) -> exp.Expression:
    """Return the tree with everything said as Spark says it.

    Args:
        statement: a tree as the engine writes it; it is not changed.
        macros: bodies of the functions of one argument ``w`` that a clock defines.

    Raises:
        EngineRefused: when it uses something that Spark has no equal of.
    """
    return _Writer(macros).written(without_asof(statement.copy()))


class _Writer:
    def __init__(self, macros: Mapping[str, exp.Expression]) -> None:
        self.macros = macros

    def written(self, tree: exp.Expression) -> exp.Expression:
        """Rewrite from the leaves up; a statement may be deeper than Python's stack allows a recursion to be."""
        for node in reversed(list(tree.walk(bfs=True))):
            assert isinstance(node, exp.Expression)
            new = self.node(node)
            if new is not node:
                if node is tree:
                    tree = new
                else:
                    node.replace(new)
        return tree

    def node(self, node: exp.Expression) -> exp.Expression:
        match node:
            case exp.Anonymous():
                return self.function(node)
            case exp.Ordered() if node.args.get("nulls_first") is None:
                node.set("nulls_first", False)
            case exp.Window(this=exp.RowNumber()) if not node.args.get("order"):
                _numbered(node)
            case exp.TryCast():
                node.set("safe", True)  # else it is written as a cast that wraps around
            case exp.Sum():
                if not isinstance(node.this, exp.Cast):
                    node.set("this", cast(node.this, _EXACT_SUM))
            case exp.DataType() if node.this in _TYPES:
                return exp.DataType.build(_TYPES[node.this], dialect="spark")
            case exp.ArrayAgg():
                return _listed(node)
            case exp.Filter(this=inner) if isinstance(inner, exp.Expression):
                return _filtered(node)
        return node

    def function(self, node: exp.Anonymous) -> exp.Expression:
        name, args = str(node.this).lower(), list(node.expressions)
        if name in self.macros:
            return self.inlined(self.macros[name], args[0])
        if name == "fsum":
            return float_sum(args[0])
        if name in _SAME:
            return node
        if name in _RENAMED:
            return call(_RENAMED[name], *args)
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](args)
        raise EngineRefused(
            f"Spark has no equal of the engine's {name}()",
            "run this definition on DuckDB (`engine: duckdb` in tierwise.yaml), or leave it out",
        )

    def inlined(self, body: exp.Expression, value: exp.Expression) -> exp.Expression:
        """Return a macro's body over a value that is worked out once."""
        inner = self.written(body.copy())

        for column in list(inner.find_all(exp.Column)):
            if column.name == "w" and not column.table:
                column.replace(col("w$"))
        return bound(value, inner, "w$")


#: DuckDB's types that Spark knows by another name.
_TYPES: Final[Mapping[exp.DType, str]] = {
    exp.DType.INT128: "DECIMAL(38, 0)",
    exp.DType.VARCHAR: "STRING",
    exp.DType.TEXT: "STRING",
    exp.DType.TIMESTAMP: "TIMESTAMP_NTZ",
}

_SAME: Final = frozenset(
    {
        *("abs", "sign", "pow", "sqrt", "floor", "radians", "sin", "cos", "asin", "atan2"),
        *("coalesce", "nullif", "contains", "translate", "substr", "trim", "upper", "md5"),
        *("bool_or", "bool_and", "count_if", "row_number", "lag", "lead", "last_value", "last_day"),
        *("struct", "read_parquet"),
    }
)
_RENAMED: Final = {
    "arg_max": "max_by",
    "arg_min": "min_by",
    "starts_with": "startswith",
    "list_filter": "filter",
    "list_transform": "transform",
    "list_contains": "array_contains",
    "list_distinct": "array_distinct",
    "unnest": "explode",
    "len": "size",
    "row": "struct",
    # Days as bits are a way to count distinct ones: a set says the same.
    "bit_count": "size",
}


def _as(value: exp.Expression, kind: str) -> exp.Expression:
    return exp.Cast(this=value, to=spark_type(kind))


def _epoch_us(args: _Args) -> exp.Expression:
    """Microseconds since 1970 by subtraction: every other way reads an instant in the session's zone."""
    begin = _as(text("1970-01-01 00:00:00"), "TIMESTAMP_NTZ")
    seconds = _as(_as(exp.Paren(this=exp.Sub(this=args[0], expression=begin)), "INTERVAL SECOND"), "DECIMAL(20, 6)")
    return _as(exp.Paren(this=exp.Mul(this=seconds, expression=number(1_000_000))), "BIGINT")


def _isfinite(args: _Args) -> exp.Expression:
    """Spark holds that NaN is greater than every other number."""
    return exp.Paren(this=exp.LTE(this=call("abs", args[0]), expression=cast(text(_LARGEST), "DOUBLE")))


def _list_extract(args: _Args) -> exp.Expression:
    where = args[1]
    index = int(where.this) - 1 if isinstance(where, exp.Literal) else None
    if index is None:
        return call("get", args[0], exp.Paren(this=exp.Sub(this=where, expression=number(1))))
    return call("get", args[0], number(index))


def _list_sum(args: _Args) -> exp.Expression:
    more = _as(exp.Add(this=col("a$"), expression=col("x$")), _EXACT_SUM)
    return call("aggregate", args[0], _as(number(0), _EXACT_SUM), lambda_of(more, "a$", "x$"))


def _format(args: _Args) -> exp.Expression:
    return nine_digits(args[1])


def _date_part(args: _Args) -> exp.Expression:
    part = str(args[0].this)
    return call("date_part", text({"isodow": "dayofweek_iso"}.get(part, part)), args[1])


def _date_trunc(args: _Args) -> exp.Expression:
    unit = str(args[0].this)
    day = _as(args[1], "DATE")
    return day if unit == "day" else call("trunc", day, text(unit))


def _date_diff(args: _Args) -> exp.Expression:
    unit, start, end = str(args[0].this), args[1], args[2]
    if unit == "day":
        return call("datediff", end, start)
    if unit == "week":
        days = call("datediff", _date_trunc([args[0], end]), _date_trunc([args[0], start]))
        return exp.IntDiv(this=days, expression=number(7))
    months = {"month": 1, "quarter": 3, "year": 12}[unit]

    def index(of: exp.Expression) -> exp.Expression:
        year = exp.Mul(this=call("year", of.copy()), expression=number(12))
        whole = exp.Paren(this=exp.Add(this=year, expression=exp.Sub(this=call("month", of), expression=number(1))))
        return exp.IntDiv(this=whole, expression=number(months))

    return exp.Paren(this=exp.Sub(this=index(end), expression=index(start)))


def _to_days(args: _Args) -> exp.Expression:
    return call("make_dt_interval", _as(args[0], "INT"))


def _to_months(args: _Args) -> exp.Expression:
    return call("make_ym_interval", number(0), _as(args[0], "INT"))


def _to_years(args: _Args) -> exp.Expression:
    return call("make_ym_interval", _as(args[0], "INT"), number(0))


def _to_microseconds(args: _Args) -> exp.Expression:
    millionths = exp.Mul(this=_as(args[0], "DECIMAL(18, 0)"), expression=_as(text("0.000001"), "DECIMAL(6, 6)"))
    return call("make_dt_interval", number(0), number(0), number(0), _as(millionths, "DECIMAL(18, 6)"))


def _divide(args: _Args) -> exp.Expression:
    return exp.IntDiv(this=args[0], expression=args[1])


def _full_match(args: _Args) -> exp.Expression:
    """Match the whole text; RE2 and Java agree on what the language's parser lets pass, but for POSIX classes."""
    pattern = args[1]
    if not isinstance(pattern, exp.Literal) or "[[:" in str(pattern.this) or "\\C" in str(pattern.this):
        raise EngineRefused(
            "Java reads this pattern of matches() otherwise than RE2",
            "write character classes out: [A-Za-z], not [[:alpha:]]",
        )
    return exp.RegexpLike(this=args[0], expression=text(f"\\A(?:{pattern.this})\\z"))


def _bits(args: _Args) -> exp.Expression:
    return call("collect_set", args[0])


def _extreme(name: str) -> _Function:
    """Spark compares at least two."""
    return lambda args: call(name, *args) if len(args) > 1 else args[0]


def _concat(args: _Args) -> exp.Expression:
    """Join texts; hexadecimal digits, which the other engine casts, become a number's decimal ones."""
    if isinstance(args[0], exp.Literal) and args[0].this == "0x":
        return call("conv", args[1], number(16), number(10))
    return call("concat", *args)


def _lower(args: _Args) -> exp.Expression:
    """Java's lower case depends on neighbours (a sigma at a word's end), and makes two characters of one (İ)."""
    return call("lower", call("translate", args[0], text("İΣ"), text("iσ")))


def _struct_pack(args: _Args) -> exp.Expression:
    named: list[exp.Expression] = []
    for pair in args:
        assert isinstance(pair, exp.PropertyEQ)
        named += [text(pair.this.name), pair.expression]
    return call("named_struct", *named)


_FUNCTIONS: Final[Mapping[str, _Function]] = {
    "epoch_us": _epoch_us,
    "isfinite": _isfinite,
    "list_extract": _list_extract,
    "list_sum": _list_sum,
    "format": _format,
    "date_part": _date_part,
    "date_trunc": _date_trunc,
    "date_diff": _date_diff,
    "to_days": _to_days,
    "to_months": _to_months,
    "to_years": _to_years,
    "to_microseconds": _to_microseconds,
    "divide": _divide,
    "regexp_full_match": _full_match,
    "struct_pack": _struct_pack,
    "lower": _lower,
    "concat": _concat,
    "bitstring_agg": _bits,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
}


def _numbered(node: exp.Window) -> None:
    """Number rows that come out of a sort by what they are sorted by: here no order outlives a subquery.

    The first thing they are sorted by is the customer, within whom alone the numbers are compared.
    """
    select = node.find_ancestor(exp.Select)
    ordered = select.args["from_"].this.this if select is not None else None
    assert isinstance(ordered, exp.Select) and ordered.args.get("order"), "rows are numbered as they are sorted"
    first, *rest = (one.this.copy() for one in ordered.args["order"].expressions)
    node.set("partition_by", [first])
    node.set("order", exp.Order(expressions=[exp.Ordered(this=one, nulls_first=False) for one in rest or [first]]))


def _listed(node: exp.ArrayAgg) -> exp.Expression:
    """``list(v ORDER BY k)`` as values taken out of sorted pairs."""
    if not isinstance(node.this, exp.Order):
        return call("collect_list", node.this)
    pair = [text("k"), node.this.expressions[0].this, text("v"), node.this.this]
    pairs = call("collect_list", call("named_struct", *pair))
    return each(call("array_sort", pairs), col("v", "s$"), "s$")


def _filtered(node: exp.Filter) -> exp.Expression:
    """A FILTER belongs to the aggregate itself, not to what was made around it."""
    made: exp.Expression = node.this
    found = _aggregate_within(made)
    if found is None or found is made:
        return node
    found.replace(exp.Filter(this=found.copy(), expression=node.expression))
    return made


def _aggregate_within(node: exp.Expression) -> exp.Expression | None:
    """Return the call of the aggregate that a rewritten one was wrapped in."""
    if isinstance(node, exp.AggFunc):
        return node
    calls = (part for part in node.walk(bfs=True) if isinstance(part, exp.Anonymous))
    return next((part for part in calls if str(part.this) in _AGGREGATES), None)


_AGGREGATES: Final = ("collect_list", "collect_set", "max_by", "min_by", "bool_or", "bool_and")
