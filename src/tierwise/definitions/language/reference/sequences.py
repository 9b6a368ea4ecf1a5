"""Sequences: every way of taking one row for each step is tried, so that it is plain what is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from tierwise.definitions.language.reference.world import Row
from tierwise.definitions.language.typed import Followed

__all__ = ["followed"]


def followed(node: Followed, steps: Sequence[Sequence[Row]], without: Sequence[Row], as_of: datetime) -> bool:
    """Return whether some rows, one of each step, follow each other as the node says.

    Args:
        node: the sequence.
        steps: the rows that meet each step's condition.
        without: the rows that must not come.
        as_of: the instant of the answer.
    """
    return _continued(node, steps, without, as_of, [])


def _continued(
    node: Followed, steps: Sequence[Sequence[Row]], without: Sequence[Row], as_of: datetime, taken: list[Row]
) -> bool:
    if len(taken) == len(steps):
        return _fits(node, taken, without, as_of)
    later = [row for row in steps[len(taken)] if not taken or row.time > taken[-1].time]
    return any(_continued(node, steps, without, as_of, [*taken, row]) for row in later)


def _fits(node: Followed, taken: Sequence[Row], without: Sequence[Row], as_of: datetime) -> bool:
    first, last = taken[0], taken[-1]
    pairs = list(pairwise(taken))
    within = None if node.within is None else timedelta(microseconds=node.within.micros)
    gap = None if node.gap is None else timedelta(microseconds=node.gap.micros)
    if within is not None and last.time - first.time > within:
        return False
    if gap is not None and any(other.time - one.time > gap for one, other in pairs):
        return False
    if node.same:
        value = first.values.get(node.same)
        if value is None or any(row.values.get(node.same) != value for row in taken):
            return False
        without = [row for row in without if row.values.get(node.same) == value]
    if node.without is None:
        return True
    if within is None:
        return not any(first.time < row.time < last.time for row in without)
    passed = first.time + within <= as_of
    return passed and not any(first.time < row.time <= first.time + within for row in without)
