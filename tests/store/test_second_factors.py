"""Second factors: wrapped under the master key, confirmed by their first code, each code taken once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tierwise.store import SYSTEM, Store

Raw = Callable[..., list[tuple[Any, ...]]]
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_factor_counts_once_it_is_confirmed(store: Store, raw: Raw) -> None:
    ann = store.accounts.add_user("ann", ["owner"], None, SYSTEM, AT)
    assert store.second_factors.secret(ann) is None
    first, secret = store.second_factors.begin(ann, AT), store.second_factors.begin(ann, AT)
    assert first != secret, "the one that nobody confirmed is gone"
    assert (store.second_factors.confirmed(ann), store.second_factors.secret(ann)) == (False, None)
    assert store.second_factors.secret(ann, confirmed=False) == secret
    assert secret not in {bytes(row[0]) for row in raw("SELECT wrapped FROM second_factors")}
    assert store.second_factors.use(ann, 70, AT)
    assert store.second_factors.confirmed(ann)
    assert [store.second_factors.use(ann, step, AT) for step in (70, 69, 71)] == [False, False, True]
    assert sum(1 for _ in store.vault.rotate())
    assert store.second_factors.secret(ann) == secret, "another master key opens it too"
    assert store.second_factors.remove(ann, SYSTEM, AT)
    assert not store.second_factors.remove(ann, SYSTEM, AT)
    assert [entry.action for entry in store.audit.list(on="user:ann")] == [
        "user.second_factor_removed", "user.second_factor", "user.add",
    ]  # fmt: skip
