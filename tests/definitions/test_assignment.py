"""Buckets: even, stable, independent by salt, and a larger share holds all of a smaller one."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.definitions.assignment import (
    BUCKETS,
    Assignment,
    Lasting,
    Slice,
    Split,
    bucket,
    bucket_number,
    buckets_in,
)
from tierwise.errors import BadRequest


def test_the_bucket_is_the_first_13_digits_of_the_digest() -> None:
    digest = hashlib.md5("春|42".encode()).hexdigest()
    assert bucket_number(42, "春") == int(digest[:13], 16)
    assert bucket(42, "春") == int(digest[:13], 16) / 16**13


@pytest.mark.parametrize("share", ["0", "0.000001", "0.1", "0.333333", "0.5", "1"])
def test_a_share_takes_the_buckets_below_it(share: str) -> None:
    taken = buckets_in(Decimal(share))
    assert Decimal(taken - 1) < Decimal(share) * BUCKETS <= taken


def test_a_tenth_of_many_is_about_a_tenth_and_part_of_a_fifth() -> None:
    tenth, fifth = buckets_in(Decimal("0.1")), buckets_in(Decimal("0.2"))
    one = {customer for customer in range(20_000) if bucket_number(customer, "a") < tenth}
    two = {customer for customer in range(20_000) if bucket_number(customer, "a") < fifth}
    other = {customer for customer in range(20_000) if bucket_number(customer, "b") < tenth}
    assert one < two
    assert abs(len(one) - 2_000) < 200
    assert abs(len(one & other) - 200) < 60  # another salt draws anew


weights = st.dictionaries(st.sampled_from("甲乙丙丁ab"), st.integers(1, 1_000), min_size=1, max_size=5)
ids = st.integers(1, 2**53)


@settings(max_examples=40)
@given(weights, st.sampled_from(["", "春", "a|b"]), ids)
def test_everybody_falls_into_one_and_stays(given_weights: dict[str, int], salt: str, customer: int) -> None:
    """The same name whoever else is asked, and however the weights are written."""
    name = Split(salt, given_weights).of(customer)
    assert name in given_weights
    assert Split(salt, {arm: Decimal(weight) / 7 for arm, weight in given_weights.items()}).of(customer) == name


@settings(max_examples=40)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_the_edges_are_those_of_shares(parts: list[int]) -> None:
    """A name takes the buckets from where the names before it end to where it ends: `sample` has the same edges."""
    split = Split("s", {str(at): part for at, part in enumerate(parts)})
    total, customers = sum(parts), range(1, 60)
    for at in range(len(parts)):
        reached = Fraction(sum(parts[: at + 1]), total)
        below = {customer for customer in customers if bucket_number(customer, "s") < reached * BUCKETS}
        assert below == {customer for customer in customers if int(split.of(customer)) <= at}


def test_shares_are_right() -> None:
    """Of 20,000 customers each place gets what it should, within four standard errors."""
    assignment = Assignment(
        "spring",
        {"mail": 2, "sms": 1},
        holdout=Decimal("0.1"),
        lasting=Lasting(Decimal("0.05")),
        part=Slice("price", Decimal("0.2"), Decimal("0.8")),
    )
    size = 20_000
    drawn = Counter(place.variant or place.held for place in map(assignment.of, range(1, size + 1)))
    assert sum(drawn.values()) == size
    left = 0.95 * 0.6
    expected = {"lasting": 0.05, "layer": 0.95 * 0.4, "holdout": left * 0.1, "mail": left * 0.6, "sms": left * 0.3}
    for place, share in expected.items():
        assert abs(drawn[place] - share * size) < 4 * math.sqrt(size * share * (1 - share)), place


def test_draws_say_nothing_about_each_other() -> None:
    """Two campaigns, two layers and the holdouts: every pair is as if drawn apart (chi-squared, 1 degree, p 0.0001)."""
    size = range(1, 6_001)
    half = {"a": 1, "b": 1}
    draws = {
        "one": [Assignment("one", half).of(customer).variant == "a" for customer in size],
        "other": [Assignment("other", half).of(customer).variant == "a" for customer in size],
        "layer": [Slice("price", Decimal(0), Decimal("0.5")).takes(customer) for customer in size],
        "second layer": [Slice("mail", Decimal(0), Decimal("0.5")).takes(customer) for customer in size],
        "lasting": [Lasting(Decimal("0.5")).holds(customer) for customer in size],
        "holdout": [Assignment("one", half, Decimal("0.5")).of(customer).held == "holdout" for customer in size],
    }
    for one, other in combinations(draws, 2):
        both = sum(first and second for first, second in zip(draws[one], draws[other], strict=True))
        expected = sum(draws[one]) * sum(draws[other]) / len(size)
        assert 4 * (both - expected) ** 2 / expected < 15.1 * 4, (one, other)


def test_parts_of_a_layer_share_nobody() -> None:
    parts = [Slice("price", Decimal(at) / 4, Decimal(at + 1) / 4) for at in range(4)]
    assert all(sum(part.takes(customer) for part in parts) == 1 for customer in range(1, 2_000))


@given(st.decimals("0", "0.9", places=3), st.decimals("0", "0.09", places=3), ids)
def test_a_larger_holdout_holds_everybody_it_held(share: Decimal, more: Decimal, customer: int) -> None:
    half = {"a": 1, "b": 1}
    small, large = Assignment("x", half, share), Assignment("x", half, share + more)
    assert not (small.of(customer).held and not large.of(customer).held)
    # Who stays in a variant stays in the same one.
    assert large.of(customer).held or large.of(customer) == small.of(customer)
    assert not Lasting(share).holds(customer) or Lasting(share + more).holds(customer)


def test_what_cannot_be_drawn() -> None:
    for make in (
        lambda: Split("s", {}),
        lambda: Split("s", {"a": 0}),
        lambda: Split("s", {"a": Decimal("NaN")}),
        lambda: Assignment("x", {"a": 1}, holdout=Decimal(1)),
        lambda: Assignment("x", {"a": 1}, lasting=Lasting(Decimal("-0.1"))),
        lambda: Slice("x", Decimal("0.5"), Decimal("0.5")),
        lambda: Slice("x", Decimal("0.5"), Decimal("1.5")),
    ):
        with pytest.raises(BadRequest):
            make()
