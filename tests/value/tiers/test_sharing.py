"""Who brings how much: the concentration of an order, and customers put together that are alike."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.value.tiers import concentration
from tierwise.value.tiers.sharing import cells_of, of_tiers, of_values


def test_concentration_is_the_gini_of_the_textbook() -> None:
    """Mean absolute difference over twice the mean, by all pairs."""
    value = np.sort(np.random.default_rng(1).gamma(0.5, 10, 300))
    pairs = np.abs(value[:, None] - value[None, :]).mean() / (2 * value.mean())
    assert concentration(np.ones(300), value) == pytest.approx(pairs)


def test_an_order_that_is_upside_down_is_below_zero() -> None:
    customers, value = np.array([10.0, 10.0]), np.array([100.0, 0.0])
    assert of_tiers(customers, value) == pytest.approx(0.5)
    assert of_tiers(customers, value[::-1]) == pytest.approx(-0.5)
    assert of_tiers(np.array([20.0]), np.array([100.0])) == 0


def test_cells_lose_nobody() -> None:
    rng = np.random.default_rng(2)
    tier, value = rng.integers(0, 3, 500), rng.integers(0, 4, 500).astype(float)
    cells = cells_of(tier, value, 3)
    assert cells.customers == 500
    assert cells.count.size <= 12
    customers, brought = cells.sums(cells.count[None])
    assert customers[0].tolist() == np.bincount(tier).tolist()
    assert brought[0].tolist() == np.bincount(tier, value).tolist()
    assert of_values(cells, cells.count) == pytest.approx(concentration(np.ones(500), np.sort(value)))
