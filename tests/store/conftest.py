"""Stores for the tests: a real SQLite file for each, and an emptied PostgreSQL database where one is given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tierwise.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store of this test is."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A new store in a file."""
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def empty_server() -> str:
    """The URL of a PostgreSQL database without tables."""
    url = os.environ["TIERWISE_POSTGRES"]
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url
