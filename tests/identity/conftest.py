"""A town of records in a new store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.identity.people import Town
from tierwise.store import Store


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store in a file, to copy: the migrations take longer than most tests."""
    file = tmp_path_factory.mktemp("new") / "store.db"
    Store.open(file).close()
    return file


@pytest.fixture
def town(new_store: Path, tmp_path: Path) -> Iterator[Town]:
    """Nobody yet."""
    path = tmp_path / "store.db"
    shutil.copyfile(new_store, path)
    with Store.open(path, key_file=tmp_path / "master.key") as store:
        yield Town(store)
