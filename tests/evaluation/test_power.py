"""How many customers are needed: the textbook's formula, and experiments that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from tierwise.errors import BadRequest
from tierwise.evaluation import Looks, Trial, bounds, detectable, needed, power_of

DRAWS = 4_000


def found_by_drawing(trial: Trial, effect: float, control: int, treatment: int, seed: int) -> float:
    """Return how often experiments that are drawn customer by customer, look by look, show the effect."""
    rng = np.random.default_rng(seed)
    limits = bounds(trial.looks, trial.alpha)
    sizes = np.array([control, treatment])
    steps = np.diff((0.0, *trial.looks.fractions))
    rates = np.array([trial.mean, trial.mean + effect])
    cases, seen = np.zeros((DRAWS, 2)), np.zeros(2)
    shown = np.zeros(DRAWS, bool)
    for step, limit in zip(steps, limits, strict=True):
        more = np.round(sizes * step)
        cases += rng.binomial(more.astype(np.int64), rates, (DRAWS, 2))
        seen += more
        p = cases / seen
        error = np.sqrt((p * (1 - p) / seen).sum(axis=1))
        shown |= np.abs(p[:, 1] - p[:, 0]) > limit * error
    return float(shown.mean())


@pytest.mark.parametrize(
    "trial",
    [
        Trial(0.10),
        Trial(0.10, control=0.2),
        Trial(0.10, looks=Looks.evenly(4)),
        Trial(0.10, looks=Looks((0.3, 0.6, 1.0), "pocock")),
    ],
)
def test_what_is_promised_is_found(trial: Trial) -> None:
    """Within 2 points, and without an effect no more than the error."""
    plan = needed(trial, 0.02)
    assert plan.power == pytest.approx(0.8, abs=0.002)
    assert found_by_drawing(trial, 0.02, plan.control, plan.treatment, 1) == pytest.approx(plan.power, abs=0.02)
    assert found_by_drawing(trial, 0.0, plan.control, plan.treatment, 2) == pytest.approx(0.05, abs=0.01)


def test_the_textbook() -> None:
    """n of each arm = (z_alpha/2 + z_power)^2 (p0 q0 + p1 q1) / effect^2; 2 sd^2 / effect^2 of an amount."""
    z = (ndtri(0.975) + ndtri(0.8)) ** 2
    assert needed(Trial(0.10), 0.02).control == pytest.approx(z * (0.09 + 0.1056) / 0.0004, abs=1)
    amount = needed(Trial(50.0, 120.0), 5.0)
    assert amount.control == amount.treatment == pytest.approx(z * 2 * 120**2 / 25, abs=1)
    # What is known before explains half of the variance.
    halved = needed(Trial(50.0, 120.0, correlation=0.5**0.5), 5.0)
    assert halved.customers == pytest.approx(amount.customers / 2, abs=2)


def test_several_comparisons_share_the_error() -> None:
    alone, shared = needed(Trial(0.1), 0.02), needed(Trial(0.1, arms=2, metrics=3), 0.02)
    z = ((ndtri(1 - 0.05 / 12) + ndtri(0.8)) / (ndtri(0.975) + ndtri(0.8))) ** 2
    assert shared.control == pytest.approx(alone.control * z, abs=2)
    assert shared.customers == 3 * shared.control


def test_there_and_back() -> None:
    for trial in (Trial(0.1, looks=Looks.evenly(3)), Trial(20.0, 60.0, control=0.3)):
        plan = needed(trial, 0.03 if trial.deviation is None else 2.0, 0.9)
        assert power_of(trial, plan.effect, plan.customers) == pytest.approx(0.9, abs=0.002)
        assert detectable(trial, plan.customers, 0.9).effect == pytest.approx(plan.effect, rel=0.002)


def test_stopping_early_saves_customers() -> None:
    plan = needed(Trial(0.1, looks=Looks.evenly(4)), 0.02)
    fixed = needed(Trial(0.1), 0.02)
    assert plan.stops_at < fixed.customers < plan.customers < 1.05 * fixed.customers
    assert fixed.stops_at == fixed.customers


def test_how_long() -> None:
    plan = needed(Trial(0.1), 0.02)
    assert plan.days(1_000) == -(-plan.customers // 1_000)
    assert plan.days(1_000, 14) == plan.days(1_000) + 14
    for per_day, window in ((0, 0), (10, -1), (float("inf"), 0)):
        with pytest.raises(BadRequest):
            plan.days(per_day, window)


@pytest.mark.parametrize(
    ("said", "make"),
    [
        ("a share is between 0 and 1, not 1.5", lambda: Trial(1.5)),
        ("standard deviation is 0", lambda: Trial(5.0, 0.0)),
        ("the mean is no number", lambda: Trial(float("nan"), 1.0)),
        ("the error is 0.7", lambda: Trial(0.1, alpha=0.7)),
        ("at least one treatment", lambda: Trial(0.1, arms=0)),
        ("control's share is 1", lambda: Trial(0.1, control=1.0)),
        ("the correlation is 1", lambda: Trial(0.1, correlation=1.0)),
        ("an effect of 0 cannot be found", lambda: needed(Trial(0.1), 0.0)),
        ("cannot change by \\+0.95", lambda: needed(Trial(0.1), 0.95)),
        ("the power is 1", lambda: needed(Trial(0.1), 0.02, 1.0)),
        ("would need", lambda: needed(Trial(0.1), 1e-9)),
        ("1 customers make no experiment", lambda: power_of(Trial(0.1), 0.02, 1)),
        ("4 customers find no rise", lambda: detectable(Trial(0.9), 4)),
    ],
)
def test_what_cannot_be_planned(said: str, make: object) -> None:
    assert callable(make)
    with pytest.raises(BadRequest, match=said):
        make()
