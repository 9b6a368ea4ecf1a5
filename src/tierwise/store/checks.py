"""What must always hold in a store, looked over on demand: its file, its schema, its numbers, its books, its audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, Connection, Select, and_, func, inspect, or_, select, text

from tierwise.store.audit import Audit, Finding
from tierwise.store.consents_checks import check_consents
from tierwise.store.points_checks import check_points
from tierwise.store.schema import (
    METADATA,
    audit_seals,
    erasures,
    identities,
    identity_edges,
    identity_reviews,
    identity_versions,
    jobs,
    linkings,
    runs,
    sequences,
    source_records,
)
from tierwise.store.schema_consents import consent_statements
from tierwise.store.schema_points import point_entries, point_proposals
from tierwise.store.schema_server import subject_requests, uploads
from tierwise.store.transactions import Transactions

__all__ = ["check_store"]

_SHOWN: Final = 20
#: The numbers that each sequence gives.
_NUMBERED: Final[dict[str, Column[Any]]] = {
    "source_record_id": source_records.c.source_record_id,
    "customer_id": identities.c.customer_id,
    "identity_version": identity_versions.c.version,
    "erasure_id": erasures.c.erasure_id,
    "edge_id": identity_edges.c.edge_id,
    "review_id": identity_reviews.c.review_id,
    "linking_id": linkings.c.linking_id,
    "run_id": runs.c.run_id,
    "job_id": jobs.c.job_id,
    "audit_seq": audit_seals.c.seq,
    "point_entry_id": point_entries.c.entry_id,
    "point_proposal_id": point_proposals.c.proposal_id,
    "upload_id": uploads.c.upload_id,
    "subject_request_id": subject_requests.c.request_id,
    "consent_statement_id": consent_statements.c.statement_id,
}


def check_store(transactions: Transactions, audit: Audit) -> list[Finding]:
    """Return what is wrong with a store; nothing, when all holds.

    Args:
        transactions: The store.
        audit: Its audit.
    """
    with transactions.read() as connection:
        found = [*_file(connection), *_schema(connection)]
        if not found:  # what follows reads the tables
            found = [*_ids(connection), *_numbers(connection), *check_points(connection), *check_consents(connection)]
    return found if found else audit.verify().findings


def _file(connection: Connection) -> Iterator[Finding]:
    """Ask SQLite for pages and rows that contradict each other; PostgreSQL watches over its own."""
    if connection.dialect.name != "sqlite":
        return
    for row in connection.execute(text("PRAGMA integrity_check")).all()[:_SHOWN]:
        if row[0] != "ok":
            yield Finding("file", f"SQLite finds: {row[0]}")
    for row in connection.execute(text("PRAGMA foreign_key_check")).all()[:_SHOWN]:
        yield Finding("file", f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there")


def _schema(connection: Connection) -> Iterator[Finding]:
    # Imported late: only a check needs Alembic's comparison.
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    for difference in compare_metadata(context, METADATA)[:_SHOWN]:
        yield Finding("schema", f"the schema differs from the declared one: {difference!r}")
    there = inspect(connection)
    for table in METADATA.sorted_tables:
        if there.has_table(table.name):
            checks = {check["name"] for check in there.get_check_constraints(table.name)}
            declared = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
            for name in sorted(declared - checks):
                yield Finding("schema", f"the constraint {name} of {table.name} is missing")


def _ids(connection: Connection) -> Iterator[Finding]:
    current = and_(
        identities.c.source_record_id == source_records.c.source_record_id, identities.c.to_version.is_(None)
    )
    homeless = select(source_records.c.source_record_id).where(~select(identities).where(current).exists())
    yield from _each(connection, homeless, "ids", "source record {} belongs to no customer")
    record, begins = identities.c.source_record_id, identities.c.from_version
    following = func.lead(begins).over(partition_by=record, order_by=begins)
    spans = select(record, identities.c.to_version, following.label("next")).subquery()
    gone_on = spans.c.next.is_not(None)
    broken = and_(gone_on, or_(spans.c.to_version.is_(None), spans.c.to_version != spans.c.next))
    twice = select(spans.c.source_record_id).where(broken).distinct()
    yield from _each(connection, twice, "ids", "source record {} has two customers, or none, in some version")
    newest = select(func.max(identity_versions.c.version)).scalar_subquery()
    later = select(identities.c.source_record_id).where(identities.c.to_version > newest)
    yield from _each(connection, later, "ids", "source record {} leaves its customer in a version that never was")


def _each(connection: Connection, chosen: Select[Any], what: str, message: str) -> Iterator[Finding]:
    for row in connection.execute(chosen.limit(_SHOWN)):
        yield Finding(what, message.format(row[0]))


def _numbers(connection: Connection) -> Iterator[Finding]:
    following = {row.name: row.next_id for row in connection.execute(select(sequences))}
    for name, column in _NUMBERED.items():
        highest = connection.execute(select(func.max(column))).scalar() or 0
        if following.get(name, 0) <= highest:
            yield Finding("numbers", f"the next {name} would be {following.get(name)}, but {highest} is taken")
