"""Who was erased or is being erased, and the tombstones by which their rows are refused when they come again.

An erasure has two points. When it has *begun*, its tombstones stand: nothing of the person is accepted any more, and
whoever does the rest can be killed and begin again. When it is *destroyed*, the person's keys and rows are gone from
the store; then only the database has still to be rewritten, so that no byte of them remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from tierwise.store.actors import SYSTEM, Actor
from tierwise.store.audit import note
from tierwise.store.identifiers import CANONICAL, canonical
from tierwise.store.personal import PERSONAL
from tierwise.store.schema import (
    METADATA,
    erasures,
    identities,
    people,
    source_records,
    tombstones,
)
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions
from tierwise.store.vault import Vault

__all__ = ["Erasure", "Erasures", "Refusals"]

_NAMED_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure as recorded; `state` is begun, destroyed or done."""

    erasure_id: int
    customer_id: int
    state: str
    actor: Actor
    begun_at: datetime
    ended_at: datetime | None
    receipt: Mapping[str, Any] | None


class Refusals:
    """What the tombstones refuse: customer numbers and identifiers of people who were erased."""

    def __init__(self, digests: frozenset[bytes], hashed: Callable[[bytes], bytes], vault: Vault) -> None:
        self._digests, self._hashed, self._vault = digests, hashed, vault

    def __bool__(self) -> bool:
        return bool(self._digests)

    def of_keys(self, key_space: str, keys: Iterable[str]) -> set[str]:
        """Return those of the customer numbers that belong to somebody erased."""
        return {key for key in keys if self._hashed(_of_key(key_space, key)) in self._digests}

    def of_indexes(self, role: str, indexes: Iterable[str]) -> set[str]:
        """Return those of the blind indexes (as texts) that belong to somebody erased."""
        return {index for index in indexes if self._hashed(_of_index(role, bytes.fromhex(index))) in self._digests}

    def of_texts(self, key_space: str, texts: Iterable[str]) -> bool:
        """Say whether one of some texts is the number or an identifier of somebody erased."""
        return any(self._known(key_space, text) for text in texts)

    def _known(self, key_space: str, text: str) -> bool:
        if self._hashed(_of_key(key_space, text)) in self._digests:
            return True
        for role in CANONICAL:
            plain = canonical(role, text)
            if plain:
                index = self._vault.hasher("index", role)(plain.encode())
                if self._hashed(_of_index(role, index)) in self._digests:
                    return True
                if self._hashed(_of_key(key_space, index.hex())) in self._digests:
                    return True
        return False


