"""The people vault's keys: the roots of its blind indexes, what wraps data keys, and the change of the master key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, bindparam, insert, select, update

from tierwise.errors import BadRequest, VaultLocked
from tierwise.store.bulk import execute_rows
from tierwise.store.keys import VARIABLE, Keyring, MasterKey, derive, make_key, make_keyring, read_keyring
from tierwise.store.schema import import_keys, log_segments, people_keys, vault_keys
from tierwise.store.schema_server import second_factors
from tierwise.store.transactions import Transactions

__all__ = ["DIGEST_BYTES", "Vault"]

#: Keyed hashes are cut to this length: two of a billion values are alike with a chance of one in 10^20.
DIGEST_BYTES: Final = 16
_ROOTS: Final = ("index", "tombstone", "audit")
_WRAPPED: Final[tuple[tuple[Table, Column[Any]], ...]] = (
    (vault_keys, vault_keys.c.name),
    (people_keys, people_keys.c.source_record_id),
    (import_keys, import_keys.c.import_id),
    (log_segments, log_segments.c.segment_id),
    (second_factors, second_factors.c.user_id),
)
_ROTATED_AT_ONCE: Final = 5_000


@dataclass(frozen=True, repr=False)
class _Opened:
    keyring: Keyring
    roots: dict[str, bytes]
    derived: dict[tuple[str, str], bytes] = field(default_factory=dict)


class Vault:
    """Opens the vault when it is first needed; a new store gets its keys then, one that holds keys needs theirs.

    Args:
        transactions: the store.
        key_file: where the master key is when the environment does not hold it; made for a new vault.
    """

    def __init__(self, transactions: Transactions, key_file: Path | None) -> None:
        self._transactions = transactions
        self.key_file = key_file
        self._opened: _Opened | None = None

    def in_use(self) -> bool:
        """Return whether the store holds anything that needs the master key."""
        with self._transactions.read() as connection:
            return connection.execute(select(vault_keys.c.name).limit(1)).first() is not None

    # -- wrapping ---------------------------------------------------------------------------------------------------

    def wrap(self, table: Table, key: int | str, secret: bytes) -> tuple[bytes, str]:
        """Return the columns `wrapped` and `master_id` of a row that holds a key."""
        master = self._open().keyring.current
        return master.wrap(secret, _about(table, key)), master.id

    def unwrap(self, table: Table, key: int | str, wrapped: bytes, master_id: str) -> bytes:
        """Return the key that a row holds.

        Raises:
            VaultLocked: when the master key it was wrapped with is not at hand, or the row has been damaged.
        """
        return self._master(master_id).unwrap(wrapped, _about(table, key))

    def _master(self, master_id: str) -> MasterKey:
        found = self._open().keyring.key(master_id)
        if found is None:  # another process may have changed the master key since
            self._opened = None
            found = self._open().keyring.key(master_id)
        if found is None:
            raise _wrong(self._open().keyring, master_id)
        return found

    # -- hashing ----------------------------------------------------------------------------------------------------

    def hasher(self, root: str, purpose: str) -> Callable[[bytes], bytes]:
        """Return a keyed hash for one purpose; `root` is ``index``, ``tombstone`` or ``audit``."""
        opened = self._open()
        if root not in opened.roots:  # a vault of a version before that root
            self._new_roots(opened.keyring)
            self._opened = None
            opened = self._open()
        key = opened.derived.get((root, purpose))
        if key is None:
            key = opened.derived[root, purpose] = derive(opened.roots[root], purpose)
        return lambda value: hmac.digest(key, value, "sha256")[:DIGEST_BYTES]

    # -- opening ----------------------------------------------------------------------------------------------------

    def _open(self) -> _Opened:
        if self._opened is None:
            with self._transactions.read() as connection:
                rows = _root_rows(connection)
            keyring = read_keyring(self.key_file)
            if not rows:
                keyring = keyring or make_keyring(self.key_file)
                rows = self._new_roots(keyring)
            if keyring is None:
                where = f"{VARIABLE} is not set" + (f" and there is no {self.key_file}" if self.key_file else "")
                raise VaultLocked(
                    f"the people vault holds encrypted data and its master key is missing: {where}",
                    "restore the key from a backup; without it the data cannot be read, and no new key is made",
                )
            roots = {}
            for name, wrapped, master_id in rows:
                master = keyring.key(master_id)
                if master is None:
                    raise _wrong(keyring, master_id)
                roots[name] = master.unwrap(wrapped, _about(vault_keys, name))
            self._opened = _Opened(keyring, roots)
        return self._opened

    def _new_roots(self, keyring: Keyring) -> list[tuple[str, bytes, str]]:
        with self._transactions.write() as connection:
            there = {name for name, _, _ in _root_rows(connection)}  # another process may have come first
            master = keyring.current
            for name in _ROOTS:
                if name not in there:
                    wrapped = master.wrap(make_key(), _about(vault_keys, name))
                    connection.execute(insert(vault_keys).values(name=name, wrapped=wrapped, master_id=master.id))
            return _root_rows(connection)

    # -- another master key -----------------------------------------------------------------------------------------

    def rotate(self) -> Iterator[int]:
        """Wrap every key with a new master key, yielding how many have been wrapped after each batch.

        With a key file the new key is made; one that was being introduced when the process died is gone on with. With
        the environment variable the new key is written before the old one by hand. Both keys work until the last key
        is wrapped; then the file forgets the old one.

        Raises:
            BadRequest: when the environment holds only the key that is in use.
        """
        keyring = self._open().keyring
        if keyring.file is None:
            if len(keyring.keys) == 1:
                raise BadRequest(
                    f"the master key comes from {VARIABLE}, which holds only the current one",
                    f"put a new key before it, with a comma between them: {VARIABLE}=NEW,OLD; then rotate again",
                )
        elif len(keyring.keys) == 1:
            keyring = keyring.with_new()
        self._opened = _Opened(keyring, self._open().roots)
        done = 0
        for table, key in _WRAPPED:
            while count := self._rotate_some(table, key, keyring.current):
                done += count
                yield done
        if keyring.file is not None:
            self._opened = _Opened(keyring.only_current(), self._opened.roots)

    def _rotate_some(self, table: Table, key: Column[Any], master: MasterKey) -> int:
        old = select(key, table.c.wrapped, table.c.master_id).where(table.c.master_id != master.id)
        with self._transactions.write() as connection:
            rows = connection.execute(old.limit(_ROTATED_AT_ONCE)).all()
            if rows:
                again = (
                    (master.wrap(self.unwrap(table, k, wrapped, by), _about(table, k)), master.id, k)
                    for k, wrapped, by in rows
                )
                changed = update(table).where(key == bindparam("its_key"))
                changed = changed.values(wrapped=bindparam("new"), master_id=bindparam("by"))
                execute_rows(connection, changed, ("new", "by", "its_key"), again)
        return len(rows)


def _root_rows(connection: Connection) -> list[tuple[str, bytes, str]]:
    chosen = select(vault_keys.c.name, vault_keys.c.wrapped, vault_keys.c.master_id)
    return [(name, wrapped, master_id) for name, wrapped, master_id in connection.execute(chosen)]


def _about(table: Table, key: int | str) -> str:
    return f"{table.name}|{key}"


def _wrong(keyring: Keyring, master_id: str) -> VaultLocked:
    return VaultLocked(
        f"the people vault was locked with the master key {master_id}; {keyring.origin} holds "
        + ", ".join(key.id for key in keyring.keys),
        "give it the key it was locked with; a new key is introduced by `tierwise people rotate-key`",
    )
