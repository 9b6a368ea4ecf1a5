"""Experiments with a known truth: effects are found, nothing is found where nothing is, and too little says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tierwise.errors import BadRequest, TooLittleData, UnknownName
from tierwise.evaluation import Design, Looks, Metric, analyse, bounds, read_metric
from tierwise.evaluation.analysis import adjusted
from tierwise.evaluation.comparison import compare
from tierwise.evaluation.moments import moments_of

SIMULATIONS = 2_000


def drawn(seed: int, size: int = 2_000, lift: float = 0.0) -> pa.Table:
    """Two arms: what was spent before explains half of what is spent; the treatment spends `lift` more."""
    rng = np.random.default_rng(seed)
    before = rng.gamma(2.0, 50.0, 2 * size)
    treated = np.arange(2 * size) % 2
    spend = before + rng.normal(0, 70.0, 2 * size) + lift * treated
    orders = 1 + rng.poisson(2.0, 2 * size)
    return pa.table(
        {
            "arm": np.where(treated == 1, "t", "c"),
            "spend": spend,
            "before": before,
            "orders": orders,
            "orders_before": 1 + rng.poisson(2.0, 2 * size),
            "bought": (rng.random(2 * size) < 0.2 + 0.1 * (lift > 0) * treated).astype(int),
            "nothing": np.zeros(2 * size),
        }
    )


def design(*metrics: Metric, **said: Any) -> Design:
    return Design("arm", "c", metrics, **said)


def test_a_mean_is_welchs_test() -> None:
    rows = drawn(1, lift=10.0)
    found = analyse(rows, design(Metric("spend"))).findings[0]
    arms = np.array(rows["arm"].to_pylist())
    spend = rows["spend"].to_numpy()
    welch = stats.ttest_ind(spend[arms == "t"], spend[arms == "c"], equal_var=False)
    interval = welch.confidence_interval()
    assert found.effect is not None
    assert found.effect.p == pytest.approx(welch.pvalue, rel=1e-9)
    assert (found.effect.low, found.effect.high) == pytest.approx((interval.low, interval.high))
    assert found.effect.effect == pytest.approx(spend[arms == "t"].mean() - spend[arms == "c"].mean())
    assert abs(found.effect.z) == pytest.approx(abs(welch.statistic), abs=0.01)


def test_a_covariate_takes_off_what_it_explains() -> None:
    rows = drawn(2, lift=10.0)
    bare = analyse(rows, design(Metric("spend"))).findings[0].effect
    taken = analyse(rows, design(Metric("spend", covariate="before"))).findings[0].effect
    assert bare is not None
    assert taken is not None
    assert taken.explained == pytest.approx(1 - (taken.error / bare.error) ** 2, abs=1e-3)
    assert 0.4 < taken.explained < 0.6
    assert (taken.control, taken.treatment) == pytest.approx((bare.control, bare.treatment))
    assert taken.low < 10.0 < taken.high


def test_a_ratio_by_drawing_customers_again() -> None:
    """The delta method's standard error is that of a bootstrap over customers."""
    rows = drawn(3)
    found = analyse(rows, design(read_metric("spend/orders", rows.column_names))).findings[0].effect
    assert found is not None
    rng = np.random.default_rng(4)
    arms = np.array(rows["arm"].to_pylist())
    again = []
    for arm in ("c", "t"):
        spend, orders = (rows[name].to_numpy()[arms == arm] for name in ("spend", "orders"))
        chosen = rng.integers(0, spend.size, (2_000, spend.size))
        again.append(spend[chosen].sum(axis=1) / orders[chosen].sum(axis=1))
    assert found.error == pytest.approx((again[1] - again[0]).std(), rel=0.06)


def test_a_ratio_with_a_covariate() -> None:
    rows = drawn(5)
    metric = read_metric("spend/orders ~ before/orders_before", rows.column_names)
    assert metric == Metric("spend", "orders", "before", "orders_before")
    found = analyse(rows, design(metric)).findings[0].effect
    assert found is not None
    assert 0.1 < found.explained < 0.6


