"""What all purchase models share: columns of any library, scikit-learn's manners, money, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from tests.value.btyd.truths import simulate_geometric
from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd import BGNBD, MBGNBD, NBD, FitWarning, ParetoNBD
from tierwise.value.btyd.purchases import PurchaseModel

FloatArray = NDArray[np.float64]
KINDS = [BGNBD, MBGNBD, ParetoNBD, NBD]


def shop(customers: int = 1_000, seed: int = 1) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (frequency, recency, T) of customers whose days of purchase are whole weeks."""
    rng = np.random.default_rng(seed)
    T = np.floor(rng.uniform(20, 60, customers))
    x, tx = simulate_geometric(rng, customers, (0.8, 5.0, 0.7, 2.0), T)
    return x, np.where(x > 0, np.maximum(np.ceil(tx), 1), 0), T


@pytest.fixture(scope="module")
def fitted() -> BGNBD:
    return BGNBD().fit(*shop())


@pytest.mark.parametrize(
    "as_column",
    [
        pa.array,
        pa.chunked_array,
        pd.Series,
        pl.Series,
        list,
        lambda values: pa.array([Decimal(str(value)) for value in values], pa.decimal128(18, 2)),
        lambda values: pd.Series(values, dtype="Float64"),
    ],
)
def test_columns_of_any_library_give_the_same(fitted: BGNBD, as_column: Callable[[Any], Any]) -> None:
    columns = [as_column([values.tolist()] if as_column is pa.chunked_array else values.tolist()) for values in shop()]
    model = BGNBD().fit(*columns)
    assert model.params_ == fitted.params_
    assert model.expected_purchases(10, *columns).tolist() == fitted.expected_purchases(10, *shop()).tolist()


