"""A small shop behind its API, and callers of every role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.projects import NOW, ORDERS, Brand, csv
from tierwise.server import create_app
from tierwise.store import SYSTEM

SHOP = """\
tags:
  spend: {value: sum(orders.kept_amount), unit: money, label: {zh: 消费, en: spend}}
  ill: {value: 'count(orders) > 1', sensitive: health}
tierings:
  value:
    tiers: {high: {rule: spend >= 100, label: {zh: 高}}, some: spend > 0, none: otherwise}
segments:
  recent: 'exists(orders, within="30d")'
  patients: ill
"""
ROWS = csv("id,customer,time,amount", "1,a,2026-05-20,200", "2,b,2026-05-21,50", "3,b,2026-01-02,10", "4,c,x,1")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    """The shop, with results."""
    files = {"sources/orders.yaml": ORDERS, "definitions/shop.yaml": SHOP, "data/orders.csv": ROWS}
    brand = Brand(tmp_path_factory.mktemp("shop"), files)
    brand.run()
    return brand


@pytest.fixture
def shop(made: Brand, tmp_path: Path) -> Brand:
    return made.copy(tmp_path / "shop")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(shop: Brand, clock: Clock) -> Iterator[TestClient]:
    """Somebody whom nobody knows."""
    app = create_app(shop.open(), clock, setup_token="first")
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def as_role(client: TestClient) -> Callable[[str], TestClient]:
    """Return a client that comes with a key of a role."""

    def become(role: str) -> TestClient:
        store = client.app.state.project.store  # type: ignore[attr-defined]
        secret, _ = store.accounts.add_key(f"test {role}", [role], SYSTEM, NOW)
        other = TestClient(client.app, base_url="http://127.0.0.1", raise_server_exceptions=False)
        other.headers["authorization"] = f"Bearer {secret}"
        return other

    return become
