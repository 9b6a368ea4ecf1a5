"""Value: a model is judged by what the brand's own customers did, on kept orders, days as in the brand's zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.projects import NOW, ORDERS, REFUNDS, TAGS, Brand, csv
from tierwise.errors import BadRequest, TierwiseError, TooLittleData, UnknownName

HEAD = "id,customer,time,amount"
BEGIN = datetime(2024, 6, 3, 12)


def _rows(customers: int, days: int = 720) -> list[str]:
    """Orders of customers who come over a year, buy at rates of their own and leave after a repeat by a chance of theirs."""
    rng = np.random.default_rng(5)
    rows: list[str] = []
    for customer in range(customers):
        now, rate, leaves = rng.uniform(0, 365), rng.gamma(1.0, 1 / 30), rng.beta(0.7, 2.5)
        stays = True
        while stays and now < days:
            rows.append(f"{len(rows)},c{customer},{BEGIN + timedelta(days=int(now)):%Y-%m-%d %H:%M},10")
            now += max(rng.exponential(1 / max(rate, 1e-6)), 1)
            stays = rng.random() >= leaves
    return rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    """A brand of 600 customers, after a run."""
    files = {"sources/orders.yaml": ORDERS, "definitions/tags.yaml": TAGS, "data/orders.csv": csv(HEAD, *_rows(600))}
    brand = Brand(tmp_path_factory.mktemp("shop"), files)
    brand.run()
    return brand


def test_a_model_is_held_against_what_came(shop: Brand) -> None:
    with shop.open() as project:
        found = project.value.backtest("90d")
        assert project.value.backtest("90d") == found
    assert found["as_of"] == NOW.replace(tzinfo=None)
    assert found["horizon_days"] == 90
    assert found["asked"] == "bg_nbd"
    starts = [origin["from"] for origin in found["origins"]]
    assert starts == sorted(starts)
    assert BEGIN.date() < starts[0] < starts[-1] < date(2026, 6, 1)
    for origin in found["origins"]:
        assert origin["customers"] <= 600
        assert origin["actual"] > 50
        assert 0.7 < origin["ratio"] < 1.4
        assert origin["coverage"] > 0.9
    assert found["passed"] == (not found["failures"])


def test_a_simpler_model_can_be_asked_for(shop: Brand) -> None:
    with shop.open() as project:
        found = project.value.backtest("1mo", "past_rate")
    assert found["horizon_days"] == 30
    assert {origin["model"] for origin in found["origins"]} == {"past_rate"}


def test_too_few_are_refused_and_refunded_orders_are_none(tmp_path: Path) -> None:
    files = {
        "sources/orders.yaml": ORDERS,
        "sources/refunds.yaml": REFUNDS,
        "definitions/tags.yaml": TAGS,
        "data/orders.csv": csv(HEAD, "1,a,2026-05-01 23:00,10", "2,b,2026-05-02 01:00,10"),
        "data/refunds.csv": csv(HEAD, "2,b,2026-05-04 01:00,10"),
    }
    brand = Brand(tmp_path, files)
    brand.run()
    with brand.open() as project, pytest.raises(TooLittleData, match="needs 10 customers, there are 1"):
        project.value.backtest("10d")


@pytest.mark.parametrize(
    ("horizon", "model", "error", "said"),
    [
        ("soon", "bg_nbd", BadRequest, "no length of time"),
        ("1h", "bg_nbd", BadRequest, "no length of time"),
        ("90d", "bgnbd", UnknownName, "no purchase model `bgnbd`"),
    ],
)
def test_what_cannot_be_asked(shop: Brand, horizon: str, model: str, error: type[TierwiseError], said: str) -> None:
    with shop.open() as project, pytest.raises(error, match=said):
        project.value.backtest(horizon, model)


def test_before_a_run_and_without_orders_nothing_is_answered(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"definitions/tags.yaml": TAGS})
    with brand.open() as project, pytest.raises(UnknownName, match="no results yet"):
        project.value.backtest()