def test_nothing_is_found_where_nothing_is() -> None:
    """2,000 experiments without an effect: 5 % find one, with a covariate too.

    The arithmetic of all of them is written out here; that it is the one of `compare` is asked of every fortieth.
    """
    rng = np.random.default_rng(6)
    size, places = 400, {"spend": 0, "before": 1}
    before = rng.gamma(2.0, 50.0, (2, SIMULATIONS, size))
    spend = before + rng.normal(0, 70.0, before.shape)
    both = before - before.mean(axis=(0, 2), keepdims=True)
    share = (both * (spend - spend.mean(axis=(0, 2), keepdims=True))).sum(axis=(0, 2)) / (both**2).sum(axis=(0, 2))
    for metric, values in (
        (Metric("spend"), spend),
        (Metric("spend", covariate="before"), spend - share[None, :, None] * both),
    ):
        p_values = stats.ttest_ind(values[1], values[0], axis=1, equal_var=False).pvalue
        assert (p_values < 0.05).mean() == pytest.approx(0.05, abs=0.01)
        for at in range(0, SIMULATIONS, 40):
            arms = moments_of(np.repeat([0, 1], size), 2, [spend[:, at].ravel(), before[:, at].ravel()])
            assert compare(metric, places, arms[0], arms[1], 0.05).p == pytest.approx(p_values[at], rel=1e-6)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_planned_looks_keep_their_level(spending: str) -> None:
    """2,000 experiments of skewed spend without an effect, ten looks; looking at 1.96 each time finds many more."""
    looks = Looks.evenly(10, spending)
    rng = np.random.default_rng(7)
    size = 3_000
    seen = np.linspace(size / 10, size, 10).astype(int) - 1
    crossed = peeked = 0
    for _ in range(SIMULATIONS):
        z = np.empty(10)
        sums = []
        for _ in range(2):
            spend = np.where(rng.random(size) < 0.3, rng.gamma(2.0, 40.0, size), 0.0)
            sums.append((np.cumsum(spend)[seen], np.cumsum(spend * spend)[seen]))
        counts = seen + 1
        means = [first / counts for first, _ in sums]
        errors = [second / counts - mean**2 for (_, second), mean in zip(sums, means, strict=True)]
        z = (means[1] - means[0]) / np.sqrt((errors[0] + errors[1]) / counts)
        crossed += bool((np.abs(z) >= bounds(looks)).any())
        peeked += bool((np.abs(z) >= 1.96).any())
    assert crossed / SIMULATIONS == pytest.approx(0.05, abs=0.01)
    assert peeked / SIMULATIONS > 0.15


def test_looks_say_go_on_until_the_bound() -> None:
    looks = Looks.evenly(4)
    weak = drawn(8, size=400)
    early = analyse(weak, design(Metric("spend"), looks=looks, look=1)).findings[0]
    late = analyse(weak, design(Metric("spend"), looks=looks, look=4)).findings[0]
    assert (early.kind, late.kind) == ("go_on", "unclear")
    assert early.judged is not None
    assert early.judged.bound == pytest.approx(bounds(looks)[0])
    assert early.interval is not None
    assert early.effect is not None
    assert early.interval[1] - early.interval[0] > early.effect.high - early.effect.low
    assert "第 1/4 次查看" in early.said["zh"]
    strong = analyse(drawn(9, lift=80.0), design(Metric("spend"), looks=looks, look=1)).findings[0]
    assert strong.kind == "better"


def test_several_comparisons_are_allowed_for() -> None:
    rows = drawn(10, lift=6.0)
    metrics = (Metric("spend"), Metric("orders"), Metric("bought"), Metric("nothing"))
    alone = analyse(rows, design(*metrics, correction="none")).findings
    holm = analyse(rows, design(*metrics)).findings
    # What cannot be compared is not counted among the comparisons.
    assert [finding.judged.comparisons for finding in holm if finding.judged] == [3, 3, 3]
    p_values = [finding.effect.p for finding in alone if finding.effect]
    found = [finding.judged.p_adjusted for finding in holm if finding.judged]
    assert found == pytest.approx(adjusted(p_values, "holm"))
    assert "3 comparisons, Holm" in holm[0].said["en"]
    looked = analyse(rows, design(*metrics, looks=Looks.evenly(2), look=2)).findings[0]
    assert looked.judged is not None
    assert looked.judged.bound == pytest.approx(bounds(Looks.evenly(2), 0.05 / 3)[1])


