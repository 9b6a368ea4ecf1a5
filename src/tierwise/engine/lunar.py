"""The lunar calendar in SQL: its days as tables that expressions join, made only where an expression asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import DATE, INTEGER, list_of
from tierwise.definitions.language.lunar import FIRST_YEAR, LAST_YEAR, kept_on, lunar_days
from tierwise.definitions.language.times import Duration, add_months
from tierwise.engine.sql import cast, fn, literal, number
from tierwise.engine.values import days_step

if TYPE_CHECKING:
    from tierwise.engine.emit import Emitter

__all__ = ["lunar_anniversary", "lunar_tables"]

#: The table of lunar days by date, and that of the dates on which each lunar day is kept.
_DAYS: Final = "lunar_days$"
_KEPT: Final = "lunar_kept$"


@cache
def lunar_tables() -> Mapping[str, pa.Table]:
    """Return the tables that `lunar_anniversary` joins, by name."""
    numbered = [(day, month * 100 + of_month) for day, (month, of_month) in lunar_days()]
    first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR + 1, 12, 31)
    lunar = sorted({number for _, number in numbered})
    return {
        _DAYS: pa.table(
            {
                "key": pa.array([day for day, _ in numbered], pa.date32()),
                "lunar_day": pa.array([number for _, number in numbered], pa.int64()),
            }
        ),
        _KEPT: pa.table(
            {
                "key": pa.array(lunar, pa.int64()),
                "days": pa.array([kept_on(divmod(day, 100), first, last) for day in lunar], pa.list_(pa.date32())),
            }
        ),
    }


def lunar_anniversary(emitter: Emitter, day: exp.Expression, within: Duration) -> exp.Expression:
    """Return whether the lunar day of a date is kept on today … today + within."""
    lunar = emitter.lookup(_DAYS, day, "lunar_day", INTEGER)
    if emitter.clock.fixed is not None:
        today = emitter.clock.zone.day_of(emitter.clock.fixed)
        last = add_months(today, within.months) + timedelta(microseconds=within.micros)
        kept = [m * 100 + d for m in range(1, 13) for d in range(1, 31) if kept_on((m, d), today, last)]
        return exp.In(this=lunar, expressions=[number(day) for day in kept]) if kept else exp.false()
    days = emitter.lookup(_KEPT, lunar, "days", list_of(DATE))
    today_, step = emitter.clock.today, days_step(within, 1)
    last_ = cast(exp.Paren(this=exp.Add(this=today_.copy(), expression=step)), "DATE")
    soon = exp.Between(this=exp.column("k"), low=today_, high=last_)
    found = fn("list_filter", days, exp.Lambda(this=soon, expressions=[exp.to_identifier("k")]))
    return exp.GT(this=fn("len", found), expression=literal(0, INTEGER))
