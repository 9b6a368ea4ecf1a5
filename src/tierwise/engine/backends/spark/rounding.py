"""A float in nine significant digits, as C writes it: Java rounds the digits it would show, not the number itself."""

from __future__ import annotations

from sqlglot import exp

from tierwise.engine.backends.spark.nodes import bound, call, spark_type
from tierwise.engine.sql import col, number, text

__all__ = ["nine_digits"]


def nine_digits(value: exp.Expression) -> exp.Expression:
    """Return ``'%.8e' % value`` as C has it; nothing of what is not finite.

    The two differ only where the number is the float nearest to ten digits of which the last is a 5. There its distance
    from them decides, and of none the even digit. It is worked out for numbers from 0.1 up; below, Java's rounding is
    left as it is.
    """
    x, digits = col("f$"), col("d$")
    size = call("abs", x)
    ten = call("format_string", text("%.9e"), size)
    # The digits "1.234567895e+06": the tenth stands at 11, the exponent from 13 on.
    is_five = exp.EQ(this=call("substr", digits, number(11), number(1)), expression=text("5"))
    is_nearest = exp.EQ(this=_as(digits, "DOUBLE"), expression=size.copy())
    from_a_tenth = exp.GTE(this=_exponent(digits), expression=number(-1))
    between = exp.And(this=exp.And(this=is_five, expression=is_nearest), expression=from_a_tenth)
    usual = call("format_string", text("%.8e"), x.copy())
    told = exp.Case(ifs=[exp.If(this=between, true=_decided(x, digits))], default=usual)
    known = exp.LTE(this=size.copy(), expression=_as(text("1.7976931348623157e308"), "DOUBLE"))
    return bound(value, exp.Case(ifs=[exp.If(this=known, true=bound(ten, told, "d$"))]), "f$")


def _decided(x: exp.Expression, digits: exp.Expression) -> exp.Expression:
    """Return the nine digits of a number that lies between two: a little above the ten digits it is up, below down."""
    ten = _as(call("translate", call("substr", digits.copy(), number(1), number(11)), text("."), text("")), "BIGINT")
    above = _as(call("sign", _distance(x, digits, ten)), "BIGINT")
    nine = call("bround", exp.Paren(this=exp.Add(this=ten.copy(), expression=above)), number(-1))
    minus = call("if", exp.LT(this=x.copy(), expression=number(0)), text("-"), text(""))
    return call("concat", minus, nine, text("e"), _less(_exponent(digits), number(9)))


def _distance(x: exp.Expression, digits: exp.Expression, ten: exp.Expression) -> exp.Expression:
    """Return how far a number lies from its ten digits, as a multiple of the last one's place.

    Ten to at most the 10th has 24 binary digits, the two halves of the number have 24 and 29: each product is exact,
    and so is the sign of the sum. From 10^10 to 10^18 the digits are the number.
    """
    size = call("abs", x.copy())
    upper = _as(_as(size, "FLOAT"), "DOUBLE")
    places = _as(call("concat", text("1e"), _less(number(9), _exponent(digits))), "DOUBLE")
    first = _less(exp.Mul(this=upper, expression=places), ten.copy())
    rest = exp.Mul(this=_less(size.copy(), upper.copy()), expression=places.copy())
    exact = exp.LTE(this=_exponent(digits), expression=number(9))
    return exp.Case(ifs=[exp.If(this=exact, true=exp.Add(this=first, expression=rest))], default=number(0))


def _exponent(digits: exp.Expression) -> exp.Expression:
    return _as(call("substr", digits.copy(), number(13)), "INT")


def _less(one: exp.Expression, other: exp.Expression) -> exp.Expression:
    return exp.Paren(this=exp.Sub(this=one, expression=other))


def _as(value: exp.Expression, kind: str) -> exp.Expression:
    return exp.Cast(this=value.copy(), to=spark_type(kind))
