"""How the answers to one tag, tiering or segment are spread over the customers: values with counts, or a histogram."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlglot import exp

from tierwise.definitions.language.kinds import Kind
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import cast, col, fn, number

__all__ = ["spread"]

#: So many values are told, the others together.
_VALUES: Final = 50
_BINS: Final = 20
#: The histogram ends here, its last bin takes what is above: one large customer would flatten all others.
_UPPER: Final = 0.99
_QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
#: A column of ours; no definition can have this name.
_PLACE: Final = "place$"
_EPOCH: Final = datetime(1970, 1, 1)


def spread(engine: DuckEngine, name: str, kind: Kind, results: str) -> dict[str, Any]:
    """Return for how many customers a name is known and how its answers are spread.

    Args:
        engine: has the results.
        name: the column.
        kind: its kind.
        results: the table of results.

    Returns:
        ``customers``, ``known`` and, of numbers and times, ``quantiles`` and ``bins`` (from, to, customers; the last
        bin has no end), of everything else but lists ``values`` with how many customers each has, and the ``others``.
    """
    table = exp.Table(this=exp.to_identifier(results, quoted=True))
    counts = exp.select(exp.Count(this=exp.Star()), exp.Count(this=col(name))).from_(table.copy())
    customers, known = (int(value) for value in engine.rows(counts)[0])
    found = {"name": name, "kind": str(kind), "customers": customers, "known": known}
    if kind.of is not None:
        return found
    if kind.is_number or kind.is_time:
        return {**found, **_histogram(engine, name, kind, table, known)}
    return {**found, **_values(engine, name, table, known)}


def _values(engine: DuckEngine, name: str, table: exp.Table, known: int) -> dict[str, Any]:
    count = exp.Count(this=exp.Star())
    select = (
        exp.select(col(name), count.as_(_PLACE, quoted=True))
        .from_(table)
        .where(exp.Not(this=exp.Is(this=col(name), expression=exp.null())))
    )
    select = select.group_by(col(name)).order_by(exp.Ordered(this=col(_PLACE), desc=True), col(name)).limit(_VALUES)
    values = [{"value": value, "customers": int(held)} for value, held in engine.rows(select)]
    return {"values": values, "others": known - sum(one["customers"] for one in values)}


def _histogram(engine: DuckEngine, name: str, kind: Kind, table: exp.Table, known: int) -> dict[str, Any]:
    if not known:
        return {"quantiles": [], "bins": []}
    value = _number(name, kind)
    wanted = exp.Array(expressions=[number(one) for one in (*_QUANTILES, _UPPER)])
    measured = engine.rows(exp.select(fn("quantile_cont", value, wanted)).from_(table.copy()))[0][0]
    *points, upper = (float(one) for one in measured)
    quantiles = [{"share": share, "value": _back(point, kind)} for share, point in zip(_QUANTILES, points, strict=True)]
    low, width = points[0], (upper - points[0]) / _BINS
    if width <= 0:
        bins = [{"from": _back(low, kind), "to": None, "customers": known}]
        return {"quantiles": quantiles, "bins": bins}
    place = exp.Paren(this=exp.Sub(this=value.copy(), expression=number(low)))
    place_of = cast(fn("floor", exp.Div(this=place, expression=number(width), typed=False, safe=False)), "BIGINT")
    bounded = fn("least", place_of, number(_BINS))
    select = exp.select(bounded.as_(_PLACE, quoted=True), exp.Count(this=exp.Star())).from_(table.copy())
    select = select.where(exp.Not(this=exp.Is(this=col(name), expression=exp.null()))).group_by(col(_PLACE))
    held = {int(place): int(count) for place, count in engine.rows(select)}
    edges = [low + index * width for index in range(_BINS + 1)]
    bins = [
        {
            "from": _back(edge, kind),
            "to": _back(edges[index + 1], kind) if index < _BINS else None,
            "customers": held.get(index, 0),
        }
        for index, edge in enumerate(edges)
    ]
    return {"quantiles": quantiles, "bins": bins}


def _number(name: str, kind: Kind) -> exp.Expression:
    """Return a value as a number of its own kind, an instant or a date as seconds since 1970."""
    if kind.is_time:
        return cast(fn("epoch", cast(col(name), "TIMESTAMP")), "DOUBLE")
    return cast(col(name), "DOUBLE")


def _back(value: float, kind: Kind) -> float | date | datetime:
    """Return what a number of `_number` stands for."""
    if not kind.is_time:
        return value
    moment = (_EPOCH + timedelta(seconds=round(value))).replace(tzinfo=UTC)
    return moment.date() if str(kind) == "date" else moment
