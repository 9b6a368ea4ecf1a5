"""Who is one person: levels of evidence put together, strongest first, without ever joining what must stay apart.

Whatever the order in which records came, the answer is the same: a level is taken as a whole, and where it would join
two who are known to be different, all of it that lies between the two is left out, not a part of it chosen by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tierwise.identity.graph import Bools, Ints, between, components, dense, several

__all__ = ["Apart", "Level", "Linked", "Solution", "pairs_within", "solve"]


def _none() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Level:
    """Evidence of one strength: who holds which value, and who holds the same one is the same person.

    `holders` are positions of records, `values` the numbers of their values, side by side; `name` says what it is.
    A value that more than `holders_max` records hold links nobody; nothing is too many without it.
    """

    name: str
    holders: Ints
    values: Ints
    holders_max: int | None = None


@dataclass(frozen=True)
class Apart:
    """What must stay apart. An array of `exclusive` has a value for each record, -1 where it has none: two different
    ones are two people. Of each pair that was taken apart by hand, `out` was taken out and `stay` stayed.
    """

    exclusive: Sequence[Ints] = ()
    out: Ints = field(default_factory=_none)
    stay: Ints = field(default_factory=_none)


@dataclass(frozen=True)
class Linked:
    """What one level gave: its edges, and how many of its values linked nobody, because too many hold them (`hubs`)
    or because they would join who is apart (`contested`). An edge leads from a value's first record to another one.
    """

    name: str
    left: Ints
    right: Ints
    hubs: int
    contested: int


@dataclass(frozen=True)
class Solution:
    """`labels` has for each record the number of its person; `linked` what each level gave."""

    labels: Ints
    linked: tuple[Linked, ...]


def solve(count: int, levels: Sequence[Level], apart: Apart) -> Solution:
    """Put records together, level by level.

    Args:
        count: how many records there are.
        levels: the evidence, strongest first.
        apart: what no evidence joins.

    Example:
        >>> telephone = Level("phone", np.array([0, 1, 2, 3]), np.array([8, 8, 9, 9]))
        >>> verified = Apart((np.array([-1, -1, 5, 6]),))
        >>> solve(4, [telephone], verified).labels.tolist()
        [0, 0, 1, 2]
    """
    labels = np.arange(count, dtype=np.int64)
    linked = []
    for level in levels:
        labels, found = _joined(labels, level, apart)
        linked.append(found)
    return Solution(labels, tuple(linked))


def _joined(labels: Ints, level: Level, apart: Apart) -> tuple[Ints, Linked]:
    values, count = dense(level.values)
    holders, hubs = level.holders, 0
    held = np.bincount(values, minlength=count)
    useful = held[values] > 1
    if level.holders_max is not None:
        too_many = held > level.holders_max
        hubs = int(too_many.sum())
        useful &= ~too_many[values]
    holders, values = holders[useful], values[useful]
    before = len(np.unique(values))
    kept = _not_taken_out(labels, holders, values, apart)
    holders, values = holders[kept], values[kept]
    joined = _union(labels, holders, values, count)
    broken = _broken(joined, apart)
    if len(broken):
        wrong = _in_the_way(labels, joined, holders, values, broken, apart)
        holders, values = holders[~wrong], values[~wrong]
        joined = _union(labels, holders, values, count)
        assert not len(_broken(joined, apart)), "nothing joins what must stay apart"
    left, right = _edges(holders, values)
    contested = before - len(np.unique(values[np.bincount(values, minlength=count)[values] > 1]))
    return joined, Linked(level.name, left, right, hubs, contested)


def _union(labels: Ints, holders: Ints, values: Ints, count: int) -> Ints:
    """Return the people after those who hold one value have become one."""
    people = int(labels.max()) + 1 if len(labels) else 0
    return components(people + count, labels[holders], people + values)[labels] if len(holders) else labels


def _broken(labels: Ints, apart: Apart) -> Ints:
    """Return the people in whom something is together that must stay apart."""
    found = [np.unique(labels[apart.out][labels[apart.out] == labels[apart.stay]])]
    for one in apart.exclusive:
        has = one >= 0
        found.append(several(labels[has], one[has]))
    return np.unique(np.concatenate(found))


def _not_taken_out(labels: Ints, holders: Ints, values: Ints, apart: Apart) -> Bools:
    """Return which holdings count: a value of somebody who was taken out says nothing where those who stayed have it.

    So the others who share it stay together, and whoever comes later with the value comes to them.
    """
    kept = np.ones(len(holders), np.bool_)
    if not len(apart.out) or not len(holders):
        return kept
    people = labels[holders]
    concerned = np.isin(people, np.unique(np.concatenate([labels[apart.out], labels[apart.stay]])))
    places = np.flatnonzero(concerned)
    by_person: dict[int, set[int]] = {}
    for person, value in zip(people[places].tolist(), values[places].tolist(), strict=True):
        by_person.setdefault(person, set()).add(value)
    silent: dict[int, set[int]] = {}
    for out, stay in {*zip(labels[apart.out].tolist(), labels[apart.stay].tolist(), strict=True)}:
        shared = by_person.get(out, set()) & by_person.get(stay, set())
        if shared:
            silent.setdefault(out, set()).update(shared)
    for place in places.tolist():
        kept[place] = int(values[place]) not in silent.get(int(people[place]), ())
    return kept


def _in_the_way(labels: Ints, joined: Ints, holders: Ints, values: Ints, broken: Ints, apart: Apart) -> Bools:
    """Return which holdings are of a value that lies between people who must stay apart."""
    of_broken = np.isin(joined[holders], broken)
    people = int(labels.max()) + 1
    ends = [labels[side][np.isin(joined[side], broken)] for side in (apart.out, apart.stay)]
    for one in apart.exclusive:
        has = np.flatnonzero((one >= 0) & np.isin(joined, broken))
        wrong = np.isin(joined[has], several(joined[has], one[has]))
        ends.append(labels[has[wrong]])
    between_them = between(labels[holders[of_broken]], people + values[of_broken], np.unique(np.concatenate(ends)))
    wrong_values = np.unique(values[of_broken][between_them])
    return np.isin(values, wrong_values)


def _edges(holders: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Return an edge from the first holder of each value to every other one."""
    order = np.lexsort((holders, values))
    who, what = holders[order], values[order]
    begins = np.ones(len(what), np.bool_)
    begins[1:] = what[1:] != what[:-1]
    first = who[np.maximum.accumulate(np.where(begins, np.arange(len(who)), 0))] if len(who) else who
    other = first != who
    return first[other], who[other]


def pairs_within(level: Level) -> tuple[Ints, Ints]:
    """Return every pair of records that hold one value, the smaller position first; values of too many give none.

    Example:
        >>> left, right = pairs_within(Level("device", np.array([4, 1, 7, 2]), np.array([9, 9, 9, 3])))
        >>> sorted(zip(left.tolist(), right.tolist()))
        [(1, 4), (1, 7), (4, 7)]
    """
    values, count = dense(level.values)
    held = np.bincount(values, minlength=count)
    useful = held[values] > 1
    if level.holders_max is not None:
        useful &= held[values] <= level.holders_max
    order = np.lexsort((level.holders[useful], values[useful]))
    who, what = level.holders[useful][order], values[useful][order]
    lefts, rights = [_none()], [_none()]
    for distance in range(1, int(held[what].max()) if len(what) else 0):
        same = what[distance:] == what[:-distance]
        lefts.append(who[:-distance][same])
        rights.append(who[distance:][same])
    return np.concatenate(lefts), np.concatenate(rights)
