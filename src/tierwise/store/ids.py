"""Source records and the customers they belong to.

A *source record* is one key of one key space (`crm`, `c-1001`). Before identity is built every new record is a
customer of its own; merging comes later and only closes one row of `identities` and opens another. Numbers are
given in the order the keys come in, and no number is ever given twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
)

from tierwise.errors import BadRequest
from tierwise.store.actors import SYSTEM, Actor
from tierwise.store.schema import Id, identities, identity_versions, source_records
from tierwise.store.sequences import reserve, take
from tierwise.store.transactions import Transactions

__all__ = ["ALIASES", "ASSIGNED", "CUSTOMERS", "Ids"]

#: The columns `Ids.assign` returns.
ASSIGNED: Final = pa.schema(
    [
        pa.field("key_space", pa.string(), nullable=False),
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("source_record_id", pa.int64(), nullable=False),
        pa.field("customer_id", pa.int64(), nullable=False),
    ]
)

#: The columns `Ids.customers` returns.
CUSTOMERS: Final = pa.schema(
    [ASSIGNED.field(name) for name in ("source_record_id", "customer_id", "key_space", "source_key")]
)

#: The columns `Ids.aliases` returns.
ALIASES: Final = pa.schema(
    [pa.field(name, pa.int64(), nullable=False) for name in ("former_id", "customer_id", "merged_in")]
)

_INCOMING = Table(
    "incoming_keys",
    MetaData(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("key_space", Text, nullable=False),
    Column("source_key", Text, nullable=False),
    prefixes=["TEMPORARY"],
)
_CHUNK = 50_000
#: A statement takes at most 32,766 parameters in SQLite.
_CHUNK_OF_NUMBERS = 30_000


class Ids:
    """The verbs of ids, on one store."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def assign(self, keys: pa.Table, *, actor: Actor = SYSTEM, at: datetime | None = None) -> pa.Table:
        """Give every key its source record and customer, new ones in the order they first appear.

        Keys that are known keep their numbers, so doing it twice is doing it once; two processes doing it at once
        agree. When something was new the identity version goes up by one.

        Args:
            keys: Columns `key_space` and `source_key`, both text and without gaps; repetitions are allowed.
            actor: Who asks.
            at: When, for the record.

        Returns:
            One row per distinct key, in the order of first appearance, with the columns of `ASSIGNED`.
        """
        distinct = _distinct(keys)
        if not distinct.num_rows:
            return ASSIGNED.empty_table()
        with self._transactions.write() as connection:
            reserve(connection, "source_record_id")
            _INCOMING.create(connection)
            _fill(connection, distinct)
            new = connection.execute(select(func.count()).select_from(_unknown().subquery())).scalar_one()
            firsts = _number(connection, new, actor, at) if new else None
            if firsts and new == distinct.num_rows:
                numbers = [pa.array(range(first, first + new), pa.int64()) for first in firsts]
            else:
                numbers = _fetch(connection, _numbered(), (pa.int64(), pa.int64()))
            # When something fails, the rollback drops it: PostgreSQL refuses every statement after a failing one.
            _INCOMING.drop(connection)
        assert len(numbers[0]) == distinct.num_rows, "every key has exactly one record and one customer"
        return pa.Table.from_arrays([distinct["key_space"], distinct["source_key"], *numbers], schema=ASSIGNED)

    def customers(self, identity_version: int | None = None) -> pa.Table:
        """Return every source record with its customer, now or as of an identity version, by source record.

        The columns are those of `CUSTOMERS`. A customer with several records has several rows.
        """
        chosen = (
            select(
                identities.c.source_record_id,
                identities.c.customer_id,
                source_records.c.key_space,
                source_records.c.source_key,
            )
            .join(source_records, source_records.c.source_record_id == identities.c.source_record_id)
            .where(_holds(identities, identity_version))
            .order_by(identities.c.source_record_id)
        )
        with self._transactions.read() as connection:
            return pa.Table.from_arrays(_fetch(connection, chosen, CUSTOMERS.types), schema=CUSTOMERS)

    def customers_of(self, records: Sequence[int]) -> pa.Table:
        """Return these source records with their customer, and every other record of those customers.

        The columns are those of `CUSTOMERS`.
        """
        own, other = identities.alias("own"), identities
        found = [CUSTOMERS.empty_table()]
        with self._transactions.read() as connection:
            for start in range(0, len(records), _CHUNK_OF_NUMBERS):
                chunk = records[start : start + _CHUNK_OF_NUMBERS]
                named = select(own.c.customer_id).where(own.c.source_record_id.in_(chunk), own.c.to_version.is_(None))
                chosen = (
                    select(
                        other.c.source_record_id,
                        other.c.customer_id,
                        source_records.c.key_space,
                        source_records.c.source_key,
                    )
                    .join(source_records, source_records.c.source_record_id == other.c.source_record_id)
                    .where(other.c.customer_id.in_(named), other.c.to_version.is_(None))
                    .order_by(other.c.source_record_id)
                )
                found.append(pa.Table.from_arrays(_fetch(connection, chosen, CUSTOMERS.types), schema=CUSTOMERS))
        together = pa.concat_tables(found)
        return together.group_by(together.column_names, use_threads=False).aggregate([])

    def records_of(self, customer_id: int) -> pa.Table:
        """Return the source records of a customer; the columns are those of `CUSTOMERS`."""
        chosen = (
            select(
                identities.c.source_record_id,
                identities.c.customer_id,
                source_records.c.key_space,
                source_records.c.source_key,
            )
            .join(source_records, source_records.c.source_record_id == identities.c.source_record_id)
            .where(identities.c.customer_id == customer_id, identities.c.to_version.is_(None))
            .order_by(identities.c.source_record_id)
        )
        with self._transactions.read() as connection:
            return pa.Table.from_arrays(_fetch(connection, chosen, CUSTOMERS.types), schema=CUSTOMERS)

    def version(self, recorded_by: datetime | None = None) -> int:
        """Return the newest identity version, or the newest recorded by an instant; 0 before the first record."""
        newest = select(func.max(identity_versions.c.version))
        if recorded_by is not None:  # one without an instant is as old as the store
            recorded_at = identity_versions.c.recorded_at
            newest = newest.where(or_(recorded_at.is_(None), recorded_at <= recorded_by))
        with self._transactions.read() as connection:
            return int(connection.execute(newest).scalar() or 0)

    def recorded(self, versions: Sequence[int]) -> dict[int, datetime | None]:
        """Return when some identity versions were recorded."""
        chosen = select(identity_versions.c.version, identity_versions.c.recorded_at)
        with self._transactions.read() as connection:
            return {
                row.version: row.recorded_at
                for start in range(0, len(versions), _CHUNK_OF_NUMBERS)
                for row in connection.execute(
                    chosen.where(identity_versions.c.version.in_(versions[start : start + _CHUNK_OF_NUMBERS]))
                )
            }

    def count(self) -> int:
        """Return how many source records there are."""
        with self._transactions.read() as connection:
            return int(connection.execute(select(func.count()).select_from(source_records)).scalar_one())

    def find(self, key: str, *, key_space: str | None = None) -> list[int]:
        """Return the customers a person means by `key`: the brand's own number, or ``id:42``.

        Several key spaces may use one number for different people; then several customers come back. A number that
        has gone into another customer gives that one, or several where its records have gone different ways.
        """
        current = identities.c.to_version.is_(None)
        if key.startswith("id:"):
            digits = key.removeprefix("id:")
            if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
                raise BadRequest(f"`{key}` is not a customer id", hint="write id: and a number, such as id:42")
            wanted: ColumnElement[bool] = identities.c.customer_id == int(digits)
        else:
            wanted = source_records.c.source_key == key
            if key_space is not None:
                wanted = and_(wanted, source_records.c.key_space == key_space)
        joined = identities.join(source_records, source_records.c.source_record_id == identities.c.source_record_id)
        chosen = select(identities.c.customer_id).select_from(joined).where(current, wanted).distinct()
        with self._transactions.read() as connection:
            found = connection.execute(chosen.order_by(identities.c.customer_id)).scalars().all()
            if not found and key.startswith("id:"):
                found = connection.execute(_gone_into(int(digits))).scalars().all()
        return [int(one) for one in found]

    def aliases(self, recorded_by: datetime | None = None) -> pa.Table:
        """Return the numbers nobody has any more, where one customer has all their records now.

        Facts and history of a number that was merged are of the customer it went into.

        Args:
            recorded_by: as known at an instant, instead of now.

        Returns:
            The columns of `ALIASES`; `merged_in` is the identity version since which it is so.
        """
        version = None if recorded_by is None else self.version(recorded_by)
        left, now, there = identities.alias("left"), identities.alias("now"), identities.alias("there")
        ends = left.c.to_version if version is None else _ended_by(left.c.to_version, version)
        last = select(left.c.customer_id, func.max(ends).label("ends")).where(ends.is_not(None))
        last = last.where(left.c.customer_id.not_in(select(there.c.customer_id).where(_holds(there, version))))
        gone = last.group_by(left.c.customer_id).subquery()
        went = and_(left.c.customer_id == gone.c.customer_id, left.c.to_version == gone.c.ends)
        chosen = (
            select(gone.c.customer_id, func.min(now.c.customer_id), func.max(gone.c.ends))
            .join(left, went)
            .join(now, now.c.source_record_id == left.c.source_record_id)
            .where(_holds(now, version))
            .group_by(gone.c.customer_id)
            .having(func.min(now.c.customer_id) == func.max(now.c.customer_id))
            .order_by(gone.c.customer_id)
        )
        with self._transactions.read() as connection:
            return pa.Table.from_arrays(_fetch(connection, chosen, ALIASES.types), schema=ALIASES)


