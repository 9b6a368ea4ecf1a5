"""When things happen: the shop's year, week and day, its campaigns and its activities.

Time inside the simulation is a day number (days since the shop's first midnight, a float). Seasons are a change of
clock: a process that is regular on the shop's own clock (`Clock.pace`) is busy in November and slow at Spring Festival.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tierwise.shop.settings import SHANGHAI, ShopSettings

__all__ = ["FUTURE_DAYS", "Clock", "Happening", "Seasons", "build_seasons", "seconds_of_day"]

#: How far past the end the truth is simulated.
FUTURE_DAYS: Final = 365

#: Wall time is counted from here, so that it can be stored as a timestamp without zone.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=SHANGHAI)
_SPRING_FESTIVAL: Final = tuple(
    date(year, month, day)
    for year, month, day in (
        (2012, 1, 23), (2013, 2, 10), (2014, 1, 31), (2015, 2, 19), (2016, 2, 8), (2017, 1, 28), (2018, 2, 16),
        (2019, 2, 5), (2020, 1, 25), (2021, 2, 12), (2022, 2, 1), (2023, 1, 22), (2024, 2, 10), (2025, 1, 29),
        (2026, 2, 17), (2027, 2, 6), (2028, 1, 26), (2029, 2, 13), (2030, 2, 3), (2031, 1, 23), (2032, 2, 11),
        (2033, 1, 31), (2034, 2, 19), (2035, 2, 8), (2036, 1, 28), (2037, 2, 15),
    )
)  # fmt: skip
#: (month, day) → how busy the day is, against an ordinary one.
_BIG_DAYS: Final = {
    (3, 7): 1.5, (3, 8): 2.2, (6, 1): 1.7, (6, 16): 1.9, (6, 17): 2.2, (6, 18): 4.0, (6, 19): 1.5, (9, 9): 1.4,
    (10, 31): 1.7, (11, 1): 2.4, (11, 10): 2.2, (11, 11): 6.0, (11, 12): 1.6, (12, 12): 2.4,
}  # fmt: skip
_MONTH: Final = (1.02, 0.92, 1.0, 0.97, 1.02, 1.05, 0.92, 0.93, 1.0, 1.02, 1.12, 1.05)
_WEEKDAY: Final = (0.93, 0.92, 0.94, 0.97, 1.04, 1.12, 1.08)
#: (name, month, first day, days) of the campaigns of a year; every month has member days besides.
_CAMPAIGNS: Final = (
    ("new_year", 1, 1, 3), ("spring_festival", 1, 15, 7), ("womens_day", 3, 5, 4), ("may_day", 5, 1, 4),
    ("618", 6, 14, 5), ("mid_autumn", 9, 20, 5), ("1111", 11, 8, 4), ("1212", 12, 11, 2),
)  # fmt: skip
_ACTIVITIES: Final = (
    ("skin_class", "store"), ("health_lecture", "store"), ("live_stream", "mini_program"), ("parents_class", "store"),
    ("nutrition_camp", "community"), ("tasting_day", "store"), ("member_live", "app"),
)  # fmt: skip
#: Weight of each hour of the day.
_ONLINE_HOURS: Final = (
    2.2, 1.1, 0.6, 0.4, 0.3, 0.5, 1.2, 2.4, 3.6, 4.6, 5.2, 5.0,
    5.6, 5.2, 4.6, 4.5, 4.6, 4.7, 5.0, 6.0, 7.6, 8.4, 7.4, 4.6,
)  # fmt: skip
_STORE_HOURS: Final = (0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 6, 5, 4, 5, 6, 7, 8, 8, 9, 8, 4, 0, 0)


@dataclass(frozen=True, slots=True)
class Clock:
    """The shop's own clock: `total[d]` is how much of it has gone by at the start of day d, one a day on average."""

    total: NDArray[np.float64]

    def pace(self, day: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shop's clock at these day numbers."""
        return np.interp(day, np.arange(len(self.total)), self.total)

    def day(self, pace: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the day numbers at which the shop's clock shows these values; past the last day it is that day."""
        return np.interp(pace, self.total, np.arange(len(self.total)))


@dataclass(frozen=True, slots=True)
class Happening:
    """An activity customers are invited to: its name, where, and the day number it begins."""

    name: str
    channel: str
    day: int


@dataclass(frozen=True, slots=True)
class Seasons:
    """The shop's calendar from its first midnight to a year past its end.

    `start_second` and `end_second` count seconds of Shanghai wall time since 1970. `campaign` gives for each day the
    position in `campaigns`, or -1; `busy` the weight of the day.
    """

    start_second: int
    end_second: int
    end_day: float
    buying: Clock
    browsing: Clock
    arriving: Clock
    busy: NDArray[np.float64]
    campaign: NDArray[np.int32]
    campaigns: tuple[str, ...]
    activities: tuple[Happening, ...]

    def day_number(self, second: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the whole day number of each second, held inside the calendar."""
        return np.clip((second - self.start_second) // 86_400, 0, len(self.busy) - 1)


def build_seasons(settings: ShopSettings) -> Seasons:
    """Return the calendar of a shop.

    Example:
        >>> seasons = build_seasons(ShopSettings())
        >>> int(np.argmax(seasons.busy[:365]))  # 11 November 2023
        133
    """
    start = settings.start
    end_day = (settings.end - start).total_seconds() / 86_400
    days = [start.date() + timedelta(days=i) for i in range(int(np.ceil(end_day)) + FUTURE_DAYS + 2)]
    busy = np.array([_weight(day) for day in days])
    numbers = np.arange(len(days))
    # Browsing grows as the app spreads (a tenth at first, all of it in the last year) and follows the seasons mildly.
    spread = np.clip(0.1 + 0.9 * numbers / max(end_day - 365, 1.0), 0.1, 1.0)
    growth = np.exp(settings.growth * numbers / 365.25)
    campaign, campaigns = _campaigns(days)
    return Seasons(
        start_second=int((start - _EPOCH).total_seconds()),
        end_second=int((settings.end - _EPOCH).total_seconds()),
        end_day=end_day,
        buying=_clock(busy / busy.mean()),
        browsing=_clock(np.sqrt(busy) / np.sqrt(busy).mean() * spread),
        arriving=_clock(np.sqrt(busy) * growth),
        busy=busy,
        campaign=campaign,
        campaigns=campaigns,
        activities=_activities(int(np.ceil(end_day))),
    )


def seconds_of_day(rng: np.random.Generator, in_store: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Draw a second of the day for each happening, by opening hours when it is in a store."""
    drawn = rng.random(len(in_store))
    online = _at_hours(drawn, _ONLINE_HOURS)
    return np.where(in_store, _at_hours(drawn, _STORE_HOURS), online).astype(np.int64)


def _at_hours(drawn: NDArray[np.float64], hours: tuple[float, ...]) -> NDArray[np.float64]:
    weights = np.concatenate(([0.0], np.cumsum(hours)))
    seconds = np.interp(drawn, weights / weights[-1], np.arange(25) * 3600.0)
    held: NDArray[np.float64] = np.minimum(seconds, 86_399.0)
    return held


def _clock(weights: NDArray[np.float64]) -> Clock:
    return Clock(np.concatenate(([0.0], np.cumsum(weights))))


def _weight(day: date) -> float:
    """Return how busy a day is: month, weekday, big days, Spring Festival and the National Day week."""
    weight = _MONTH[day.month - 1] * _WEEKDAY[day.weekday()] * _BIG_DAYS.get((day.month, day.day), 1.0)
    if day.month == 11 and 2 <= day.day <= 9:
        weight *= 1.3
    if day.month == 10 and day.day <= 7:
        weight *= 0.85
    for festival in _SPRING_FESTIVAL:
        distance = (day - festival).days
        if -20 <= distance <= -6:
            weight *= 1.45
        elif -3 <= distance <= 7:
            weight *= 0.35
    return weight


def _campaigns(days: list[date]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    names: dict[str, int] = {}
    on_day = np.full(len(days), -1, np.int32)
    for number, day in enumerate(days):
        name = f"member_day_{day:%Y_%m}" if 25 <= day.day <= 27 else ""
        for title, month, first, length in _CAMPAIGNS:
            if day.month == month and first <= day.day < first + length:
                name = f"{title}_{day.year}"
        if name:
            on_day[number] = names.setdefault(name, len(names))
    return on_day, tuple(names)


def _activities(days: int) -> tuple[Happening, ...]:
    # One activity begins every 18 days, the kinds in turn; the first after a month, so that invitations fit before it.
    return tuple(
        Happening(f"{_ACTIVITIES[turn % len(_ACTIVITIES)][0]}_{turn:03d}", _ACTIVITIES[turn % len(_ACTIVITIES)][1], day)
        for turn, day in enumerate(range(30, days + 30, 18))
    )
