"""Whatever the order, the same people; what must stay apart stays apart; what is merged can be taken apart again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tierwise.identity.graph import Ints
from tierwise.identity.solve import Apart, Level, pairs_within, solve

RECORDS = 9


def ints(values: list[int]) -> Ints:
    return np.array(values, np.int64)


holding = st.tuples(st.integers(0, RECORDS - 1), st.integers(0, 5))
holdings = st.lists(holding, max_size=14, unique=True)
verified = st.lists(st.sampled_from([-1, -1, -1, 0, 1, 2]), min_size=RECORDS, max_size=RECORDS)
parted = st.lists(
    st.tuples(st.integers(0, RECORDS - 1), st.integers(0, RECORDS - 1)).filter(lambda pair: pair[0] != pair[1]),
    max_size=3,
)


def people(labels: Ints) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def level(name: str, pairs: list[tuple[int, int]], order: Ints | None = None) -> Level:
    holders, values = ints([one for one, _ in pairs]), ints([value for _, value in pairs])
    return Level(name, holders if order is None else order[holders], values, 4)


def apart(exclusive: list[int], pairs: list[tuple[int, int]], order: Ints | None = None) -> Apart:
    turned = np.arange(RECORDS) if order is None else order
    by_place = np.empty(RECORDS, np.int64)
    by_place[turned] = ints(exclusive)
    return Apart((by_place,), turned[ints([a for a, _ in pairs])], turned[ints([b for _, b in pairs])])


@given(holdings, holdings, verified, parted)
def test_nothing_joins_what_must_stay_apart(
    first: list[tuple[int, int]], second: list[tuple[int, int]], exclusive: list[int], pairs: list[tuple[int, int]]
) -> None:
    found = solve(RECORDS, [level("phone", first), level("email", second)], apart(exclusive, pairs)).labels
    for group in people(found):
        assert len({exclusive[record] for record in group} - {-1}) <= 1
        assert not any({a, b} <= group for a, b in pairs)


@given(holdings, holdings, verified, parted, st.permutations(range(RECORDS)), st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference(
    first: list[tuple[int, int]],
    second: list[tuple[int, int]],
    exclusive: list[int],
    pairs: list[tuple[int, int]],
    order: list[int],
    mixed: np.random.Generator,
) -> None:
    turned = ints(order)
    found = solve(RECORDS, [level("phone", first), level("email", second)], apart(exclusive, pairs)).labels
    again = [mixed_up(first, mixed), mixed_up(second, mixed)]
    levels = [level("phone", again[0], turned), level("email", again[1], turned)]
    other = solve(RECORDS, levels, apart(exclusive, pairs, turned)).labels
    assert people(other) == {frozenset(order[record] for record in group) for group in people(found)}


def mixed_up(pairs: list[tuple[int, int]], mixed: object) -> list[tuple[int, int]]:
    copy = list(pairs)
    mixed.shuffle(copy)  # type: ignore[attr-defined]
    return copy


@given(holdings)
def test_without_anything_to_keep_apart_these_are_the_components(pairs: list[tuple[int, int]]) -> None:
    found = people(solve(RECORDS, [level("phone", pairs)], Apart()).labels)
    groups = [{record} for record in range(RECORDS)]
    for value in range(6):
        holders = {record for record, held in pairs if held == value}
        if 1 < len(holders) <= 4:
            joined = set().union(*(group for group in groups if group & holders))
            groups = [group for group in groups if not group & holders] + [joined]
    assert found == {frozenset(group) for group in groups}


@given(holdings, verified)
def test_every_edge_is_within_a_person_and_they_hold_each_person_together(
    pairs: list[tuple[int, int]], exclusive: list[int]
) -> None:
    found = solve(RECORDS, [level("phone", pairs)], apart(exclusive, []))
    (linked,) = found.linked
    assert (found.labels[linked.left] == found.labels[linked.right]).all()
    joined = solve(RECORDS, [Level("edges", *bipartite(linked.left, linked.right))], Apart()).labels
    assert people(joined) == people(found.labels)


def bipartite(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    numbers = np.arange(len(left))
    return np.concatenate([left, right]), np.concatenate([numbers, numbers])


def test_who_was_taken_out_no_longer_speaks_for_what_the_others_share() -> None:
    shared = [(0, 0), (1, 0), (2, 0), (3, 0)]
    found = solve(RECORDS, [level("phone", shared)], apart([-1] * RECORDS, [(0, 1), (0, 2)]))
    assert frozenset({1, 2, 3}) in people(found.labels)
    assert found.linked[0].contested == 0


@given(holdings)
def test_pairs_within_are_those_of_every_two_holders(pairs: list[tuple[int, int]]) -> None:
    left, right = pairs_within(level("device", pairs))
    wanted = set()
    for value in range(6):
        holders = sorted({record for record, held in pairs if held == value})
        if len(holders) <= 4:
            wanted |= {(a, b) for a in holders for b in holders if a < b}
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == wanted