def _holds(table: FromClause, version: int | None) -> ColumnElement[bool]:
    """Whether a row of the identities holds, now or in a version."""
    if version is None:
        return table.c.to_version.is_(None)
    return and_(table.c.from_version <= version, or_(table.c.to_version.is_(None), table.c.to_version > version))


def _gone_into(customer_id: int) -> Select[Any]:
    """Return the customers that the records of a number nobody has any more belong to."""
    left, now = identities.alias("left"), identities.alias("now")
    last = select(func.max(left.c.to_version)).where(left.c.customer_id == customer_id).scalar_subquery()
    went = identities.c.customer_id == customer_id, identities.c.to_version == last
    joined = now.join(identities, now.c.source_record_id == identities.c.source_record_id)
    chosen = select(now.c.customer_id).select_from(joined).where(*went, now.c.to_version.is_(None))
    return chosen.distinct().order_by(now.c.customer_id)


def _ended_by(to_version: ColumnElement[int | None], version: int) -> ColumnElement[int | None]:
    """Return the version in which a row ended, nothing when it had not by a version."""
    return case((to_version <= version, to_version))


def _distinct(keys: pa.Table) -> pa.Table:
    """Return the distinct keys in the order of first appearance; a missing or empty one is refused."""
    wanted = ["key_space", "source_key"]
    absent = [name for name in wanted if name not in keys.column_names]
    if absent:
        raise BadRequest(f"the keys have no column {', '.join(absent)}")
    keys = keys.select(wanted)
    for name in wanted:
        column = keys[name]
        if column.null_count or pc.any(pc.equal(column, "")).as_py():
            raise BadRequest(f"a {name} is missing or empty", hint="rows without a key are quarantined before this")
        if pc.any(pc.match_substring(column.cast(pa.string()), "\x00")).as_py():
            raise BadRequest(f"a {name} holds a NUL character", hint="PostgreSQL keeps no such text; correct the file")
    keys = keys.cast(pa.schema([ASSIGNED.field(name) for name in wanted]))
    numbered = keys.append_column("position", pa.array(range(keys.num_rows), pa.int64()))
    firsts = numbered.group_by(wanted, use_threads=False).aggregate([("position", "min")])
    return firsts.sort_by("position_min").select(wanted).combine_chunks()


