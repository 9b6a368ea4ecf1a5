"""The people vault: every personal value, encrypted under a key of its source record, found by keyed blind indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, bindparam, insert, select, update

from tierwise.errors import VaultLocked
from tierwise.store.bulk import bound, execute_rows
from tierwise.store.identifiers import CANONICAL, canonical
from tierwise.store.keys import NONCE_BYTES, make_key, make_nonce
from tierwise.store.schema import Instant, identities, people, people_keys
from tierwise.store.transactions import Transactions
from tierwise.store.vault import Vault

__all__ = ["VALUES", "People", "PersonalValue"]

#: The columns `People.put` takes: whose, which field, its role, what it says, and on which line it stood.
VALUES: Final = pa.schema(
    [
        pa.field("source_record_id", pa.int64(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
    ]
)
_CHUNK: Final = 50_000
_NAMED_AT_ONCE: Final = 10_000

_Place = tuple[int, str, bytes]


@dataclass(frozen=True, slots=True)
class PersonalValue:
    """One decrypted value of a source record, and when it was first and last received."""

    source_record_id: int
    field: str
    role: str
    value: str
    first_received_at: datetime
    last_received_at: datetime


class People:
    """The verbs of people, on one store."""

    def __init__(self, transactions: Transactions, vault: Vault) -> None:
        self._transactions, self._vault = transactions, vault

    # -- blind indexes ----------------------------------------------------------------------------------------------

    def index(self, role: str, values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Return the blind index of each identifier as a text, nothing where there is none.

        Equal identifiers have equal indexes, however they are written; without the vault's key nobody can tell which
        identifier an index stands for.
        """
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        encoded = whole.cast(pa.string()).dictionary_encode()
        index = self._indexer(role)
        hashes = [index(text) for text in encoded.dictionary.to_pylist()]
        named = pa.array([None if found is None else found.hex() for found in hashes], pa.string())
        return named.take(encoded.indices)

    def index_of(self, role: str, text: str) -> bytes | None:
        """Return the blind index of one identifier."""
        return self._indexer(role)(text)

    def _indexer(self, role: str) -> Callable[[str], bytes | None]:
        hashed = self._vault.hasher("index", role)

        def index(text: str) -> bytes | None:
            plain = canonical(role, text)
            return hashed(plain.encode()) if plain else None

        return index

    # -- writing ----------------------------------------------------------------------------------------------------

    def put(self, values: pa.Table, at: datetime) -> int:
        """Keep personal values; those that are known only get a newer date.

        Args:
            values: the columns of `VALUES`; the records must exist.
            at: when they were received.

        Returns:
            How many values were new.
        """
        values = (
            values.select(VALUES.names).cast(VALUES).sort_by([("source_record_id", "ascending"), ("line", "ascending")])
        )
        return sum(self._put(values.slice(start, _CHUNK), at) for start in range(0, values.num_rows, _CHUNK))

    def _put(self, values: pa.Table, at: datetime) -> int:
        exact = self._vault.hasher("index", "exact")
        held: dict[_Place, tuple[str, str, int]] = {}
        for record, field, role, value, line in zip(*(column.to_pylist() for column in values.columns), strict=True):
            held[record, field, exact(f"{role}|{value}".encode())] = (role, value, line)
        with self._transactions.write() as connection:
            known = _known(connection, {place[0] for place in held})
            seen = bound(connection, Instant(), at)
            again = ((seen, held[place][2], *place) for place in held if place in known)
            execute_rows(connection, _SEEN_AGAIN, _SEEN_AGAIN_NAMES, again)
            new = [place for place in held if place not in known]
            keys = self._keys(connection, dict.fromkeys(place[0] for place in new))
            execute_rows(connection, insert(people), people.c.keys(), self._rows(new, held, keys, seen))
        return len(new)

    def _rows(
        self,
        places: Sequence[_Place],
        held: Mapping[_Place, tuple[str, str, int]],
        keys: Mapping[int, bytes],
        seen: Any,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the new rows, their values in the order of the table's columns."""
        indexers = {role: self._indexer(role) for role in CANONICAL}
        ciphers = {record: AESGCM(key) for record, key in keys.items()}
        for record, field, digest in places:
            role, value, line = held[record, field, digest]
            nonce = make_nonce()
            sealed = nonce + ciphers[record].encrypt(nonce, value.encode(), _about(record, field))
            index = indexers[role](value) if role in indexers else None
            yield record, field, digest, role, index, sealed, seen, seen, line

    def _keys(self, connection: Connection, records: Iterable[int]) -> dict[int, bytes]:
        """Return the data key of each record, a new one where there is none."""
        wanted = list(records)
        found = dict(self._wrapped(connection, wanted))
        made = [record for record in wanted if record not in found]
        if made:
            found |= {record: make_key() for record in made}
            rows = ((record, *self._vault.wrap(people_keys, record, found[record])) for record in made)
            execute_rows(connection, insert(people_keys), people_keys.c.keys(), rows)
        return found

    def _wrapped(self, connection: Connection, records: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        chosen = select(people_keys.c.source_record_id, people_keys.c.wrapped, people_keys.c.master_id)
        for some in _parts(records):
            for record, wrapped, by in connection.execute(chosen.where(people_keys.c.source_record_id.in_(some))).all():
                yield record, self._vault.unwrap(people_keys, record, wrapped, by)

    # -- reading ----------------------------------------------------------------------------------------------------

    def values(self, records: Sequence[int]) -> list[PersonalValue]:
        """Return every personal value of some records, decrypted, of each field the newest first.

        Raises:
            VaultLocked: when the master key is missing or wrong.
        """
        order = (people.c.field, people.c.last_received_at.desc(), people.c.last_line.desc())
        found: list[PersonalValue] = []
        with self._transactions.read() as connection:
            for some in _parts(records):
                rows = connection.execute(select(people).where(people.c.source_record_id.in_(some)).order_by(*order))
                held = rows.all()
                keys = dict(self._wrapped(connection, some)) if held else {}
                found += [
                    PersonalValue(
                        row.source_record_id,
                        row.field,
                        row.role,
                        _decrypted(keys[row.source_record_id], row.source_record_id, row.field, row.ciphertext),
                        row.first_received_at,
                        row.last_received_at,
                    )
                    for row in held
                ]
        return found

    def find(self, text: str) -> list[int]:
        """Return the customers who have an identifier: a telephone number, an e-mail address …, however written."""
        if not self._vault.in_use():
            return []
        indexes = [(role, index) for role in CANONICAL if (index := self.index_of(role, text)) is not None]
        found: set[int] = set()
        with self._transactions.read() as connection:
            for role, index in indexes:
                chosen = (
                    select(identities.c.customer_id)
                    .join(people, people.c.source_record_id == identities.c.source_record_id)
                    .where(people.c.role == role, people.c.blind_index == index, identities.c.to_version.is_(None))
                )
                found.update(connection.execute(chosen).scalars())
        return sorted(found)


_SEEN_AGAIN_NAMES: Final = ("seen", "at_line", "record", "its_field", "its_digest")
_SEEN_AGAIN: Final = (
    update(people)
    .where(
        people.c.source_record_id == bindparam("record"),
        people.c.field == bindparam("its_field"),
        people.c.digest == bindparam("its_digest"),
    )
    .values(last_received_at=bindparam("seen"), last_line=bindparam("at_line"))
)


def _known(connection: Connection, records: Iterable[int]) -> set[_Place]:
    chosen = select(people.c.source_record_id, people.c.field, people.c.digest)
    found: set[_Place] = set()
    for some in _parts(sorted(records)):
        rows = connection.execute(chosen.where(people.c.source_record_id.in_(some)))
        found.update((record, field, digest) for record, field, digest in rows)
    return found


def _parts(records: Sequence[int]) -> Iterator[Sequence[int]]:
    return (records[start : start + _NAMED_AT_ONCE] for start in range(0, len(records), _NAMED_AT_ONCE))


def _about(record: int, field: str) -> bytes:
    return f"people|{record}|{field}".encode()


def _decrypted(key: bytes, record: int, field: str, ciphertext: bytes) -> str:
    try:
        return AESGCM(key).decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], _about(record, field)).decode()
    except InvalidTag:
        raise VaultLocked(
            f"the field `{field}` of source record {record} has been damaged or exchanged in the store",
            "restore the store from a backup",
        ) from None
