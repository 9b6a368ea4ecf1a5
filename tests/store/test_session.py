"""Opening a store: new, current, from the future, broken, and on a library that would break it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2

from tierwise.errors import BadRequest, EngineRefused
from tierwise.store import Store
from tierwise.store.transactions import Transactions, is_safe_sqlite


def _pragma(transactions: Transactions, name: str) -> object:
    with transactions.read() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_a_commit_is_on_the_disk(path: Path) -> None:
    transactions = Transactions(path)
    assert _pragma(transactions, "journal_mode") == "wal"
    assert _pragma(transactions, "synchronous") == 2
    assert _pragma(transactions, "foreign_keys") == 1
    transactions.close()


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX")
def test_nobody_else_reads_it(path: Path) -> None:
    with Store.open(path) as store:
        assert path.stat().st_mode & 0o077 == 0
        assert store.path == path


def test_a_folder_is_made_for_a_new_store(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a" / "100% 店铺" / "store.db") as store:
        assert store.ids.version() == 0


def test_a_url_works_like_a_path(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.runs.list()
    assert path.exists()


def test_an_older_store_is_only_changed_when_asked(where: str) -> None:
    with pytest.raises(EngineRefused, match="revision none"):
        Store.open(where, upgrade=False)
    Store.open(where).close()
    Store.open(where, upgrade=False).close()


def test_a_store_from_the_future_is_refused_and_untouched(
    where: str, raw: Callable[..., list[tuple[Any, ...]]]
) -> None:
    Store.open(where).close()
    raw("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(EngineRefused, match="newer Tierwise"):
        Store.open(where)
    assert raw("SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_file_that_is_no_store_is_not_overwritten(path: Path) -> None:
    path.write_text("a,b\n" * 500)
    with pytest.raises(EngineRefused, match="not a readable store"):
        Store.open(path)
    assert path.read_text().startswith("a,b")


def test_what_cannot_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(EngineRefused, match="cannot be opened"):
        Store.open(tmp_path)
    with pytest.raises(BadRequest, match="must be a file"):
        Store.open(":memory:")
    with pytest.raises(BadRequest, match="cannot be understood") as refused:
        Store.open("postgres;;://user:secret@host")
    assert "secret" not in str(refused.value)
    with pytest.raises(EngineRefused, match="driver"):
        Store.open("oracledb9://host/db")


def test_an_unsafe_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbapi2, "sqlite_version_info", (3, 40, 1))
    with pytest.raises(EngineRefused, match="can corrupt a store"):
        Store.open(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_which_sqlite_is_safe(version: tuple[int, int, int], safe: bool) -> None:
    assert is_safe_sqlite(version) is safe