def _fill(connection: Connection, keys: pa.Table) -> None:
    """Write the keys into the temporary table, over the driver: a million rows as dictionaries take 10 s longer."""
    statement = insert(_INCOMING).compile(dialect=connection.dialect)
    names = statement.positiontup
    for start in range(0, keys.num_rows, _CHUNK):
        chunk = keys.slice(start, _CHUNK)
        if connection.dialect.name == "sqlite" and _fill_at_once(connection, chunk, start):
            continue
        positions = range(start, start + chunk.num_rows)
        rows = list(zip(positions, chunk["key_space"].to_pylist(), chunk["source_key"].to_pylist(), strict=True))
        if names is None:
            connection.execute(insert(_INCOMING), [dict(zip(_INCOMING.c.keys(), row, strict=True)) for row in rows])
        else:
            assert names == _INCOMING.c.keys()
            connection.exec_driver_sql(str(statement), rows)


def _fill_at_once(connection: Connection, keys: pa.Table, start: int) -> bool:
    """Hand SQLite the keys of one key space as one JSON text, in half the time; return whether they are of one."""
    spaces = keys["key_space"].unique().to_pylist()
    if len(spaces) > 1:
        return False
    written = json.dumps(keys["source_key"].to_pylist(), ensure_ascii=False)
    each = func.json_each(written).table_valued("key", "value")
    chosen = select(each.c.key + start, literal(spaces[0]), each.c.value)
    connection.execute(insert(_INCOMING).from_select(_INCOMING.c.keys(), chosen))
    return True


