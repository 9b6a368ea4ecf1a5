"""How much moves: the stability index by hand, and what a migration matrix says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tierwise.value.tiers import drift, migration


def test_the_index_by_hand() -> None:
    """Two values, half and half before, one quarter and three quarters after."""
    before, after = [0.0, 1.0] * 50, [0.0] + [1.0] * 3
    assert drift(before, after) == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5))
    assert drift(before, before) == 0


def test_what_is_missing_is_a_value_of_its_own() -> None:
    before = [1.0, 2.0, float("nan"), float("nan")] * 10
    assert drift(before, before) == 0
    assert drift(before, [1.0, 2.0] * 10) > 0.25
    assert drift([float("nan")] * 10, [1.0] * 10) > 0.25


def test_a_steady_population_is_steady() -> None:
    rng = np.random.default_rng(1)
    assert drift(rng.lognormal(0, 1, 5_000), rng.lognormal(0, 1, 5_000)) < 0.02
    assert drift(rng.lognormal(0, 1, 5_000), rng.lognormal(1, 1, 5_000)) > 0.25


def test_nobody_moves_and_everybody_is_drawn_anew() -> None:
    still = migration({("a", "a"): 30, ("b", "b"): 70}, ["a", "b"])
    assert still is not None
    assert (still.customers, still.stayed, still.entropy) == (100, 1, 0)
    assert still.kappa == pytest.approx(1)
    drawn = migration({("a", "a"): 25, ("a", "b"): 25, ("b", "a"): 25, ("b", "b"): 25}, ["a", "b"])
    assert drawn is not None
    assert drawn.stayed == 0.5
    assert drawn.entropy == pytest.approx(1)
    assert drawn.kappa == pytest.approx(0)


def test_without_a_choice_there_is_no_agreement() -> None:
    one = migration({("a", "a"): 5}, ["a"])
    assert one is not None
    assert (one.kappa, one.entropy) == (None, 0)
    assert migration({}, ["a", "b"]) is None
    assert migration({("gone", "a"): 5}, ["a", "b"]) is None