def test_corrections_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert adjusted(p, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted(p, "benjamini_hochberg") == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert adjusted(p, "none") == p
    assert adjusted([], "holm") == []


def test_harm_is_called_harm() -> None:
    rows = drawn(11, lift=20.0)
    found = analyse(rows, design(Metric("orders"), Metric("spend", guardrail=True))).findings
    assert [(finding.kind, finding.guardrail) for finding in found] == [("unclear", False), ("worse", True)]
    assert "this is harm" in found[1].said["en"]
    assert "是损害" in found[1].said["zh"]
    # A guardrail is not corrected: harm that is there must not be overlooked.
    assert found[1].judged is not None
    assert found[1].effect is not None
    assert found[1].judged.p_adjusted == found[1].effect.p


def test_what_is_unclear_says_what_would_have_been_seen() -> None:
    found = analyse(drawn(12), design(Metric("bought"))).findings[0]
    assert found.kind == "unclear"
    assert found.effect is not None
    assert found.detectable == pytest.approx(2.8016 * found.effect.error, rel=1e-3)
    assert found.detectable is not None
    assert f"{found.detectable * 100:.2f} points would have been found four times in five" in found.said["en"]
    assert "五次中有四次能看出" in found.said["zh"]


def rare(cases: int, value: float = 1.0) -> pa.Table:
    arms = ["c", "t"] * 500
    return pa.table({"arm": arms, "x": [value if row < cases else 0.0 for row in range(1_000)]})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (rare(1), "there are 1 cases in both arms together"),
        (rare(999), "there are 1 cases in both arms together"),
        (rare(4, 80.0), "4 rows of both arms are not 0"),
        (rare(0), "every row has the same value"),
        (rare(1_000), "every row has the same value"),
        (pa.table({"arm": ["c", "t"] * 10, "x": list(range(20))}), "an arm has 10 rows; at least 30"),
    ],
)
def test_too_little_gives_no_number(rows: pa.Table, said: str) -> None:
    found = analyse(rows, design(Metric("x"))).findings[0]
    assert found.kind == "too_little"
    assert said in found.said["en"]
    assert found.effect is None
    assert "effect" not in found.as_json()


def test_a_ratio_over_nothing() -> None:
    rows = drawn(13)
    found = analyse(rows, design(Metric("spend", "nothing"))).findings[0]
    assert (found.kind, found.said["en"]) == ("too_little", "the sum of `nothing` is not above 0")


def test_an_effect_needs_a_control() -> None:
    with pytest.raises(TooLittleData, match="everybody is in the arm `c`"):
        analyse(pa.table({"arm": ["c"] * 10, "x": range(10)}), design(Metric("x")))
    with pytest.raises(UnknownName, match="nobody is in the control `c`"):
        analyse(pa.table({"arm": ["a", "b"], "x": [1, 2]}), design(Metric("x")))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"alpha": 0.0}, "the error is 0"),
        ({"correction": "bonferoni"}, "cannot be allowed for by `bonferoni`"),
        ({"looks": Looks.evenly(3), "look": 4}, "this is look 4; 3 are planned"),
        ({"looks": Looks.evenly(3)}, "this is look 0"),
        ({"look": 1}, "no looks are planned"),
        ({"shares": {"c": 0.0}}, "a planned share is not above 0"),
    ],
)
def test_designs_that_cannot_be(said: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        design(Metric("x"), **said)


def test_no_metric_and_one_twice() -> None:
    with pytest.raises(BadRequest, match="there is no metric"):
        design()
    with pytest.raises(BadRequest, match="`x` is a metric twice"):
        design(Metric("x"), Metric("x", covariate="y"))
