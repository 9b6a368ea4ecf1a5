"""Looking often: published bounds, the error that is kept, and paths that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.errors import BadRequest
from tierwise.evaluation import Looks, bounds, crossing
from tierwise.evaluation.sequential import spent


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # Reboussin, DeMets, Kim and Lan 2000 (ld98), five equal looks, 0.025 to each side.
        ("obrien_fleming", (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)),
        ("pocock", (2.4380, 2.4268, 2.4101, 2.3966, 2.3859)),
    ],
)
def test_published_bounds(spending: str, published: tuple[float, ...]) -> None:
    assert bounds(Looks.evenly(5, spending)) == pytest.approx(published, abs=2e-4)


def test_one_look_is_the_plain_test() -> None:
    assert bounds(Looks()) == pytest.approx((1.959964,), abs=1e-6)
    assert sum(crossing(Looks(), bounds(Looks()), 2.8015852)) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("looks", [Looks.evenly(20), Looks((0.1, 0.15, 0.6, 1.0), "pocock"), Looks.evenly(50)])
def test_all_of_the_error_is_spent_and_no_more(looks: Looks) -> None:
    first = crossing(looks, bounds(looks, 0.05), 0.0)
    assert sum(first) == pytest.approx(0.05, abs=2e-5)
    for at, fraction in enumerate(looks.fractions):
        assert sum(first[: at + 1]) == pytest.approx(spent(looks.spending, 0.05, fraction), abs=2e-5)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_drawn_paths_cross_as_often(spending: str) -> None:
    """20,000 paths of Brownian motion with and without drift."""
    looks = Looks((0.2, 0.5, 0.7, 1.0), spending)
    limits = bounds(looks)
    steps = np.diff((0.0, *looks.fractions))
    for seed, drift in ((1, 0.0), (2, 2.5)):
        draws = np.random.default_rng(seed).normal(drift * steps, np.sqrt(steps), (20_000, 4))
        z = np.cumsum(draws, axis=1) / np.sqrt(looks.fractions)
        found = (np.abs(z) > limits).any(axis=1).mean()
        assert found == pytest.approx(sum(crossing(looks, limits, drift)), abs=0.01)


@pytest.mark.parametrize(
    ("fractions", "spending"),
    [((), "pocock"), ((0.5,), "pocock"), ((0.5, 0.4, 1.0), "pocock"), ((0.5, 1.0), "haybittle"), ((0.0, 1.0), "pocock"),
     ((0.5, float("nan"), 1.0), "pocock")],
)  # fmt: skip
def test_looks_that_cannot_be(fractions: tuple[float, ...], spending: str) -> None:
    with pytest.raises(BadRequest):
        Looks(fractions, spending)


def test_no_looks_and_too_many() -> None:
    for many in (0, 51):
        with pytest.raises(BadRequest, match="1 to 50 are possible"):
            Looks.evenly(many)
