"""Edges between records, the decisions behind them, and what linking makes of them: who is which customer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from tierwise.errors import ProjectBusy
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.bulk import bound, execute_rows
from tierwise.store.consents_writing import regroup
from tierwise.store.reviews import decide_review
from tierwise.store.schema import (
    Instant,
    identities,
    identity_edges,
    identity_versions,
    linkings,
    people,
    source_records,
)
from tierwise.store.sequences import reserve, take
from tierwise.store.transactions import Transactions

__all__ = ["BY_HAND", "EDGES", "HOLDINGS", "Change", "Edge", "Fields", "Linking", "Links"]

#: The method of an edge that a person declared.
BY_HAND: Final = "person"
#: The columns `Links.holdings` returns: which record has which identifier, as a blind index.
HOLDINGS: Final = pa.schema(
    [
        pa.field("source_record_id", pa.int64(), nullable=False),
        pa.field("key_space", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("blind_index", pa.binary(), nullable=False),
    ]
)
#: The columns `Links.edges` returns.
EDGES: Final = pa.schema(
    [
        pa.field("edge_id", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("source_record_id", pa.int64(), nullable=False),
        pa.field("other_record_id", pa.int64(), nullable=False),
    ]
)
_CHUNK: Final = 50_000
#: A statement takes at most 32,766 parameters in SQLite.
_NAMED_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of the vault: those named, and all of a role but some; `by_space` when each key space is its own world."""

    named: tuple[str, ...] = ()
    role: str = ""
    but: tuple[str, ...] = ()
    by_space: bool = False

    def conditions(self) -> tuple[ColumnElement[bool], ...]:
        """Return what holds of their rows."""
        named = people.c.field.in_(self.named)
        return (or_(named, and_(people.c.role == self.role, people.c.field.not_in(self.but))) if self.role else named,)


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge as recorded, retracted ones included; see `tierwise.store.schema.identity_edges`."""

    edge_id: int
    kind: str
    method: str
    source_record_id: int
    other_record_id: int
    score: float | None
    from_version: int
    to_version: int | None
    recorded_at: datetime
    actor: Actor
    reason: str | None
    retracted_at: datetime | None
    retracted_by: str | None
    retracted_reason: str | None


@dataclass(frozen=True, slots=True)
class Linking:
    """A linking that has ended."""

    linking_id: int
    identity_version: int
    lake_version: int
    declared: str
    recorded_at: datetime
    report: Mapping[str, Any] | None


@dataclass(frozen=True)
class Change:
    """What is to become of the identities, in one transaction.

    Args:
        kind: what the new identity version is called: ``link``, ``merge``, ``split``, ``review``.
        based_on: the identity version it was worked out from.
        moves: (source record, customer); a negative customer is a new one, the same for the records that share it.
        added: (kind, method, record, other record, score) of the new edges.
        retracted: the numbers of the edges that end.
        reason: why, when a person did it.
        details: what else the audit is to say.
        review: the number of the review that this decides, and how.
    """

    kind: str
    based_on: int
    moves: Sequence[tuple[int, int]] = ()
    added: Sequence[tuple[str, str, int, int, float | None]] = ()
    retracted: Sequence[int] = ()
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    review: tuple[int, str] | None = None


class Links:
    """The verbs of edges, on one store."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    # -- evidence ---------------------------------------------------------------------------------------------------

    def holdings(self, records: Sequence[int] | None = None) -> pa.Table:
        """Return which record has which identifier, once a field: of everybody, or of some records."""
        with self._transactions.read() as connection:
            if records is None:
                return _fetched(connection, _holdings(), HOLDINGS)
            own = [
                _fetched(connection, _holdings().where(people.c.source_record_id.in_(some)), HOLDINGS)
                for some in _parts(records)
            ]
        return pa.concat_tables([HOLDINGS.empty_table(), *own])

    def holders(self, indexes: Sequence[bytes], at_most: int, of: Fields) -> pa.Table:
        """Return who has some identifiers: the holdings of those values that at most so many records have.

        Args:
            indexes: blind indexes.
            at_most: how many records may have one.
            of: which fields count.
        """
        found = [HOLDINGS.empty_table()]
        space = source_records.c.key_space
        with self._transactions.read() as connection:
            for some in _parts(indexes):
                chosen = _holdings().where(people.c.blind_index.in_(some), *of.conditions())
                crowd = chosen.with_only_columns(people.c.blind_index, space if of.by_space else literal("").label("s"))
                crowd = crowd.group_by(people.c.blind_index, *((space,) if of.by_space else ()))
                crowd = crowd.having(func.count(people.c.source_record_id.distinct()) <= at_most)
                few = crowd.subquery()
                same = few.c.blind_index == people.c.blind_index
                if of.by_space:
                    same = and_(same, few.c.key_space == space)
                found.append(_fetched(connection, chosen.join(few, same), HOLDINGS))
        return pa.concat_tables(found)

    def edges(self, records: Sequence[int] | None = None) -> pa.Table:
        """Return the edges that hold now: all, or those of some records."""
        columns = [identity_edges.c[name] for name in EDGES.names]
        chosen = select(*columns).where(identity_edges.c.to_version.is_(None)).order_by(identity_edges.c.edge_id)
        with self._transactions.read() as connection:
            if records is None:
                return _fetched(connection, chosen, EDGES)
            found = [
                _fetched(connection, chosen.where(side.in_(some)), EDGES)
                for some in _parts(records)
                for side in (identity_edges.c.source_record_id, identity_edges.c.other_record_id)
            ]
        together = pa.concat_tables([EDGES.empty_table(), *found])
        return together.group_by(EDGES.names, use_threads=False).aggregate([])

    def homes(self, records: Sequence[int] | None = None) -> dict[int, int]:
        """Return of each record that was another customer before its present one which customer that was."""
        now, before = identities.alias("now"), identities.alias("before")
        joined = now.join(
            before,
            and_(before.c.source_record_id == now.c.source_record_id, before.c.to_version == now.c.from_version),
        )
        chosen = select(now.c.source_record_id, before.c.customer_id).select_from(joined)
        chosen = chosen.where(now.c.to_version.is_(None), before.c.customer_id != now.c.customer_id)
        with self._transactions.read() as connection:
            if records is None:
                return {one.source_record_id: one.customer_id for one in connection.execute(chosen)}
            return {
                record: customer
                for some in _parts(records)
                for record, customer in connection.execute(chosen.where(now.c.source_record_id.in_(some)))
            }

    # -- changing ---------------------------------------------------------------------------------------------------

    def apply(self, change: Change, *, actor: Actor, at: datetime) -> int:
        """Make a change the newest identity version, all of it or nothing; return its number.

        Raises:
            ProjectBusy: when the identities have changed since the change was worked out.
        """
        with self._transactions.write() as connection:
            reserve(connection, "source_record_id")
            newest = connection.execute(select(func.max(identity_versions.c.version))).scalar() or 0
            if newest != change.based_on:
                raise ProjectBusy("identities have changed meanwhile", "do it again")
            if change.review is not None:
                decide_review(connection, *change.review, change.reason or "", actor, at)
            if not (change.moves or change.added or change.retracted):
                return int(newest)
            version = take(connection, "identity_version")
            row = {"version": version, "kind": change.kind, "source_records_count": len(change.moves)}
            connection.execute(insert(identity_versions).values(**row, actor=str(actor), recorded_at=at))
            _move(connection, change.moves, version)
            _retract(connection, change, version, actor, at)
            _add(connection, change, version, actor, at)
            said = {"moved": len(change.moves), "added": len(change.added), "retracted": len(change.retracted)}
            note(connection, at, actor, f"identity.{change.kind}", f"identity:{version}", {**said, **change.details})
            regroup(connection, [record for record, _ in change.moves], version)
        return version

    # -- linkings ---------------------------------------------------------------------------------------------------

    def finish(self, identity_version: int, lake_version: int, declared: str, at: datetime, report: Any) -> int:
        """Record that a linking has ended; return its number."""
        with self._transactions.write() as connection:
            number = take(connection, "linking_id")
            row = {"linking_id": number, "identity_version": identity_version, "lake_version": lake_version}
            connection.execute(insert(linkings).values(**row, declared=declared, recorded_at=at, report=report))
        return number

    def last(self) -> Linking | None:
        """Return the newest linking."""
        with self._transactions.read() as connection:
            row = connection.execute(select(linkings).order_by(linkings.c.linking_id.desc()).limit(1)).first()
        return None if row is None else Linking(**row._mapping)

    def changed_since(self, version: int) -> bool:
        """Return whether records have come to other customers since an identity version, or edges to other records."""
        later = select(identity_versions.c.version).where(
            identity_versions.c.version > version, identity_versions.c.kind != "assign"
        )
        with self._transactions.read() as connection:
            return connection.execute(later.limit(1)).first() is not None

    def regrouped(self, version: int) -> list[int]:
        """Return the customers whose records have become others since an identity version, those who are gone too."""
        regrouping = select(identity_versions.c.version).where(
            identity_versions.c.version > version, identity_versions.c.kind != "assign"
        )
        came = select(identities.c.customer_id).where(identities.c.from_version.in_(regrouping))
        went = select(identities.c.customer_id).where(identities.c.to_version.in_(regrouping))
        with self._transactions.read() as connection:
            return sorted(connection.execute(came.union(went)).scalars())

    # -- looking ----------------------------------------------------------------------------------------------------

    def history(self, records: Sequence[int], *, live: bool = False) -> list[Edge]:
        """Return every edge of some records, newest first; only those that hold, if asked."""
        found: dict[int, Edge] = {}
        with self._transactions.read() as connection:
            for some in _parts(records):
                of_theirs = or_(identity_edges.c.source_record_id.in_(some), identity_edges.c.other_record_id.in_(some))
                chosen = select(identity_edges).where(of_theirs)
                if live:
                    chosen = chosen.where(identity_edges.c.to_version.is_(None))
                for row in connection.execute(chosen):
                    found[row.edge_id] = Edge(**{**row._mapping, "actor": Actor.parse(row.actor)})
        return [found[number] for number in sorted(found, reverse=True)]

    def was(self, customer_id: int) -> pa.Table:
        """Return what a customer has consisted of: (source_record_id, customer_id, from_version, to_version, …).

        Every row of `identities` of each record that ever was this customer's, with its key.
        """
        mine = select(identities.c.source_record_id).where(identities.c.customer_id == customer_id)
        chosen = (
            select(
                identities.c.source_record_id,
                source_records.c.key_space,
                source_records.c.source_key,
                identities.c.customer_id,
                identities.c.from_version,
                identities.c.to_version,
            )
            .join(source_records, source_records.c.source_record_id == identities.c.source_record_id)
            .where(identities.c.source_record_id.in_(mine))
            .order_by(identities.c.from_version, identities.c.source_record_id)
        )
        with self._transactions.read() as connection:
            return _fetched(connection, chosen, _WAS)

    def counts(self) -> dict[str, int]:
        """Return how many records and customers there are, and how many of the customers have several records."""
        current = identities.c.to_version.is_(None)
        each = select(func.count().label("n")).where(current).group_by(identities.c.customer_id).subquery()
        whole = select(func.coalesce(func.sum(each.c.n), 0), func.count(), func.coalesce(func.max(each.c.n), 0))
        with self._transactions.read() as connection:
            records, customers, largest = connection.execute(whole.select_from(each)).one()
            several = connection.execute(select(func.count()).select_from(each).where(each.c.n > 1)).scalar_one()
            by = select(identity_edges.c.method, identity_edges.c.kind, func.count())
            by = by.where(identity_edges.c.to_version.is_(None)).group_by(
                identity_edges.c.method, identity_edges.c.kind
            )
            edges = {f"{method}:{kind}": count for method, kind, count in connection.execute(by)}
        found = {"records": int(records), "customers": int(customers), "merged": several, "largest": int(largest)}
        return {**found, **{f"edges:{name}": count for name, count in sorted(edges.items())}}