def test_a_weight_stands_for_equal_rows() -> None:
    x, tx, T = shop(500)
    twice = BGNBD().fit(np.repeat(x, 2), np.repeat(tx, 2), np.repeat(T, 2))
    weighted = BGNBD().fit(x, tx, T, weights=np.full(500, 2))
    assert twice.log_likelihood_ == pytest.approx(weighted.log_likelihood_, abs=1e-6)
    left_out = BGNBD().fit(x, tx, T, weights=np.where(np.arange(500) < 400, 1, 0))
    assert left_out.params_ == pytest.approx(BGNBD().fit(x[:400], tx[:400], T[:400]).params_, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_weeks_or_days_are_one_model(kind: type[PurchaseModel]) -> None:
    x, tx, T = shop(2_000)
    weeks, days = kind().fit(x, tx, T), kind().fit(x, tx * 7, T * 7)
    assert days.params_["alpha"] == pytest.approx(weeks.params_["alpha"] * 7, rel=1e-4)
    assert days.log_likelihood_ == pytest.approx(weeks.log_likelihood_ - x.sum() * np.log(7), abs=1e-4)
    assert days.expected_purchases(70, 2, 70, 210) == pytest.approx(weeks.expected_purchases(10, 2, 10, 30), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_thinned_beginning_ends_where_all_rows_lead(
    kind: type[PurchaseModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starts run on few groups only; the answer is that of all of them."""
    x, tx, T = shop(4_000)
    alone = kind().fit(x, tx, T)
    monkeypatch.setattr("tierwise.value.btyd.maximum._THIN", 60)
    thinned = kind().fit(x, tx, T)
    assert thinned.log_likelihood_ == pytest.approx(alone.log_likelihood_, abs=1e-5)
    assert thinned.params_ == pytest.approx(alone.params_, rel=1e-3)


def test_scikit_learn_can_copy_and_set_it(fitted: BGNBD) -> None:
    model = clone(BGNBD(minimum_customers=7))
    assert model.get_params() == {"minimum_customers": 7, "minimum_repeaters": 10}
    assert model.set_params(minimum_repeaters=3).minimum_repeaters == 3
    with pytest.raises(BadRequest, match="no setting `penalty`"):
        model.set_params(penalty=1)
    assert not hasattr(model, "params_")
    assert repr(fitted).startswith("<BGNBD r=")


def test_answers_ask_for_a_fit_first() -> None:
    with pytest.raises(BadRequest, match="not fitted"):
        BGNBD().p_alive(1, 2, 3)


def test_numbers_give_a_number_and_columns_an_array(fitted: BGNBD) -> None:
    assert isinstance(fitted.p_alive(2, 10, 30), float)
    assert fitted.p_alive([2], [10], [30]).shape == (1,)
    assert fitted.expected_purchases([1, 10, 20], 2, 10, 30).shape == (3,)
    assert fitted.expected_purchases(10, [0, 2], [0, 10], 30).shape == (2,)
    assert fitted.expected_purchases(0, 2, 10, 30) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_expected_purchases_grow_with_time_and_p_alive_is_a_probability(kind: type[PurchaseModel]) -> None:
    x, tx, T = shop(2_000)
    model = kind().fit(x, tx, T)
    curve = np.array([model.expected_purchases(h, x, tx, T) for h in (1, 5, 20, 100)])
    assert (np.diff(curve, axis=0) > 0).all()
    alive = model.p_alive(x, tx, T)
    assert ((alive >= 0) & (alive <= 1)).all()


def test_discount_and_margin(fitted: BGNBD) -> None:
    x, tx, T = shop()
    plain = fitted.clv(52, x, tx, T, spend=100.0)
    assert plain == pytest.approx(fitted.expected_purchases(52, x, tx, T) * 100)
    assert fitted.clv(52, x, tx, T, spend=100.0, margin=0.3) == pytest.approx(plain * 0.3)
    rate, steps = 1.10 ** (1 / 52) - 1, np.linspace(0, 52, 2_001)
    curve = np.array([fitted.expected_purchases(t, x[:5], tx[:5], T[:5]) for t in steps])
    middles = (1 + rate) ** -((steps[1:] + steps[:-1]) / 2)
    by_hand = middles @ np.diff(curve, axis=0)
    assert fitted.discounted_purchases(52, x[:5], tx[:5], T[:5], rate) == pytest.approx(by_hand, rel=1e-6)


def test_intervals_hold_the_estimate(fitted: BGNBD) -> None:
    for name, (low, high) in fitted.intervals().items():
        assert 0 < low < fitted.params_[name] < high
    narrow, wide = fitted.intervals(0.5)["r"], fitted.intervals(0.99)["r"]
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    drawn = fitted.draw_params(4_000, np.random.default_rng(1))
    spread = np.std(np.log([draw["alpha"] for draw in drawn]))
    assert spread == pytest.approx(fitted.standard_errors_["alpha"] / fitted.params_["alpha"], rel=0.1)


GOOD = {"frequency": [0.0, 2.0, 1.0] * 30, "recency": [0.0, 10.0, 4.0] * 30, "T": [20.0, 20.0, 20.0] * 30}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("frequency", float("nan"), "`frequency` is missing or infinite in 1 row (row 4"),
        ("frequency", None, "`frequency` is missing or infinite in 1 row (row 4"),
        ("frequency", -1.0, "`frequency` is negative"),
        ("frequency", 1.5, "not a whole number"),
        ("frequency", 0.0, "`recency` is not 0 although there is no repeat purchase"),
        ("frequency", "many", "not a column of numbers"),
        ("recency", 21.0, "`recency` is later than `T`"),
        ("recency", 0.0, "`recency` is 0 although there are repeat purchases"),
        ("recency", float("inf"), "missing or infinite"),
        ("T", -3.0, "`T` is negative"),
        ("T", True, None),
    ],
)
def test_what_no_history_can_be_is_refused_with_its_row(name: str, value: object, said: str | None) -> None:
    columns: dict[str, list[Any]] = {key: list(values) for key, values in GOOD.items()}
    columns[name][4] = value
    if said is None:
        columns[name] = [True] * 90
        said = "not a column of numbers"
    with pytest.raises(BadRequest) as refused:
        BGNBD().fit(columns["frequency"], columns["recency"], columns["T"])
    assert said in str(refused.value)
    assert refused.value.details["column"] in {name, "recency"}


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ([[1, 2], [1, 2], [3, 4, 5]], {}, "different numbers of rows"),
        ([[[1]], [1], [3]], {}, "dimensions"),
        ([pa.array([True]), [1], [3]], {}, "not a number"),
        ([pa.array([0], pa.timestamp("us")), [1], [3]], {}, "not a number"),
        ([*GOOD.values()], {"weights": [1.0]}, "`weights` has 1 rows"),
        ([*GOOD.values()], {"weights": [-1.0] * 90}, "`weights` is missing, negative"),
        ([*GOOD.values()], {"covariates": [1.0] * 90}, "the same for everybody"),
        ([*GOOD.values()], {"covariates": [float("nan")] * 90}, "missing or infinite"),
        ([*GOOD.values()], {"covariates": [1.0, 2.0]}, "90 rows are expected"),
        ([*GOOD.values()], {"covariates": np.outer(np.arange(90.0), [1, 2])}, "a sum of others"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns: list[Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        BGNBD().fit(*columns, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("frequency", "recency", "T", "said"),
    [
        ([2], [10], [20], "needs 50 customers, there are 1"),
        ([], [], [], "needs 50 customers, there are 0"),
        ([2] * 49, [10] * 49, [20] * 49, "needs 50 customers, there are 49"),
        ([0] * 500, [0] * 500, [20] * 500, "needs 10 customers who bought again, none did"),
        ([0] * 491 + [1] * 9, [0] * 491 + [3] * 9, [20] * 500, "only 9 did"),
    ],
)
def test_too_little_is_refused(
    kind: type[PurchaseModel], frequency: list[int], recency: list[int], T: list[int], said: str
) -> None:
    with pytest.raises(TooLittleData, match=said):
        kind().fit(frequency, recency, T)


@pytest.mark.parametrize("h", [-1, float("nan"), float("inf"), [1, 2]])
def test_horizons_that_cannot_be_are_refused(fitted: BGNBD, h: Any) -> None:
    with pytest.raises(BadRequest, match="`h`"):
        fitted.expected_purchases(h, [1, 2, 3], [3, 4, 5], [9, 9, 9])


@pytest.mark.parametrize(
    ("options", "said"),
    [({"margin": 1.5}, "margin"), ({"discount_rate": -0.1}, "discount_rate"), ({"spend": -1.0}, "spend")],
)
def test_money_that_cannot_be_is_refused(fitted: BGNBD, options: dict[str, float], said: str) -> None:
    with pytest.raises(BadRequest, match=f"`{said}`"):
        fitted.clv(52, 2, 10, 30, **{"spend": 10.0, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_everybody_the_same_does_not_converge_and_is_said(kind: type[PurchaseModel]) -> None:
    """Constant columns leave no difference between customers to learn from: never a silent number."""
    with pytest.warns(FitWarning, match="did not converge"):
        model = kind().fit([3] * 200, [15] * 200, [20] * 200)
    assert not model.converged_
    assert model.notes_
    with pytest.raises(TooLittleData, match="did not converge"):
        model.draw_params(5, np.random.default_rng(1))
