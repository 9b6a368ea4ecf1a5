"""Moments of arms are those of all their rows, however the rows are cut."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.evaluation import moments
from tierwise.evaluation.moments import Moments, moments_of


def test_they_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    arms = rng.integers(0, 3, 1_000)
    # Far from 0, where sums of squares would lose every digit.
    one = rng.normal(1e9, 1.0, 1_000)
    two = np.where(rng.random(1_000) < 0.2, one - 1e9, 0.0)
    monkeypatch.setattr(moments, "_AT_ONCE", 64)
    for arm, found in enumerate(moments_of(arms, 3, [one, two])):
        rows = np.stack([one, two])[:, arms == arm]
        assert found.count == rows.shape[1]
        assert found.mean == pytest.approx(rows.mean(axis=1))
        assert found.covariance() == pytest.approx(np.cov(rows), rel=1e-6)
        assert found.nonzero.tolist() == np.count_nonzero(rows, axis=1).tolist()


def test_nobody_changes_nothing() -> None:
    some = moments_of(np.zeros(3, np.int64), 2, [np.array([1.0, 2.0, 4.0])])
    assert some[1].count == 0
    for both in (some[0] + some[1], some[1] + some[0]):
        assert isinstance(both, Moments)
        assert (both.count, both.mean.tolist()) == (3, some[0].mean.tolist())
