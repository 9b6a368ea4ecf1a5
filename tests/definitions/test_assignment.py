"""Buckets: even, stable, independent by salt, and a larger share holds all of a smaller one."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest

from tierwise.definitions.assignment import BUCKETS, bucket, bucket_number, buckets_in


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