class Erasures:
    """The verbs of erasures, on one store."""

    def __init__(self, transactions: Transactions, vault: Vault) -> None:
        self._transactions, self._vault = transactions, vault

    def refusals(self) -> Refusals:
        """Return what is refused on import."""
        with self._transactions.read() as connection:
            digests = frozenset(connection.execute(select(tombstones.c.digest)).scalars())
        nothing: Callable[[bytes], bytes] = bytes
        hashed = self._vault.hasher("tombstone", "tombstone") if digests else nothing
        return Refusals(digests, hashed, self._vault)

    def records(self, customer_id: int) -> list[int]:
        """Return every source record that is this customer's; one that was taken out of them is somebody else's."""
        chosen = select(identities.c.source_record_id).where(
            identities.c.customer_id == customer_id, identities.c.to_version.is_(None)
        )
        with self._transactions.read() as connection:
            return list(connection.execute(chosen.order_by(identities.c.source_record_id)).scalars())

    def keys(self, records: Sequence[int]) -> list[tuple[str, str]]:
        """Return the (key space, key) of some source records."""
        chosen = select(source_records.c.key_space, source_records.c.source_key)
        chosen = chosen.where(source_records.c.source_record_id.in_(records))
        with self._transactions.read() as connection:
            rows = connection.execute(chosen.order_by(source_records.c.source_record_id)).all()
        return [(space, key) for space, key in rows]

    def begin(self, customer_id: int, actor: Actor, at: datetime, receipt: Mapping[str, Any] | None = None) -> int:
        """Record that a customer is being erased, with the tombstones and what is to be destroyed; return its number.

        An identifier that somebody else has too (a family's telephone) gets no tombstone: it would refuse the others.
        """
        records = self.records(customer_id)
        keys = self.keys(records)
        hashed = self._vault.hasher("tombstone", "tombstone")
        with self._transactions.write() as connection:
            begun = (erasures.c.customer_id == customer_id, erasures.c.state != "done")
            found = connection.execute(select(erasures.c.erasure_id).where(*begun)).scalar()
            if found is not None:
                return int(found)
            erasure_id = take(connection, "erasure_id")
            row = {"erasure_id": erasure_id, "customer_id": customer_id, "state": "begun", "actor": str(actor)}
            connection.execute(insert(erasures).values(**row, begun_at=at, receipt=receipt))
            note(connection, at, actor, "person.erase", f"customer:{customer_id}", {"erasure_id": erasure_id})
            digests = {hashed(_of_key(space, key)) for space, key in keys}
            digests |= {hashed(_of_index(role, index)) for role, index in _own_indexes(connection, records)}
            there = set(
                connection.execute(select(tombstones.c.digest).where(tombstones.c.digest.in_(digests))).scalars()
            )
            stones = [{"digest": digest, "erasure_id": erasure_id} for digest in sorted(digests - there)]
            if stones:
                connection.execute(insert(tombstones), stones)
        return erasure_id

    def destroy(self, erasure_id: int, records: Sequence[int], receipt: Mapping[str, Any]) -> dict[str, int]:
        """Destroy the keys and rows of the records, in one transaction; return how many rows of each table went."""
        gone: dict[str, int] = {}
        with self._transactions.write() as connection:
            mine_now = select(erasures.c.customer_id, erasures.c.receipt).where(erasures.c.erasure_id == erasure_id)
            customer_id, planned = connection.execute(mine_now).one()
            numbers = _numbers_of(connection, customer_id, records)
            for personal in PERSONAL:
                if personal.by == "path":
                    continue  # the file goes first, and its row with it
                table = METADATA.tables[personal.table]
                named = numbers if personal.by == "customer_id" else list(records)
                if personal.table == source_records.name:
                    links = delete(identities).where(identities.c.source_record_id.in_(named))
                    gone[identities.name] = connection.execute(links).rowcount
                mine = or_(*(table.c[name].in_(named) for name in (personal.by, personal.also) if name))
                emptied = update(table).where(mine).values(dict.fromkeys(personal.columns))
                done = connection.execute(delete(table).where(mine) if personal.erase == "row" else emptied)
                gone[personal.table] = done.rowcount
            receipt = {**(planned or {}), **receipt, "store": gone}
            change = update(erasures).where(erasures.c.erasure_id == erasure_id)
            connection.execute(change.values(state="destroyed", receipt=receipt))
        return gone

    def finish(self, erasure_id: int, at: datetime) -> Erasure:
        """Rewrite the database so that no byte of what was destroyed remains, and record the erasure as done."""
        self._transactions.shrink([*(one.table for one in PERSONAL), identities.name])
        change = update(erasures).where(erasures.c.erasure_id == erasure_id, erasures.c.state == "destroyed")
        with self._transactions.write() as connection:
            if connection.execute(change.values(state="done", ended_at=at)).rowcount:
                note(connection, at, SYSTEM, "person.erased", f"erasure:{erasure_id}")
        return self.get(erasure_id)

    def get(self, erasure_id: int) -> Erasure:
        """Return one erasure."""
        with self._transactions.read() as connection:
            return _erasure(connection.execute(select(erasures).where(erasures.c.erasure_id == erasure_id)).one())

    def pending(self) -> list[Erasure]:
        """Return the erasures that have not been done to their end."""
        chosen = select(erasures).where(erasures.c.state != "done").order_by(erasures.c.erasure_id)
        with self._transactions.read() as connection:
            return [_erasure(row) for row in connection.execute(chosen).all()]

    def of(self, key: str, key_spaces: Iterable[str]) -> Erasure | None:
        """Return the erasure of the person who had this number or identifier, if there was one."""
        refusals = self.refusals()
        if not refusals:
            return None
        if key.startswith("id:"):
            mine = erasures.c.customer_id == int(key.removeprefix("id:"))
        elif any(refusals.of_texts(space, [key]) for space in key_spaces):
            mine = erasures.c.erasure_id.in_(self._entombing(key, key_spaces))
        else:
            return None
        chosen = select(erasures).where(mine).order_by(erasures.c.erasure_id.desc()).limit(1)
        with self._transactions.read() as connection:
            row = connection.execute(chosen).first()
        return None if row is None else _erasure(row)

    def _entombing(self, key: str, key_spaces: Iterable[str]) -> list[int]:
        hashed = self._vault.hasher("tombstone", "tombstone")
        digests = [hashed(_of_key(space, key)) for space in key_spaces]
        for role in CANONICAL:
            plain = canonical(role, key)
            if plain:
                index = self._vault.hasher("index", role)(plain.encode())
                digests.append(hashed(_of_index(role, index)))
                digests += [hashed(_of_key(space, index.hex())) for space in key_spaces]
        chosen = select(tombstones.c.erasure_id).where(tombstones.c.digest.in_(digests)).distinct()
        with self._transactions.read() as connection:
            return list(connection.execute(chosen).scalars())


def _numbers_of(connection: Connection, customer_id: int, records: Sequence[int]) -> list[int]:
    """Return the number of a customer and those that went into them: nobody else has records of theirs."""
    had = select(identities.c.customer_id).where(identities.c.source_record_id.in_(records)).distinct()
    others = select(identities.c.customer_id).where(
        identities.c.source_record_id.not_in(records), identities.c.customer_id.in_(had)
    )
    alone = connection.execute(had.where(identities.c.customer_id.not_in(others))).scalars().all()
    return sorted({customer_id, *alone})


def _own_indexes(connection: Connection, records: Sequence[int]) -> list[tuple[str, bytes]]:
    """Return the (role, blind index) pairs of some records that no other record has."""
    mine = (
        select(people.c.role, people.c.blind_index)
        .where(people.c.source_record_id.in_(records), people.c.blind_index.is_not(None))
        .distinct()
        .subquery()
    )
    others = (
        select(func.count())
        .select_from(people)
        .where(
            people.c.role == mine.c.role,
            people.c.blind_index == mine.c.blind_index,
            people.c.source_record_id.not_in(records),
        )
        .scalar_subquery()
    )
    return [(role, index) for role, index in connection.execute(select(mine).where(others == 0))]


def _of_key(key_space: str, key: str) -> bytes:
    return f"key|{key_space}|{key}".encode()


def _of_index(role: str, index: bytes) -> bytes:
    return f"{role}|".encode() + index


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(**{**row._mapping, "actor": Actor.parse(row.actor)})
