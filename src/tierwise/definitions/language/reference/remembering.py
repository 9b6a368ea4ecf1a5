"""Tierings that remember, instant by instant: slow, and obviously what the language's description says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tierwise.definitions.language.keeping import Keeping, State
from tierwise.definitions.language.reference.rows import refunds_of
from tierwise.definitions.language.reference.world import CustomerId, World
from tierwise.definitions.language.typed import (
    Aggregate,
    AttributeOf,
    Expr,
    Followed,
    SegmentOf,
    TagOf,
    TierOf,
    walk_typed,
)

__all__ = ["Judge", "Judgement", "instants_of", "programme_state", "staying_tier"]

_JUST_BEFORE = timedelta(microseconds=1)


@dataclass(frozen=True)
class Judgement:
    """What the rules say at one instant: the first tier whose rule holds, and the tiers whose `stay` holds."""

    tier: int
    stays: frozenset[int]

    def keeps(self, tier: int) -> bool:
        """Whether a customer who is in this tier may stay in it."""
        return self.tier <= tier or tier in self.stays


#: (as_of, the instant up to which refunds are known) → what the rules say of one customer.
Judge = Callable[[datetime, datetime], Judgement]


@dataclass(frozen=True)
class _Standing:
    """A programme's state on the way: `judged` is when the tier was earned, None when it was fallen into."""

    tier: int
    since: datetime
    judged: datetime | None
    term_ends: datetime | None
    grace_ends: datetime | None = None


def instants_of(tiering: str, world: World, customer: CustomerId, as_of: datetime) -> tuple[list[datetime], set[Any]]:
    """Return the instants by as_of at which rows can change the tiering, ascending, and which of them are refunds."""
    times: set[datetime] = set()
    refunds: set[datetime] = set()
    for node in _read(world, tiering):
        if isinstance(node, AttributeOf):
            times |= {row.time for row in world.records.get(customer, ())}
        for stream in _streams(node):
            rows = world.streams.get(stream, {}).get(customer, ())
            times |= {row.time for row in rows}
            if stream == "orders":
                refunds |= {back.time for row in rows for back in refunds_of(world, row) if back.time > row.time}
    return sorted(time for time in times | refunds if time <= as_of), refunds


def _streams(node: Expr) -> list[str]:
    match node:
        case Aggregate(stream=stream):
            return [stream]
        case Followed(steps=steps, without=without):
            return [step.stream for step in (*steps, *([without] if without is not None else []))]
    return []


def _read(world: World, tiering: str) -> Iterator[Expr]:
    """Yield every node the tiering's rules reach."""
    pending: list[Expr] = []
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        pending.extend(expr for expr in (world.tags.get(name), world.segments.get(name)) if expr is not None)
        pending.extend(rule for _, rule in world.tierings.get(name, ()) if rule is not None)
        pending.extend(world.stays.get(name, {}).values())

    add(tiering)
    while pending:
        for node in walk_typed(pending.pop()):
            yield node
            match node:
                case TagOf(name) | SegmentOf(name) | TierOf(name):
                    add(name)


def programme_state(tiering: str, world: World, customer: CustomerId, as_of: datetime, judge: Judge) -> State:
    """Return a programme's state at as_of: advanced through the rows' times, the ends of terms and of graces."""
    tiers = [tier for tier, _ in world.tierings[tiering]]
    times, refunds = instants_of(tiering, world, customer, as_of)
    if not times:
        return State(tiers[judge(as_of, as_of).tier])
    walk = _Programme(world.keeps[tiering], world, len(tiers) - 1, judge)
    state = walk.entered(judge(times[0], times[0]).tier, times[0])
    now = times[0]
    while True:
        ends = [end for end in (state.term_ends, state.grace_ends) if end is not None and now < end <= as_of]
        following = [time for time in times if time > now]
        if not ends and not following:
            return State(tiers[state.tier], state.since, state.term_ends, state.grace_ends)
        now = min([*ends, *following])
        state = walk.advanced(state, now, now in refunds)


class _Programme:
    def __init__(self, keeping: Keeping, world: World, last: int, judge: Judge) -> None:
        self.keeping, self.zone, self.last, self.judge = keeping, world.zone, last, judge

    def entered(self, tier: int, at: datetime, earned: bool = True) -> _Standing:
        ends = None if tier == self.last else self.zone.add(at, self.keeping.term)
        return _Standing(tier, at, at if earned else None, ends)

    def renewed(self, state: _Standing, at: datetime) -> _Standing:
        return _Standing(state.tier, state.since, at, self.zone.add(at, self.keeping.term))

    def advanced(self, state: _Standing, at: datetime, refund: bool) -> _Standing:
        """Return the state after one instant."""
        now = self.judge(at, at)
        if now.tier < state.tier:
            return self.entered(now.tier, at)
        if state.tier == self.last:
            return state
        if state.grace_ends is not None:
            if now.keeps(state.tier):
                return self.renewed(state, at)
            return self.fallen(state, at, now) if at == state.grace_ends else state
        if at == state.term_ends:
            if now.keeps(state.tier):
                return self.renewed(state, at)
            if self.keeping.grace is None:
                return self.fallen(state, at, now)
            return replace(state, grace_ends=self.zone.add(at, self.keeping.grace))
        if refund and self.keeping.reassess and state.judged is not None:
            return self.reassessed(state, at, now)
        return state

    def fallen(self, state: _Standing, at: datetime, now: Judgement) -> _Standing:
        tier = state.tier + 1 if self.keeping.one_step else now.tier
        return self.entered(tier, at, earned=now.keeps(tier))

    def reassessed(self, state: _Standing, at: datetime, now: Judgement) -> _Standing:
        """Repeat the judgement that gave the tier, with the refunds known by now."""
        assert state.judged is not None
        again = self.judge(state.judged, at)
        if again.keeps(state.tier):
            return state
        if now.keeps(state.tier):
            return replace(state, judged=at)
        tier = min(again.tier, now.tier)
        judged = state.judged if again.tier == tier else at
        return _Standing(tier, at, judged, None if tier == self.last else state.term_ends)


def staying_tier(tiering: str, world: World, customer: CustomerId, as_of: datetime, judge: Judge) -> str:
    """Return the tier of a tiering with `stay`: judged at each row, just before the next one, and at as_of."""
    times, _ = instants_of(tiering, world, customer, as_of)
    moments = sorted({*times, *(time - _JUST_BEFORE for time in times[1:]), as_of})
    moments = [moment for moment in moments if not times or moment >= times[0]]
    tier = judge(moments[0], moments[0]).tier
    for moment in moments[1:]:
        now = judge(moment, moment)
        tier = tier if now.tier > tier and tier in now.stays else now.tier
    return [name for name, _ in world.tierings[tiering]][tier]
