"""Numbers over time: every person has one, no two the same, and undoing gives back what was."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tierwise.identity.carry import NEW, carried

RECORDS = 8
people = st.lists(st.integers(0, 4), min_size=RECORDS, max_size=RECORDS)
numbers = st.lists(st.integers(10, 14), min_size=RECORDS, max_size=RECORDS)


@given(people, numbers)
def test_each_person_has_one_number_and_no_two_the_same(labels: list[int], customers: list[int]) -> None:
    found = carried(np.array(labels), np.array(customers), {})
    by_person = {label: {int(n) for n, own in zip(found, labels, strict=True) if own == label} for label in labels}
    assert all(len(held) == 1 for held in by_person.values())
    held = [next(iter(one)) for one in by_person.values()]
    assert len(held) == len(set(held))
    assert {number for number in held if number > NEW} <= set(customers)


@given(people, numbers)
def test_a_number_is_lost_only_in_an_older_one(labels: list[int], customers: list[int]) -> None:
    found = carried(np.array(labels), np.array(customers), {}).tolist()
    for number in set(customers) - set(found):
        theirs = [found[place] for place, customer in enumerate(customers) if customer == number]
        assert any(NEW < one < number for one in theirs)


@given(st.lists(st.integers(0, 4), min_size=RECORDS, max_size=RECORDS))
def test_a_merge_that_is_undone_gives_the_numbers_back(labels: list[int]) -> None:
    before = carried(np.array(labels), np.arange(10, 10 + RECORDS), {})
    merged = carried(np.zeros(RECORDS, np.int64), before, {})
    homes = {place: int(number) for place, number in enumerate(before) if number != merged[0]}
    assert carried(np.array(labels), merged, homes).tolist() == before.tolist()


def test_the_larger_part_keeps_the_number_and_the_others_get_new_ones() -> None:
    found = carried(np.array([0, 1, 1, 2]), np.array([7, 7, 7, 7]), {})
    assert found.tolist() == [NEW, 7, 7, NEW - 1]


def test_a_number_that_somebody_has_is_not_given_back() -> None:
    found = carried(np.array([0, 0, 1, 2]), np.array([7, 7, 7, 9]), {2: 9})
    assert found.tolist() == [7, 7, NEW, 9]
