"""The rows of a stream in SQL: their columns, those that exist only at an as_of, and which of them count."""

from __future__ import annotations

from datetime import datetime

from sqlglot import exp

from tierwise.definitions.language.kinds import DATE, INSTANT, Kind
from tierwise.definitions.language.times import calendar_days
from tierwise.definitions.language.typed import Aggregate, Const, Expr, Window
from tierwise.definitions.streams import Stream
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.sql import cast, col, equals, fn, null, number, text, try_cast

__all__ = ["StreamRows", "row_column", "window_conditions", "window_ends", "window_start"]


class StreamRows:
    """The rows of one stream as a pass reads them: `r` the stream, `s` the spine (when joined)."""

    def __init__(self, stream: Stream, emitter: Emitter, key: exp.Expression) -> None:
        self.stream, self.emitter, self.key = stream, emitter, key

    @property
    def time(self) -> exp.Expression:
        """Return the row's time."""
        return col("time", "r")

    @property
    def pos(self) -> exp.Expression:
        """Return the row's place in the order of (customer, time, row_key)."""
        return col("pos", "r")

    def column(self, name: str) -> exp.Expression:
        """Return a column of the row; computed ones at as_of."""
        return row_column(self.stream.name, name, self.emitter)

    def kind(self, name: str) -> Kind:
        """Return the kind of a column."""
        column = self.stream.column(name)
        return INSTANT if column is None else column.kind

    def conditions(self, expr: Aggregate) -> list[exp.Expression]:
        """Return what a row must meet to be counted, beside ``time <= as_of``."""
        found = window_conditions(expr, self.emitter, self.time)
        if expr.where is not None:
            found.append(self.emitter.condition(expr.where))
        return found


def row_column(stream: str, name: str, emitter: Emitter) -> exp.Expression:
    """Return a stream's column in SQL, working out ``orders.kept`` and its like at as_of."""
    if stream == "orders" and name in ("kept", "kept_amount"):
        refunds = col("refunds", "r")
        earlier = exp.Lambda(
            this=exp.LTE(
                this=exp.Dot(this=exp.to_identifier("x"), expression=exp.to_identifier("time")),
                expression=emitter.clock.refunds_as_of,
            ),
            expressions=[exp.to_identifier("x")],
        )
        amounts = exp.Lambda(
            this=exp.Dot(this=exp.to_identifier("x"), expression=exp.to_identifier("amount")),
            expressions=[exp.to_identifier("x")],
        )
        back = exp.Coalesce(
            this=fn("list_sum", fn("list_transform", fn("list_filter", refunds, earlier), amounts)),
            expressions=[number(0)],
        )
        amount = col("amount", "r")
        rest = fn("greatest", exp.Paren(this=exp.Sub(this=amount.copy(), expression=back)), number(0))
        untouched = exp.Is(this=refunds.copy(), expression=null())
        positive = exp.Case(
            ifs=[
                exp.If(this=exp.Is(this=amount.copy(), expression=null()), true=null()),
                exp.If(this=untouched, true=fn("greatest", amount, cast(number(0), "DECIMAL(18, 2)"))),
            ],
            default=try_cast(rest, "DECIMAL(18, 2)"),
        )
        if name == "kept_amount":
            return positive
        live = exp.Not(this=exp.Paren(this=exp.Coalesce(this=col("cancelled", "r"), expressions=[exp.false()])))
        worth = exp.Or(
            this=equals(col("amount", "r"), number(0)), expression=exp.GT(this=positive, expression=number(0))
        )
        return exp.Paren(
            this=exp.Coalesce(
                this=exp.Paren(this=exp.And(this=live, expression=exp.Paren(this=worth))), expressions=[exp.false()]
            )
        )
    if stream == "visits" and name == "dwell_minutes":
        return _dwell_minutes(emitter)
    return col(name, "r")


