"""Places among a published population in SQL: the number a value is placed by, and the answer from the place."""

from __future__ import annotations

from datetime import date

from sqlglot import exp

from tierwise.definitions.language.kinds import DATE, FLOAT, INSTANT, Kind
from tierwise.definitions.language.typed import Population
from tierwise.engine.distributions import SCALE
from tierwise.engine.sql import cast, col, fn, literal, null, number, text
from tierwise.engine.values import round9

__all__ = ["place", "plain", "scaled", "spread"]


def place(node: Population, position: exp.Expression, size: exp.Expression) -> exp.Expression:
    """The answer from the position of the largest step below x (or at it), and how many there are."""
    low = node.best == "low"
    if node.function == "ntile":
        assert node.n is not None
        plus = exp.Add(this=number(1), expression=position)
        return cast(exp.Sub(this=number(node.n + 1), expression=exp.Paren(this=plus)) if low else plus, "BIGINT")
    if node.function == "percent_rank":
        # best="low" counts the points above x: all 1,000 less those at or below it
        thousandths = (
            exp.Paren(this=exp.Sub(this=number(1000), expression=position)) if low else exp.Paren(this=position)
        )
        return exp.Div(this=cast(thousandths, "DOUBLE"), expression=literal(1000.0, FLOAT), typed=False, safe=False)
    better = exp.Paren(this=position if low else exp.Sub(this=size, expression=position))
    if node.function == "rank":
        return cast(exp.Add(this=better, expression=number(1)), "BIGINT")
    if node.n is not None:
        return exp.LT(this=better, expression=number(node.n))
    assert node.percent is not None
    share = exp.Mul(this=cast(number(node.percent), "DECIMAL(12, 6)"), expression=cast(size.copy(), "DECIMAL(18, 0)"))
    return exp.LT(this=cast(exp.Mul(this=better, expression=number(100)), "DECIMAL(30, 6)"), expression=share)


def spread(node: Population) -> exp.Expression:
    """The answer from the group's mean and standard deviation."""
    x: exp.Expression = col("plain", "m")
    mean = col("mean", "m")
    if node.function == "above_mean":
        compare = exp.LT if node.best == "low" else exp.GT
        x = round9(x)  # of an exact kind it is not yet
        return compare(this=x, expression=round9(mean))
    difference = exp.Paren(
        this=exp.Sub(this=mean, expression=x) if node.best == "low" else exp.Sub(this=x, expression=mean)
    )
    deviation = exp.Nullif(this=col("deviation", "m"), expression=literal(0.0, FLOAT))
    return exp.Div(this=difference, expression=deviation, typed=False, safe=False)


def plain(value: exp.Expression, kind: Kind) -> exp.Expression:
    """Return a value as a DOUBLE in its own unit (times have none), a float as it is placed."""
    if kind.is_time:
        return cast(null(), "DOUBLE")
    return round9(value) if kind == FLOAT else cast(value, "DOUBLE")


def scaled(value: exp.Expression, kind: Kind) -> exp.Expression:
    """Return a value as the number it is placed by: a whole one, or a float of 9 significant digits."""
    if kind == DATE:
        return fn("date_diff", text("day"), literal(date(1970, 1, 1), DATE), value)
    if kind == INSTANT:
        return fn("epoch_us", value)
    if kind == FLOAT:
        return round9(value)
    scale, places = SCALE[kind.name], {"money": 2, "decimal": 6}.get(kind.name, 0)
    return cast(
        exp.Mul(this=cast(value, f"DECIMAL(38, {places})"), expression=number(scale)) if places else value, "BIGINT"
    )