_WAS: Final = pa.schema(
    [
        ("source_record_id", pa.int64()),
        ("key_space", pa.string()),
        ("source_key", pa.string()),
        ("customer_id", pa.int64()),
        ("from_version", pa.int64()),
        ("to_version", pa.int64()),
    ]
)


def _holdings() -> Select[Any]:
    return (
        select(
            people.c.source_record_id,
            source_records.c.key_space,
            people.c.field,
            people.c.role,
            people.c.blind_index,
        )
        .join(source_records, source_records.c.source_record_id == people.c.source_record_id)
        .where(people.c.blind_index.is_not(None))
    )


def _move(connection: Connection, moves: Sequence[tuple[int, int]], version: int) -> None:
    if not moves:
        return
    new = sorted({customer for _, customer in moves if customer < 0}, reverse=True)
    first = take(connection, "customer_id", len(new)) if new else 0
    given = {stands_for: first + place for place, stands_for in enumerate(new)}
    record, current = identities.c.source_record_id, identities.c.to_version.is_(None)
    ends = update(identities).where(record == bindparam("record"), current).values(to_version=bindparam("ends_in"))
    execute_rows(connection, ends, ("ends_in", "record"), ((version, one) for one, _ in moves))
    names = ("source_record_id", "from_version", "customer_id")
    rows = ((one, version, given.get(customer, customer)) for one, customer in moves)
    execute_rows(connection, insert(identities), names, rows)


