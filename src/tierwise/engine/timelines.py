"""Tierings that remember, folded over every customer's instants at once: who is in which tier from when on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import numpy as np

from tierwise.definitions.language.keeping import Keeping
from tierwise.definitions.language.times import Duration, Zone

__all__ = ["NEVER", "Instants", "Judge", "Judged", "Timelines", "programme_timelines", "stay_timelines", "stayed"]

#: An instant that does not come, in microseconds since 1970.
NEVER: Final = np.iinfo(np.int64).max
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Instants:
    """The instants at which rows can change a tiering, by customer and time, in microseconds since 1970.

    `ids` are the customers, ascending; those of ids[i] stand at start[i] … start[i + 1] - 1. `until` is how far each
    customer's timeline is wanted.
    """

    ids: np.ndarray
    start: np.ndarray
    time: np.ndarray
    refund: np.ndarray
    until: np.ndarray

    @property
    def who(self) -> np.ndarray:
        """Return the place in `ids` of each instant's customer."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.start))


@dataclass(frozen=True)
class Judged:
    """What the rules say at some instants: the first tier whose rule holds, and which tiers' `stay` does."""

    tier: np.ndarray
    stays: np.ndarray

    def keeps(self, tier: np.ndarray) -> np.ndarray:
        """Return whether a customer in this tier may stay in it."""
        found: np.ndarray = (self.tier <= tier) | self.stays[np.arange(len(tier)), tier]
        return found

    def at(self, places: np.ndarray) -> Judged:
        """Return the judgements at some of the places."""
        return Judged(self.tier[places], self.stays[places])


#: (places in `Instants.ids`, as_of, the instants up to which refunds are known) → the judgements there.
Judge = Callable[[np.ndarray, np.ndarray, np.ndarray], Judged]


@dataclass(frozen=True)
class Timelines:
    """States by customer and the instant they begin; the last one of ids[i] stands at start[i + 1] - 1."""

    ids: np.ndarray
    start: np.ndarray
    at: np.ndarray
    tier: np.ndarray
    since: np.ndarray
    term_ends: np.ndarray
    grace_ends: np.ndarray

    def places(self, customers: np.ndarray, as_of: np.ndarray) -> np.ndarray:
        """Return where the state of each (customer, as_of) stands, -1 before the customer's first instant."""
        index = np.searchsorted(self.ids, customers)
        known = index < len(self.ids)
        known[known] = self.ids[index[known]] == customers[known]
        index = np.where(known, index, 0)
        if not len(self.ids):
            return np.full(len(customers), -1, np.int64)
        after = _after(self.at, self.start[index], self.start[index + 1], as_of)
        return np.where(known & (after > self.start[index]), after - 1, -1)


def programme_timelines(
    instants: Instants, judged: Judged, keeping: Keeping, zone: Zone, last: int, judge: Judge
) -> Timelines:
    """Return the states a programme gives, advanced through rows' times, ends of terms and ends of graces.

    Args:
        instants: who and when.
        judged: what the rules say at each of the instants.
        keeping: the programme's terms.
        zone: whose calendar the lengths of time are in.
        last: the place of the last tier, which everyone left is in and which has no term.
        judge: what the rules say at other instants.
    """
    return _Fold(instants, judged, keeping, zone, last, judge).run()


