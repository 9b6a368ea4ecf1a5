"""Stores for the tests: each test that takes `where` or `store` runs on a SQLite file and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tierwise.store import Store
from tierwise.store.transactions import Transactions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store in a file is."""
    return tmp_path / "store.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest) -> str:
    """Where the store of this test is: a path, then the URL of an empty PostgreSQL database."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("path"))
    url: str = request.getfixturevalue("empty_server")
    return url


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Where the master key of this test's store is."""
    return tmp_path / "master.key"


@pytest.fixture
def store(where: str, key_file: Path) -> Iterator[Store]:
    """A new store."""
    with Store.open(where, key_file=key_file) as opened:
        yield opened


@pytest.fixture
def raw(where: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs statements on the store's database behind the store's back, in one transaction; returns the last rows."""

    def execute(*statements: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with closing(Transactions(where)) as transactions, transactions.write() as connection:
            for statement in statements:
                done = connection.execute(text(statement))
                rows = [tuple(row) for row in done.all()] if done.returns_rows else []
        return rows

    return execute