def _retract(connection: Connection, change: Change, version: int, actor: Actor, at: datetime) -> None:
    ends = update(identity_edges).where(
        identity_edges.c.edge_id == bindparam("edge"), identity_edges.c.to_version.is_(None)
    )
    ends = ends.values(
        to_version=bindparam("ends_in"),
        retracted_at=bindparam("ends_at"),
        retracted_by=bindparam("by"),
        retracted_reason=bindparam("why"),
    )
    ends_at = bound(connection, Instant(), at)
    names = ("ends_in", "ends_at", "by", "why", "edge")
    rows = ((version, ends_at, str(actor), change.reason, edge) for edge in change.retracted)
    execute_rows(connection, ends, names, rows)


def _add(connection: Connection, change: Change, version: int, actor: Actor, at: datetime) -> None:
    if not change.added:
        return
    first = take(connection, "edge_id", len(change.added))
    recorded_at = bound(connection, Instant(), at)
    said = ("edge_id", "kind", "method", "source_record_id", "other_record_id", "score")
    names = (*said, "from_version", "recorded_at", "actor", "reason")
    rows = (
        (first + place, *one, version, recorded_at, str(actor), change.reason) for place, one in enumerate(change.added)
    )
    execute_rows(connection, insert(identity_edges), names, rows)


def _fetched(connection: Connection, statement: Select[Any], schema: pa.Schema) -> pa.Table:
    """Return the rows of a query, from the driver's tuples: rows of SQLAlchemy's take twice the time."""
    batches = []
    with connection.execute(statement) as result:
        while rows := result.cursor.fetchmany(_CHUNK):
            columns = [
                pa.array(list(values), kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)
            ]
            batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return pa.Table.from_batches(batches, schema)


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _NAMED_AT_ONCE] for start in range(0, len(values), _NAMED_AT_ONCE))
