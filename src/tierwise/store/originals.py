"""The original texts of quarantined rows: encrypted under a key of their import, which is destroyed after 90 days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, insert, select, update

from tierwise.errors import VaultLocked
from tierwise.store.keys import NONCE_BYTES, make_key, make_nonce
from tierwise.store.schema import import_keys
from tierwise.store.transactions import Transactions
from tierwise.store.vault import Vault

__all__ = ["KEPT_DAYS", "Originals"]

#: How long the original text of a quarantined row can be read.
KEPT_DAYS: Final = 90


class Originals:
    """The verbs of quarantined originals, on one store."""

    def __init__(self, transactions: Transactions, vault: Vault) -> None:
        self._transactions, self._vault = transactions, vault

    def seal(self, import_id: int, texts: Sequence[str | None], at: datetime) -> list[bytes | None]:
        """Return the texts encrypted under the import's key, which is made when it is first needed."""
        if all(text is None for text in texts):
            return [None] * len(texts)
        return _sealed(self._key(import_id) or self._new_key(import_id, at), import_id, texts)

    def open(self, import_id: int, sealed: Sequence[bytes | None]) -> list[str | None]:
        """Return the original texts; nothing where there is none, or where the import's key has been destroyed.

        Raises:
            VaultLocked: when the master key is missing or wrong.
        """
        if all(one is None for one in sealed):
            return [None] * len(sealed)
        key = self._key(import_id)
        if key is None:
            return [None] * len(sealed)
        cipher, about = AESGCM(key), _about(import_id)
        try:
            return [
                None if one is None else cipher.decrypt(one[:NONCE_BYTES], one[NONCE_BYTES:], about).decode()
                for one in sealed
            ]
        except InvalidTag:
            raise VaultLocked(
                f"the quarantined originals of import {import_id} have been damaged or exchanged",
                "restore store/quarantine from a backup",
            ) from None

    def seal_anew(self, key: bytes, import_id: int, texts: Sequence[str | None]) -> list[bytes | None]:
        """Return the texts encrypted under a new key of the import, which `replace_key` puts in the old one's place."""
        return _sealed(key, import_id, texts)

    def replace_key(self, import_id: int, key: bytes) -> None:
        """Destroy the key of an import and put another in its place; what the old one encrypted is gone."""
        wrapped, master_id = self._vault.wrap(import_keys, import_id, key)
        change = update(import_keys).where(import_keys.c.import_id == import_id)
        with self._transactions.write() as connection:
            connection.execute(change.values(wrapped=wrapped, master_id=master_id))

    def opens(self, import_id: int, sealed: Sequence[bytes | None]) -> bool:
        """Say whether the import's key is the one that encrypted these texts."""
        try:
            self.open(import_id, sealed)
        except VaultLocked:
            return False
        return self._key(import_id) is not None

    def purge(self, now: datetime) -> list[int]:
        """Destroy the keys of imports older than 90 days; return their numbers."""
        old = import_keys.c.received_at < now - timedelta(days=KEPT_DAYS)
        with self._transactions.write() as connection:
            found = list(connection.execute(select(import_keys.c.import_id).where(old)).scalars())
            if found:
                connection.execute(delete(import_keys).where(old))
        return sorted(found)

    def _key(self, import_id: int) -> bytes | None:
        chosen = select(import_keys.c.wrapped, import_keys.c.master_id).where(import_keys.c.import_id == import_id)
        with self._transactions.read() as connection:
            row = connection.execute(chosen).first()
        return None if row is None else self._vault.unwrap(import_keys, import_id, row.wrapped, row.master_id)

    def _new_key(self, import_id: int, at: datetime) -> bytes:
        key = make_key()
        wrapped, master_id = self._vault.wrap(import_keys, import_id, key)
        row = {"import_id": import_id, "wrapped": wrapped, "master_id": master_id, "received_at": at}
        with self._transactions.write() as connection:
            connection.execute(insert(import_keys).values(row))
        return key


def _sealed(key: bytes, import_id: int, texts: Sequence[str | None]) -> list[bytes | None]:
    cipher, about = AESGCM(key), _about(import_id)
    sealed: list[bytes | None] = []
    for text in texts:
        nonce = make_nonce()
        sealed.append(None if text is None else nonce + cipher.encrypt(nonce, text.encode(), about))
    return sealed


def _about(import_id: int) -> bytes:
    return f"quarantine|{import_id}".encode()