class _Fold:
    """All customers' states, advanced together; each round takes every customer to their next change."""

    def __init__(
        self, instants: Instants, judged: Judged, keeping: Keeping, zone: Zone, last: int, judge: Judge
    ) -> None:
        self.instants, self.judged, self.keeping, self.zone = instants, judged, keeping, zone
        self.last, self.judge = last, judge
        count = len(instants.ids)
        self.next, self.stop = instants.start[:-1].copy(), instants.start[1:]
        self.tier = np.zeros(count, np.int64)
        self.since, self.judged_at = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.earned = np.ones(count, bool)
        self.term_ends, self.grace_ends = np.full(count, NEVER), np.full(count, NEVER)
        self.noted: list[tuple[np.ndarray, ...]] = []
        self._better: dict[int, np.ndarray] = {}
        self._kept: dict[int, np.ndarray] = {}

    def run(self) -> Timelines:
        everyone = np.arange(len(self.instants.ids))
        first = self.next.copy()
        self.next += 1
        self.enter(everyone, self.judged.tier[first], self.instants.time[first], self.earned.copy())
        active = everyone
        while active.size:
            active = self.round(active)
        who, at, tier, since, term_ends, grace_ends = (
            np.concatenate([note[i] for note in self.noted]) for i in range(6)
        )
        order = np.argsort(who, kind="stable")  # each customer's states were noted in the order of time
        start = np.searchsorted(who[order], np.arange(len(self.instants.ids) + 1))
        columns = (column[order] for column in (at, tier, since, term_ends, grace_ends))
        return Timelines(self.instants.ids, start, *columns)

    def round(self, active: np.ndarray) -> np.ndarray:
        """Advance until everyone waits for a judgement at an instant of their own; judge; return who goes on."""
        ended: list[tuple[np.ndarray, np.ndarray]] = []
        refunded: list[tuple[np.ndarray, np.ndarray]] = []
        while active.size:
            row = self.next_row(active)
            there = row < self.stop[active]
            row_time = np.where(there, self.instants.time[np.minimum(row, len(self.instants.time) - 1)], NEVER)
            end = np.minimum(self.grace_ends[active], np.where(self.in_grace(active), NEVER, self.term_ends[active]))
            live = np.minimum(end, row_time) <= self.instants.until[active]
            active, row, row_time, end = active[live], row[live], row_time[live], end[live]
            by_time = end <= row_time
            ended.append((active[by_time], end[by_time]))
            active, row = active[~by_time], row[~by_time]
            self.next[active] = row + 1
            waits = self.take_rows(active, row)
            refunded.append((active[waits], row[waits]))
            active = active[~waits]
        who, at = (np.concatenate([one[i] for one in ended]) for i in range(2))
        back, row = (np.concatenate([one[i] for one in refunded]) for i in range(2))
        if not len(who) + len(back):
            return back
        refund_time = self.instants.time[row]
        asked = np.concatenate([who, back])
        found = self.judge(
            asked, np.concatenate([at, self.judged_at[back]]), np.concatenate([at, refund_time]).astype(np.int64)
        )
        places = np.arange(len(asked))
        self.take_ends(who, at, found.at(places[: len(who)]))
        self.take_refunds(back, refund_time, found.at(places[len(who) :]), self.judged.at(row))
        return asked

    def in_grace(self, who: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.grace_ends[who] != NEVER
        return found

    # -- what comes next --------------------------------------------------------------------------------------------

    def next_row(self, who: np.ndarray) -> np.ndarray:
        """Return the place of the next instant that can matter: a better tier, a kept one in grace, a refund."""
        found = np.full(len(who), len(self.instants.time), np.int64)
        tier, grace, place = self.tier[who], self.in_grace(who), self.next[who]
        for one in np.unique(tier):
            better, kept = (tier == one) & ~grace, (tier == one) & grace
            if better.any():
                found[better] = self.better(int(one))[place[better]]
            if kept.any():
                found[kept] = self.kept(int(one))[place[kept]]
        if self.keeping.reassess:
            reassessed = self.earned[who] & ~grace & (tier != self.last)
            found[reassessed] = np.minimum(found[reassessed], self.refunds[place[reassessed]])
        return found

    def better(self, tier: int) -> np.ndarray:
        if tier not in self._better:
            self._better[tier] = _next_of(self.judged.tier < tier)
        return self._better[tier]

    def kept(self, tier: int) -> np.ndarray:
        if tier not in self._kept:
            self._kept[tier] = _next_of((self.judged.tier <= tier) | self.judged.stays[:, tier])
        return self._kept[tier]

    @cached_property
    def refunds(self) -> np.ndarray:
        return _next_of(self.instants.refund)

    # -- what it does -----------------------------------------------------------------------------------------------

    def take_rows(self, who: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Let rows have their effect; return for whom a refund has the tier judged again."""
        at, found = self.instants.time[row], self.judged.tier[row]
        up = found < self.tier[who]
        renewed = ~up & self.in_grace(who)
        self.enter(who[up], found[up], at[up], np.ones(int(up.sum()), bool))
        self.renew(who[renewed], at[renewed])
        waits: np.ndarray = ~up & ~renewed
        return waits

    def take_ends(self, who: np.ndarray, at: np.ndarray, now: Judged) -> None:
        """Let terms and graces end."""
        self.next[who] = _after(self.instants.time, self.next[who], self.stop[who], at)
        up, kept = now.tier < self.tier[who], now.keeps(self.tier[who])
        self.enter(who[up], now.tier[up], at[up], np.ones(int(up.sum()), bool))
        renewed = kept & ~up
        self.renew(who[renewed], at[renewed])
        begins = ~kept & ~self.in_grace(who) if self.keeping.grace is not None else np.zeros(len(who), bool)
        if self.keeping.grace is not None:
            self.grace_ends[who[begins]] = _later(at[begins], self.keeping.grace, self.zone)
            self.note(who[begins], at[begins])
        falls = ~kept & ~begins
        to = self.tier[who] + 1 if self.keeping.one_step else now.tier
        to = np.minimum(to, self.last)
        self.enter(who[falls], to[falls], at[falls], now.keeps(to)[falls])

    def take_refunds(self, who: np.ndarray, at: np.ndarray, again: Judged, now: Judged) -> None:
        """Repeat the judgement that gave the tier, with the refunds known since."""
        lost = ~again.keeps(self.tier[who])
        anew = lost & now.keeps(self.tier[who])
        self.judged_at[who[anew]] = at[anew]
        falls = lost & ~anew
        who, at, first, second = who[falls], at[falls], again.tier[falls], now.tier[falls]
        to = np.minimum(first, second)
        self.judged_at[who] = np.where(first == to, self.judged_at[who], at)
        self.tier[who], self.since[who] = to, at
        self.term_ends[who] = np.where(to == self.last, NEVER, self.term_ends[who])
        self.note(who, at)

    def enter(self, who: np.ndarray, tier: np.ndarray, at: np.ndarray, earned: np.ndarray) -> None:
        self.tier[who], self.since[who], self.judged_at[who], self.earned[who] = tier, at, at, earned
        self.term_ends[who] = np.where(tier == self.last, NEVER, _later(at, self.keeping.term, self.zone))
        self.grace_ends[who] = NEVER
        self.note(who, at)

    def renew(self, who: np.ndarray, at: np.ndarray) -> None:
        self.judged_at[who], self.earned[who] = at, True
        self.term_ends[who] = _later(at, self.keeping.term, self.zone)
        self.grace_ends[who] = NEVER
        self.note(who, at)

    def note(self, who: np.ndarray, at: np.ndarray) -> None:
        columns = (self.tier, self.since, self.term_ends, self.grace_ends)
        self.noted.append((who, at, *(column[who] for column in columns)))


def stay_timelines(instants: Instants, judged: Judged) -> Timelines:
    """Return the tiers of a tiering with `stay`: the first match, or the tier before while its stay holds."""
    counts = np.diff(instants.start)
    tier = judged.tier.astype(np.int64)
    order = np.argsort(-counts, kind="stable")  # who has most instants first: the rest drop out from the end
    longest = int(counts.max(initial=0))
    for step in range(1, longest):
        order = order[: int(np.searchsorted(-counts[order], -step, side="left"))]
        place = instants.start[order] + step
        tier[place] = stayed(tier[place - 1], judged.at(place))
    never = np.full(len(tier), NEVER)
    return Timelines(instants.ids, instants.start, instants.time, tier, instants.time, never, never)


def stayed(before: np.ndarray, now: Judged) -> np.ndarray:
    """Return the tier after one judgement: the one before while its `stay` holds and nothing better is met.

    Example:
        >>> now = Judged(np.array([2, 2]), np.array([[True, False, False], [False, False, False]]))
        >>> stayed(np.array([0, 0]), now).tolist()
        [0, 2]
    """
    holds = (now.tier > before) & now.stays[np.arange(len(before)), before]
    return np.where(holds, before, now.tier)


def _later(at: np.ndarray, length: Duration, zone: Zone) -> np.ndarray:
    """Return instants a length of time later; one beyond the year 9999 does not come."""
    if not length.is_calendar:
        return at + length.micros
    known, place = np.unique(at, return_inverse=True)
    return np.array([_calendar_later(int(one), length, zone) for one in known], np.int64)[place]


def _calendar_later(at: int, length: Duration, zone: Zone) -> int:
    try:
        return (zone.add(_EPOCH + timedelta(microseconds=at), length) - _EPOCH) // timedelta(microseconds=1)
    except (OverflowError, ValueError):
        return int(NEVER)


def _next_of(mask: np.ndarray) -> np.ndarray:
    """Return for each place the next one, itself included, where a mask holds; their number where there is none."""
    count = len(mask)
    places = np.where(mask, np.arange(count, dtype=np.int64), count)
    found: np.ndarray = np.append(np.minimum.accumulate(places[::-1])[::-1], count)
    return found


def _after(time: np.ndarray, low: np.ndarray, high: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the first places in [low, high) whose time is after `at`, by halving all intervals at once."""
    low, high = low.copy(), high.copy()
    while True:
        is_open = low < high
        if not is_open.any():
            return low
        middle = (low + high) // 2
        later = time[np.minimum(middle, len(time) - 1)] > at
        high = np.where(is_open & later, middle, high)
        low = np.where(is_open & ~later, middle + 1, low)
