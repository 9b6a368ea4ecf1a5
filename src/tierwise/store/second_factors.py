"""Second factors: what a user's authenticator knows, kept wrapped; each of its codes lets them in once."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update

from tierwise.store.accounts import User
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.keys import make_key
from tierwise.store.schema_server import second_factors
from tierwise.store.transactions import Transactions
from tierwise.store.vault import Vault

__all__ = ["SecondFactors"]

_NEVER: Final = 0


class SecondFactors:
    """The verbs of second factors, on one store. A factor counts once it was confirmed by one of its codes."""

    def __init__(self, transactions: Transactions, vault: Vault) -> None:
        self._transactions, self._vault = transactions, vault

    def begin(self, user: User, at: datetime) -> bytes:
        """Make a new secret for a user in the place of one that was never confirmed; return it, to be shown once.

        Raises:
            VaultLocked: when the master key is missing or wrong.
        """
        secret = make_key()
        wrapped, master_id = self._vault.wrap(second_factors, user.user_id, secret)
        mine = second_factors.c.user_id == user.user_id
        with self._transactions.write() as connection:
            connection.execute(delete(second_factors).where(mine, second_factors.c.confirmed_at.is_(None)))
            row = {"user_id": user.user_id, "wrapped": wrapped, "master_id": master_id}
            connection.execute(insert(second_factors).values(**row, begun_at=at, last_step=_NEVER))
        return secret

    def secret(self, user: User, *, confirmed: bool = True) -> bytes | None:
        """Return a user's secret, or nothing when there is none that is confirmed (or not yet).

        Raises:
            VaultLocked: when the master key is missing or wrong.
        """
        row = self._row(user, confirmed)
        return None if row is None else self._vault.unwrap(second_factors, user.user_id, *row)

    def confirmed(self, user: User) -> bool:
        """Whether a user has a second factor that counts."""
        return self._row(user, True) is not None

    def use(self, user: User, step: int, at: datetime) -> bool:
        """Take the code of a step; a code that was used before, or an older one, is not taken. The first confirms."""
        mine = (second_factors.c.user_id == user.user_id) & (second_factors.c.last_step < step)
        with self._transactions.write() as connection:
            if not connection.execute(update(second_factors).where(mine).values(last_step=step)).rowcount:
                return False
            first = (second_factors.c.user_id == user.user_id) & second_factors.c.confirmed_at.is_(None)
            if connection.execute(update(second_factors).where(first).values(confirmed_at=at)).rowcount:
                note(connection, at, user.actor, "user.second_factor", f"user:{user.name}")
        return True

    def remove(self, user: User, by: Actor, at: datetime) -> bool:
        """Take a user's second factor away; say whether there was one."""
        with self._transactions.write() as connection:
            mine = second_factors.c.user_id == user.user_id
            gone = bool(connection.execute(delete(second_factors).where(mine)).rowcount)
            if gone:
                note(connection, at, by, "user.second_factor_removed", f"user:{user.name}")
        return gone

    def _row(self, user: User, confirmed: bool) -> tuple[bytes, str] | None:
        there = second_factors.c.confirmed_at.is_not(None) if confirmed else second_factors.c.confirmed_at.is_(None)
        chosen = select(second_factors.c.wrapped, second_factors.c.master_id)
        with self._transactions.read() as connection:
            row = connection.execute(chosen.where(second_factors.c.user_id == user.user_id, there)).one_or_none()
        return None if row is None else (row.wrapped, row.master_id)