def _dwell_minutes(emitter: Emitter) -> exp.Expression:
    """A minute has 60,000,000 µs, so its millionths are the µs / 60, rounded half away from zero."""
    micros = exp.Paren(
        this=exp.Sub(this=fn("epoch_us", col("left_at", "r")), expression=fn("epoch_us", col("time", "r")))
    )
    twice = exp.Paren(this=exp.Add(this=exp.Mul(this=fn("abs", micros), expression=number(2)), expression=number(60)))
    rounded = fn("divide", twice, number(120))
    millionths = cast(exp.Mul(this=rounded, expression=fn("sign", micros.copy())), "DECIMAL(18, 0)")
    minutes = exp.Mul(this=millionths, expression=cast(text("0.000001"), "DECIMAL(6, 6)"))
    gone = exp.LTE(this=col("left_at", "r"), expression=emitter.clock.as_of)
    return exp.Case(ifs=[exp.If(this=gone, true=try_cast(minutes, "DECIMAL(18, 6)"))])


def window_conditions(expr: Aggregate, emitter: Emitter, time: exp.Expression) -> list[exp.Expression]:
    """Return the conditions of a window on a row's time."""
    window, clock = expr.window, emitter.clock
    found: list[exp.Expression] = []
    if window.within is not None:
        found.append(exp.GT(this=time.copy(), expression=clock.minus(window.within)))
    if window.ago is not None:
        near, far = window.ago
        found.append(exp.GT(this=time.copy(), expression=clock.minus(far)))
        found.append(exp.LTE(this=time.copy(), expression=clock.minus(near)))
    if window.on:
        first, after = clock.calendar(window.on)
        found += [exp.GTE(this=time.copy(), expression=first), exp.LT(this=time.copy(), expression=after)]
    if window.since is not None:
        on_day = window.since.kind == DATE
        found.append((exp.GTE if on_day else exp.GT)(this=time.copy(), expression=_bound(window.since, emitter, 0)))
    if window.until is not None:
        on_day = window.until.kind == DATE
        found.append((exp.LT if on_day else exp.LTE)(this=time.copy(), expression=_bound(window.until, emitter, 1)))
    return found


def window_ends(expr: Aggregate, emitter: Emitter) -> tuple[list[exp.Expression], list[exp.Expression]]:
    """Return the instants a window begins at and those it ends at, of each given part; the latest and earliest hold."""
    window, clock = expr.window, emitter.clock
    lows: list[exp.Expression] = []
    highs: list[exp.Expression] = [clock.as_of]
    if window.within is not None:
        lows.append(clock.minus(window.within))
    if window.ago is not None:
        near, far = window.ago
        lows.append(clock.minus(far))
        highs.append(clock.minus(near))
    if window.on:
        first, after = clock.calendar(window.on)
        lows.append(first)
        highs.append(after)
    if window.since is not None:
        lows.append(_bound(window.since, emitter, 0))
    if window.until is not None:
        highs.append(_bound(window.until, emitter, 1))
    return lows, highs


def window_start(window: Window, clock: Clock) -> datetime | None:
    """Return an instant before which no row of the window is, when it is known now."""
    if clock.fixed is None:
        return None
    found = []
    if window.within is not None:
        found.append(clock.zone.add(clock.fixed, window.within, -1))
    if window.ago is not None:
        found.append(clock.zone.add(clock.fixed, window.ago[1], -1))
    if window.on:
        found.append(clock.zone.midnight(calendar_days(window.on, clock.zone.day_of(clock.fixed))[0]))
    if isinstance(window.since, Const) and isinstance(window.since.value, datetime):
        found.append(window.since.value)
    return max(found, default=None)


def _bound(bound: Expr, emitter: Emitter, plus_days: int) -> exp.Expression:
    """Return an instant bound, or the midnight that begins (or ends) a date."""
    value = emitter.value(bound)
    if bound.kind != DATE:
        return value
    if plus_days:
        value = cast(exp.Paren(this=exp.Add(this=value, expression=fn("to_days", number(plus_days)))), "DATE")
    return emitter.clock.midnight(value)
