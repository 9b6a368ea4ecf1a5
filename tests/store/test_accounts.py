"""Users, sessions and keys: secrets only as hashes, and never nobody who owns the project."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.store import SYSTEM, Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_users(store: Store) -> None:
    accounts = store.accounts
    ann = accounts.add_user("ann", ["staff", "owner", "owner"], "hash", SYSTEM, NOW)
    assert (ann.roles, accounts.user("ann"), accounts.all_users()) == (("owner", "staff"), ann, [ann])
    for name, roles in (("ann", ["staff"]), ("", ["staff"]), ("a:b", ["staff"]), (" x", ["staff"]), ("bob", [])):
        with pytest.raises(BadRequest):
            accounts.add_user(name, roles, None, SYSTEM, NOW)
    with pytest.raises(BadRequest, match="there is no role `ownr`"):
        accounts.add_user("bob", ["ownr"], None, SYSTEM, NOW)
    with pytest.raises(UnknownName):
        accounts.user("bob")
    assert [entry.action for entry in store.audit.list()] == ["user.add"]


def test_somebody_always_owns_the_project(store: Store) -> None:
    accounts = store.accounts
    for name in ("ann", "bob"):
        accounts.add_user(name, ["owner"], None, SYSTEM, NOW)
    accounts.change_user("ann", SYSTEM, NOW, roles=["staff"])
    for change in ({"roles": ["staff"]}, {"disabled": True}):
        with pytest.raises(BadRequest, match="nobody would be left"):
            accounts.change_user("bob", SYSTEM, NOW, **change)
    assert accounts.user("bob").roles == ("owner",)
    assert accounts.user("bob").disabled_at is None


def test_two_owners_who_take_each_others_role_at_once(store: Store) -> None:
    for name in ("ann", "bob"):
        store.accounts.add_user(name, ["owner"], None, SYSTEM, NOW)
    refused: list[str] = []

    def take_from(name: str) -> None:
        try:
            store.accounts.change_user(name, SYSTEM, NOW, roles=["staff"])
        except BadRequest:
            refused.append(name)

    both = [threading.Thread(target=take_from, args=(name,)) for name in ("ann", "bob")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(refused) == 1
    assert [role for user in store.accounts.all_users() for role in user.roles if role == "owner"] == ["owner"]


def test_sessions(store: Store) -> None:
    accounts = store.accounts
    ann = accounts.add_user("ann", ["owner"], "hash", SYSTEM, NOW)
    token, session = accounts.begin_session(ann, NOW)
    assert accounts.session(token, NOW) == session
    assert accounts.session(token + "x", NOW) is None
    assert accounts.session("", NOW) is None
    used = NOW
    while used < NOW + 6 * DAY:
        used += timedelta(hours=11)
        assert accounts.session(token, used) is not None, "it is used every day"
    assert accounts.session(token, NOW + 7 * DAY) is None, "and ends after a week all the same"
    token, _ = accounts.begin_session(ann, NOW)
    accounts.change_user("ann", SYSTEM, NOW, password_hash="other")
    assert accounts.session(token, NOW) is None, "a new password ends what the old one began"
    token, _ = accounts.begin_session(ann, NOW)
    accounts.end_session(token, NOW)
    assert accounts.session(token, NOW) is None


def test_keys(store: Store) -> None:
    accounts = store.accounts
    secret, key = accounts.add_key("shop", ["machine"], SYSTEM, NOW, NOW + DAY)
    assert secret.startswith(key.prefix)
    assert accounts.key(secret, NOW) == key
    assert accounts.key(secret, NOW + DAY) is None, "it has expired"
    assert accounts.key(secret[:-1], NOW) is None
    with pytest.raises(BadRequest, match="there is a key `shop` already"):
        accounts.add_key("shop", ["machine"], SYSTEM, NOW)
    with pytest.raises(BadRequest, match="would have expired"):
        accounts.add_key("old", ["machine"], SYSTEM, NOW, NOW - DAY)
    assert accounts.revoke_key(key.key_id, SYSTEM, NOW).revoked_at == NOW
    assert accounts.revoke_key(key.key_id, SYSTEM, NOW + DAY).revoked_at == NOW
    assert accounts.key(secret, NOW) is None
    accounts.add_key("shop", ["machine"], SYSTEM, NOW)
    assert [one.revoked_at for one in accounts.all_keys()] == [None, NOW]
    with pytest.raises(UnknownName):
        accounts.revoke_key(99, SYSTEM, NOW)


def test_no_secret_is_written(path: Path, new_file: Path) -> None:
    path.write_bytes(new_file.read_bytes())
    with Store.open(path) as store:
        ann = store.accounts.add_user("ann", ["owner"], "hash", SYSTEM, NOW)
        secrets = [store.accounts.add_key("k", ["machine"], SYSTEM, NOW)[0], store.accounts.begin_session(ann, NOW)[0]]
    written = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    assert not [secret for secret in secrets if secret.encode() in written]
