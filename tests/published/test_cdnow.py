"""The purchase models on CDNOW and the donations, against the figures that were published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tierwise.value.btyd import BGBB, BGNBD, MBGNBD, GammaGamma, ParetoNBD
from tierwise.value.btyd.model import Model

pytestmark = pytest.mark.real


def _table(folder: Path, name: str) -> NDArray[np.float64]:
    return np.genfromtxt(folder / "cdnow" / name, delimiter=",", skip_header=1)


@pytest.fixture(scope="module")
def weeks(real_data: Path) -> NDArray[np.float64]:
    """Columns x, t_x, T, mean value of the 1/10 sample, 39 weeks."""
    return _table(real_data, "cdnow_customers_summary_with_transactions.csv")[:, 1:].T


def _agrees(model: Model, log_likelihood: float, **params: float) -> None:
    assert model.converged_, model.notes_
    for name, value in params.items():
        assert model.params_[name] == pytest.approx(value, abs=0.01), name
    assert model.log_likelihood_ == pytest.approx(log_likelihood, abs=0.01)


def test_bg_nbd(weeks: NDArray[np.float64]) -> None:
    """Fader, Hardie and Lee (2005), table 2; the likelihood to more digits from CLVTools' tests of correctness."""
    model = BGNBD().fit(*weeks[:3])
    _agrees(model, -9582.429, r=0.243, alpha=4.414, a=0.793, b=2.426)
    errors = model.standard_errors_
    assert errors == pytest.approx({"r": 0.0126, "alpha": 0.378, "a": 0.186, "b": 0.705}, abs=0.001)
    assert model.expected_purchases(39, 2, 30.43, 38.86) == pytest.approx(1.226, abs=0.001)


def test_mbg_nbd(weeks: NDArray[np.float64]) -> None:
    """Batislam, Denizel and Filiztekin (2007) fit the same data: r .52, α 6.18, a .89, b 1.61."""
    model = MBGNBD().fit(*weeks[:3])
    for name, value in {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}.items():
        assert model.params_[name] == pytest.approx(value, abs=0.01)


def test_pareto_nbd(weeks: NDArray[np.float64]) -> None:
    _agrees(ParetoNBD().fit(*weeks[:3]), -9594.976, r=0.553, alpha=10.578, s=0.606, beta=11.669)


def test_gamma_gamma(weeks: NDArray[np.float64]) -> None:
    """The 946 customers who came back; Fader and Hardie (2013) print the parameters to two digits."""
    model = GammaGamma().fit(weeks[0], weeks[3])
    assert model.customers_ == 946
    _agrees(model, -4055.92, p=6.25, q=3.74, v=15.44)


def test_bg_bb(real_data: Path) -> None:
    """Fader, Hardie and Shang (2010): 11,104 donors over six years."""
    x, tx, years, donors = _table(real_data, "donations.csv").T
    model = BGBB().fit(x, tx, years, weights=donors)
    _agrees(model, -33225.58, alpha=1.204, beta=0.750, gamma=0.657, delta=2.783)
    assert model.p_alive(6, 6, 6) == pytest.approx(0.93, abs=0.005)
