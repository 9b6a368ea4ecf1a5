"""The vault opens with its own master key only, and changes it without a moment at which nothing can be read."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.store.people_data import AT, NAME, records, values
from tierwise.errors import BadRequest, VaultLocked
from tierwise.store import Store
from tierwise.store.keys import VARIABLE

Raw = Callable[..., list[tuple[Any, ...]]]


def fill(store: Store, count: int = 3) -> list[int]:
    found = records(store, *(f"c-{number}" for number in range(count)))
    store.people.put(values(*((record, "name", f"{NAME}{record}") for record in found)), AT)
    store.originals.seal(1, ["a line"], AT)
    return found


def masters(raw: Raw) -> set[str]:
    tables = ("vault_keys", "people_keys", "import_keys")
    return {str(row[0]) for table in tables for row in raw(f"SELECT DISTINCT master_id FROM {table}")}


def test_a_store_without_people_needs_no_key(store: Store, key_file: Path) -> None:
    records(store, "a")
    assert store.people.find("13800138000") == []
    assert not store.vault.in_use()
    assert not key_file.exists()


def test_a_missing_key_is_never_made_anew(where: str, store: Store, key_file: Path) -> None:
    found = fill(store)
    key_file.rename(key_file.with_suffix(".kept"))
    with Store.open(where, key_file=key_file) as again:
        for ask in (lambda: again.people.values(found), lambda: fill(again)):
            with pytest.raises(VaultLocked, match="master key is missing") as refused:
                ask()
            assert "backup" in refused.value.hint
    assert not key_file.exists()
    key_file.with_suffix(".kept").rename(key_file)
    with Store.open(where, key_file=key_file) as again:
        assert again.people.values(found[:1])[0].value == f"{NAME}{found[0]}"


def test_a_wrong_key_is_named(where: str, store: Store, key_file: Path) -> None:
    found = fill(store)
    key_file.write_text(base64.b64encode(bytes(32)).decode())
    with Store.open(where, key_file=key_file) as again, pytest.raises(VaultLocked, match="was locked with") as refused:
        again.people.values(found)
    assert "rotate-key" in refused.value.hint


def test_the_master_key_changes_and_everything_can_still_be_read(
    where: str, store: Store, key_file: Path, raw: Raw
) -> None:
    found = fill(store)
    index = store.people.index_of("phone", "13800138000")
    sealed = store.originals.seal(1, ["another"], AT)
    before, old = masters(raw), key_file.read_text()
    roots = len(raw("SELECT name FROM vault_keys"))
    assert list(store.vault.rotate())[-1] == roots + 3 + 1
    assert masters(raw).isdisjoint(before)
    assert len(key_file.read_text().split()) == 1
    for one in (store, Store.open(where, key_file=key_file)):
        assert sorted(value.value for value in one.people.values(found)) == [f"{NAME}{record}" for record in found]
        assert one.people.index_of("phone", "13800138000") == index, "what was indexed is still found"
        assert one.originals.open(1, sealed) == ["another"]
    key_file.write_text(old)
    with Store.open(where, key_file=key_file) as stale, pytest.raises(VaultLocked):
        stale.people.values(found)


def test_a_change_that_was_killed_goes_on(where: str, store: Store, key_file: Path, raw: Raw) -> None:
    found = fill(store)
    before = masters(raw)
    list(islice(store.vault.rotate(), 1))  # the process dies after the first batch
    assert len(masters(raw)) == 2, "some keys are wrapped by the new one, some by the old one"
    assert len(key_file.read_text().split()) == 2
    with Store.open(where, key_file=key_file) as again:
        assert len(again.people.values(found)) == 3
        more = fill(again, 4)
        list(again.vault.rotate())
        assert len(key_file.read_text().split()) == 1, "the new key that was there is gone on with"
        assert len(masters(raw) - before) == 1
        assert len(masters(raw)) == 1
        assert len(again.people.values(more)) == 4
    assert len(store.people.values(found)) == 3, "a process that was open meanwhile reads the file again"


def test_a_key_from_the_environment_is_changed_by_hand(where: str, monkeypatch: pytest.MonkeyPatch, raw: Raw) -> None:
    old, new = (base64.b64encode(bytes([number] * 32)).decode() for number in (1, 2))
    monkeypatch.setenv(VARIABLE, old)
    with Store.open(where) as store:
        found = fill(store)
        with pytest.raises(BadRequest, match="only the current one"):
            list(store.vault.rotate())
    monkeypatch.setenv(VARIABLE, f"{new},{old}")
    with Store.open(where) as store:
        list(store.vault.rotate())
    monkeypatch.setenv(VARIABLE, new)
    with Store.open(where) as store:
        assert len(store.people.values(found)) == 3
    assert len(masters(raw)) == 1


def test_a_copied_database_alone_tells_nothing(path: Path, tmp_path: Path) -> None:
    with Store.open(path) as store:
        found = fill(store)
    stolen = tmp_path / "elsewhere" / "store.db"
    stolen.parent.mkdir()
    shutil.copy(path, stolen)
    assert NAME.encode() not in stolen.read_bytes()
    with Store.open(stolen) as store, pytest.raises(VaultLocked):
        store.people.values(found)