def _fetch(connection: Connection, statement: Select[Any], types: Sequence[pa.DataType]) -> list[pa.Array]:
    """Return the columns of a query as arrays, from the driver's tuples: rows of SQLAlchemy's take twice the time."""
    parts: list[list[pa.Array]] = [[pa.array([], kind)] for kind in types]
    with connection.execute(statement) as result:
        while rows := result.cursor.fetchmany(_CHUNK):
            for part, values, kind in zip(parts, zip(*rows, strict=True), types, strict=True):
                part.append(pa.array(values, kind))
    return [pa.concat_arrays(part) for part in parts]


def _same_key() -> Any:
    return and_(
        source_records.c.key_space == _INCOMING.c.key_space,
        source_records.c.source_key == _INCOMING.c.source_key,
    )


def _unknown() -> Select[Any]:
    known = select(source_records.c.source_record_id).where(_same_key()).exists()
    return select(_INCOMING).where(~known)


def _number(connection: Connection, new: int, actor: Actor, at: datetime | None) -> tuple[int, int]:
    """Write the `new` unknown keys as records, each a customer of its own; return the first number of both."""
    first_record = take(connection, "source_record_id", new)
    first_customer = take(connection, "customer_id", new)
    version = take(connection, "identity_version")
    connection.execute(
        insert(identity_versions).values(
            version=version, kind="assign", source_records_count=new, actor=str(actor), recorded_at=at
        )
    )
    unknown = _unknown().subquery()
    place = func.row_number().over(order_by=unknown.c.position) - 1
    numbered = select(literal(first_record, Id) + place, unknown.c.key_space, unknown.c.source_key)
    columns = ["source_record_id", "key_space", "source_key"]
    connection.execute(insert(source_records).from_select(columns, numbered.order_by(unknown.c.position)))
    record_id = source_records.c.source_record_id
    own = select(record_id, literal(version, Id), null(), record_id - first_record + first_customer)
    columns = ["source_record_id", "from_version", "to_version", "customer_id"]
    connection.execute(
        insert(identities).from_select(columns, own.where(record_id >= first_record).order_by(record_id))
    )
    return first_record, first_customer


def _numbered() -> Select[Any]:
    # Through the primary key: the index of current rows would only lead to it, at twice the time.
    current = (identities.c.to_version + 0).is_(None)
    return (
        select(source_records.c.source_record_id, identities.c.customer_id)
        .select_from(_INCOMING)
        .join(source_records, _same_key())
        .join(identities, identities.c.source_record_id == source_records.c.source_record_id)
        .where(current)
        .order_by(_INCOMING.c.position)
    )
