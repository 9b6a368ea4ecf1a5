"""Stores for the tests: each test that takes `where` or `store` runs on a SQLite file and on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.servers import fresh_database
from tierwise.store import Store
from tierwise.store.transactions import Transactions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store in a file is."""
    return tmp_path / "store.db"


@pytest.fixture(scope="session")
def new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store in a file, to copy: the migrations take longer than most tests."""
    file = tmp_path_factory.mktemp("new") / "store.db"
    Store.open(file).close()
    return file


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Iterator[str]:
    """A new store in a database, to copy."""
    with fresh_database(postgres_server) as url:
        Store.open(url).close()
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def where(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the store of this test is, a path, then a URL: nothing yet, or with `store` a new store."""
    made = "store" in request.fixturenames
    if request.param == "sqlite":
        path: Path = request.getfixturevalue("path")
        if made:
            shutil.copyfile(request.getfixturevalue("new_file"), path)
        yield str(path)
        return
    template = request.getfixturevalue("new_database") if made else ""
    with fresh_database(request.getfixturevalue("postgres_server"), template) as url:
        yield url


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
