"""Builders of what Spark's SQL has and DuckDB's has not, or writes otherwise."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tierwise.engine.sql import text

__all__ = ["bound", "call", "each", "float_sum", "lambda_of", "spark_type"]

_SUM: Final = "s"
_LOST: Final = "c"


def call(name: str, *args: exp.Expression) -> exp.Expression:
    """Return a call of a Spark function."""
    return exp.Anonymous(this=name, expressions=list(args))


def spark_type(name: str) -> exp.DataType:
    """Return a type by Spark's name of it."""
    return exp.DataType.build(name, dialect="spark")


def lambda_of(body: exp.Expression, *names: str) -> exp.Expression:
    """Return ``(names) -> body``."""
    return exp.Lambda(this=body, expressions=[exp.to_identifier(name, quoted=True) for name in names])


def each(listed: exp.Expression, body: exp.Expression, name: str) -> exp.Expression:
    """Return the list of what `body` makes of each element, which it calls `name`."""
    return call("transform", listed, lambda_of(body, name))


def bound(value: exp.Expression, body: exp.Expression, name: str) -> exp.Expression:
    """Return what `body` makes of a value, which it calls `name` and which is worked out once."""
    return call("get", each(call("array", value), body, name), exp.Literal.number(0))


def float_sum(value: exp.Expression) -> exp.Expression:
    """Return the sum of floats with the lost digits carried along, in whatever order they come.

    Neumaier's compensated summation (ZAMM 54, 1974), as a fold over the group's values.
    """
    total, lost, x = _part("a$", _SUM), _part("a$", _LOST), exp.column(exp.to_identifier("x$", quoted=True))
    after = exp.Paren(this=exp.Add(this=total, expression=x))

    def rest(larger: exp.Expression, smaller: exp.Expression) -> exp.Expression:
        short = exp.Paren(this=exp.Sub(this=larger.copy(), expression=after.copy()))
        return exp.Paren(this=exp.Add(this=short, expression=smaller.copy()))

    first = exp.GTE(this=call("abs", total.copy()), expression=call("abs", x.copy()))
    correction = exp.Case(ifs=[exp.If(this=first, true=rest(total, x))], default=rest(x, total))
    step = _pair(after.copy(), exp.Add(this=lost, expression=correction))
    end = exp.Add(this=_part("a$", _SUM), expression=_part("a$", _LOST))
    return call(
        "aggregate",
        call("collect_list", value),
        _pair(*(exp.Cast(this=exp.Literal.number(0), to=spark_type("DOUBLE")) for _ in range(2))),
        lambda_of(step, "a$", "x$"),
        lambda_of(end, "a$"),
    )


def _part(of: str, name: str) -> exp.Expression:
    return exp.column(exp.to_identifier(name), table=exp.to_identifier(of, quoted=True))


def _pair(total: exp.Expression, lost: exp.Expression) -> exp.Expression:
    return call("named_struct", text(_SUM), total, text(_LOST), lost)
