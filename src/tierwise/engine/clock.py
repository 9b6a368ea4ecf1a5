"""As_of and the calendar in SQL: one clock for a fixed instant, and the same for a column of instants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import DATE
from tierwise.definitions.language.times import A_YEAR_AGO, CALENDAR_WORDS, Duration, Zone, calendar_days
from tierwise.engine.sql import cast, fn, interval_micros, literal, null, number, text, timestamp, when

__all__ = ["Clock", "bound"]


@dataclass(frozen=True)
class Clock:
    """The instant of the answer: `fixed`, or the SQL `column` that holds it for each moment.

    `earliest` is the first day a row's time can have; times of rows need no offset changes before it. `refunds` holds
    the instant up to which refunds are known, where that is another one.
    """

    zone: Zone
    fixed: datetime | None = None
    column: exp.Expression | None = None
    earliest: datetime = datetime(2000, 1, 1)
    refunds: exp.Expression | None = None

    @property
    def refunds_as_of(self) -> exp.Expression:
        """Return the instant up to which refunds are known."""
        return self.as_of if self.refunds is None else self.refunds.copy()

    @property
    def as_of(self) -> exp.Expression:
        """Return as_of in SQL."""
        if self.fixed is not None:
            return timestamp(self.fixed)
        assert self.column is not None
        return self.column.copy()

    @property
    def today(self) -> exp.Expression:
        """Return the local date of as_of."""
        if self.fixed is not None:
            return literal(self.zone.day_of(self.fixed), DATE)
        return cast(self.local(self.as_of), "DATE")

    # -- wall time and back -----------------------------------------------------------------------------------------

    def local(self, instant: exp.Expression, of_row: bool = False) -> exp.Expression:
        """Return the wall time of a UTC instant; `of_row` when it is a row's time, never before `earliest`."""
        first, changes = self.zone.first_offset, list(self.zone.changes)
        if of_row:
            before = [change for change in changes if change[0] <= self.earliest - timedelta(days=2)]
            first = before[-1][1] if before else first
            last = self.fixed or datetime.max
            changes = [change for change in changes[len(before) :] if change[0] <= last]
            return _shift(instant, first, changes, _at_change, 1)
        whole = _wall_time(instant, first, changes) if len(changes) <= _FEW else fn(_LOCAL_TIME, instant)
        return self._settled(instant, 1, whole)

    def local_date(self, instant: exp.Expression, of_row: bool = False) -> exp.Expression:
        """Return the local date of a UTC instant."""
        return cast(self.local(instant, of_row), "DATE")

    def to_utc(self, wall: exp.Expression, inline: bool = False) -> exp.Expression:
        """Return the UTC instant of a wall time; what does not exist moves forward, what exists twice is the first.

        `inline` writes the whole CASE out, which is faster over a plain column.
        """
        if inline or len(self.zone.changes) <= _FEW:
            whole = _shift(wall, self.zone.first_offset, self.zone.changes, _at_wall_change, -1)
        else:
            whole = fn(_UTC_TIME, wall)
        return self._settled(wall, -1, whole)

    def _settled(self, value: exp.Expression, sign: int, otherwise: exp.Expression) -> exp.Expression:
        """Return a plain column's time by the zone's last offset where it is after all changes, else `otherwise`.

        Many zones have changed their clocks for the last time before any row: then that is nearly every value, and the
        long way is only written down.
        """
        if not self.zone.changes or not isinstance(value, exp.Column):
            return otherwise
        last, offset = self.zone.changes[-1]
        if last > self.earliest:
            return otherwise
        margin = timedelta(days=2)  # more than any offset, so that both sides of the change and of the calendar hold
        inside = exp.Between(this=value.copy(), low=timestamp(last + margin), high=timestamp(datetime.max - margin))
        step = interval_micros(sign * (offset // timedelta(microseconds=1)))
        return when([(inside, exp.Add(this=value.copy(), expression=step))], otherwise)

    def midnight(self, day: exp.Expression) -> exp.Expression:
        """Return the instant at which a local date begins."""
        return self.to_utc(cast(day, "TIMESTAMP"))

    def macros(self) -> Mapping[str, exp.Expression]:
        """Return the functions of one argument ``w`` that a backend must define before this clock's SQL runs."""
        return _conversions(self.zone)

    # -- arithmetic -------------------------------------------------------------------------------------------------

    def minus(self, duration: Duration) -> exp.Expression:
        """Return as_of less a duration."""
        if self.fixed is not None:
            return timestamp(self.zone.add(self.fixed, duration, -1))
        return self.add(self.as_of, duration, -1)

    def add(self, instant: exp.Expression, duration: Duration, sign: int) -> exp.Expression:
        """Return an instant plus (or minus) a duration, calendar units at the same wall time."""
        if duration.is_calendar:
            return self.to_utc(
                exp.Add(
                    this=exp.Paren(this=self.local(instant)), expression=fn("to_months", number(sign * duration.months))
                )
            )
        return exp.Add(this=instant, expression=interval_micros(sign * duration.micros))

    def calendar(self, word: str) -> tuple[exp.Expression, exp.Expression]:
        """Return the instants at which a calendar word's period begins and ends (the end excluded)."""
        if self.fixed is not None:
            first, after = calendar_days(word, self.zone.day_of(self.fixed))
            return timestamp(self.zone.midnight(first)), timestamp(self.zone.midnight(after))
        if word in A_YEAR_AGO:
            then = exp.Sub(this=self.today, expression=fn("to_months", number(12)))
            begins = exp.Anonymous(this="date_trunc", expressions=[text(A_YEAR_AGO[word]), exp.Paren(this=then)])
            ends = exp.Add(this=exp.Paren(this=then.copy()), expression=fn("to_days", number(1)))
            return self.midnight(cast(begins, "DATE")), self.midnight(cast(ends, "DATE"))
        unit, back = CALENDAR_WORDS[word]
        start = exp.Anonymous(this="date_trunc", expressions=[text(unit), self.today])
        step = {
            "day": (fn, "to_days", 1),
            "week": (fn, "to_days", 7),
            "month": (fn, "to_months", 1),
            "quarter": (fn, "to_months", 3),
            "year": (fn, "to_months", 12),
        }[unit]
        first_day = exp.Sub(this=start, expression=fn(step[1], number(step[2] * back)))
        after_day = exp.Add(this=exp.Paren(this=first_day.copy()), expression=fn(step[1], number(step[2])))
        return self.midnight(cast(first_day, "DATE")), self.midnight(cast(after_day, "DATE"))

    def fixed_minus(self, duration: Duration) -> datetime | None:
        """Return as_of less a duration as a value, when as_of is fixed."""
        return None if self.fixed is None else self.zone.add(self.fixed, duration, -1)

    def fixed_midnight(self, instant: datetime) -> datetime:
        """Return the beginning of the local day an instant falls in."""
        return self.zone.to_utc(datetime.combine(self.zone.day_of(instant), time()))


#: Zones with more offset changes than this are converted by a function that the backend defines once.
_FEW: Final = 16
_LOCAL_TIME: Final = "local_time"
_UTC_TIME: Final = "utc_time"


@cache
def _conversions(zone: Zone) -> Mapping[str, exp.Expression]:
    """Return the functions of a zone, once: making them takes longer than most statements."""
    if len(zone.changes) <= _FEW:
        return {}
    wall = exp.Paren(this=exp.column("w"))
    return {
        _LOCAL_TIME: _wall_time(wall, zone.first_offset, zone.changes),
        _UTC_TIME: _shift(wall.copy(), zone.first_offset, zone.changes, _at_wall_change, -1),
    }


_Edge = Callable[[datetime, timedelta, timedelta], datetime]


def _at_change(change: datetime, before: timedelta, after: timedelta) -> datetime:
    return change


def _at_wall_change(change: datetime, before: timedelta, after: timedelta) -> datetime:
    return change + max(before, after)


def _wall_time(
    value: exp.Expression, first: timedelta, changes: Sequence[tuple[datetime, timedelta]]
) -> exp.Expression:
    """Return the wall time of an instant, NULL where that is outside the years 1 to 9999."""
    last = changes[-1][1] if changes else first
    long = not isinstance(value, exp.Column)
    of = exp.column("v") if long else value
    outside: list[exp.Expression] = []
    if first < timedelta():
        outside.append(exp.LT(this=of.copy(), expression=timestamp(datetime.min - first)))
    if last > timedelta():
        outside.append(exp.GT(this=of.copy(), expression=timestamp(datetime.max - last)))
    if not outside:
        return _shift(value, first, changes, _at_change, 1)
    inside = _halve(of, first, changes, _at_change, 1)
    chosen = when([(condition, null()) for condition in outside], inside)
    return bound(value, chosen) if long else chosen


def _shift(
    value: exp.Expression, first: timedelta, changes: Sequence[tuple[datetime, timedelta]], edge: _Edge, sign: int
) -> exp.Expression:
    """Add the offset in force; a value that is itself long is bound once, by a lambda over a list of one."""
    if not changes or isinstance(value, exp.Column):
        return _halve(value, first, changes, edge, sign)
    return bound(value, _halve(exp.column("v"), first, changes, edge, sign))


def bound(value: exp.Expression, body: exp.Expression) -> exp.Expression:
    """Return an expression over ``v`` for a value that is worked out once."""
    chosen = exp.Lambda(this=body, expressions=[exp.to_identifier("v")])
    return fn("list_extract", fn("list_transform", exp.Array(expressions=[value]), chosen), number(1))


def _halve(
    value: exp.Expression, first: timedelta, changes: Sequence[tuple[datetime, timedelta]], edge: _Edge, sign: int
) -> exp.Expression:
    """Find the offset in force by halving the list of changes: a CASE of logarithmic depth."""
    if not changes:
        micros = first // timedelta(microseconds=1)
        return value if micros == 0 else exp.Add(this=value, expression=interval_micros(sign * micros))
    middle = len(changes) // 2
    before = changes[middle - 1][1] if middle else first
    at, after = changes[middle]
    return when(
        [
            (
                exp.LT(this=value.copy(), expression=timestamp(edge(at, before, after))),
                _halve(value.copy(), first, changes[:middle], edge, sign),
            )
        ],
        _halve(value.copy(), after, changes[middle + 1 :], edge, sign),
    )
