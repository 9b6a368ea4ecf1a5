"""Originals of quarantined rows can be read for 90 days by whoever has the key, and by nobody afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.store.people_data import AT
from tierwise.errors import VaultLocked
from tierwise.store import Store
from tierwise.store.keys import make_key

TEXTS = ["1,王芳,138", None, "2,\x00,,"]


def test_sealed_and_opened(store: Store) -> None:
    sealed = store.originals.seal(7, TEXTS, AT)
    assert sealed[1] is None
    assert all("王芳".encode() not in one for one in sealed if one is not None)
    assert store.originals.open(7, sealed) == TEXTS
    again = store.originals.seal(7, ["another batch"], AT)
    assert store.originals.open(7, [*sealed, *again]) == [*TEXTS, "another batch"], "one key for one import"
    with pytest.raises(VaultLocked, match="damaged or exchanged"):
        store.originals.seal(8, ["x"], AT)
        store.originals.open(8, sealed)


def test_purged_after_ninety_days(store: Store) -> None:
    old, new = store.originals.seal(1, ["old"], AT), store.originals.seal(2, ["new"], AT + timedelta(days=1))
    assert store.originals.purge(AT + timedelta(days=90)) == []
    assert store.originals.purge(AT + timedelta(days=90, seconds=1)) == [1]
    assert (store.originals.open(1, old), store.originals.open(2, new)) == ([None], ["new"])


def test_another_key_makes_what_the_old_one_sealed_unreadable(store: Store) -> None:
    old, key = store.originals.seal(1, ["erased", "kept"], AT), make_key()
    kept = store.originals.seal_anew(key, 1, [None, "kept"])
    store.originals.replace_key(1, key)
    assert store.originals.open(1, kept) == [None, "kept"]
    with pytest.raises(VaultLocked):
        store.originals.open(1, old)
