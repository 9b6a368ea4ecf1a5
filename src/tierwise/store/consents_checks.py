"""The proof of consent: statements are what their audit entries answer for, and every state follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, select

from tierwise.store.audit import Finding
from tierwise.store.consents_writing import KEPT, RECORDED, digest_of, mark_of, state_of, states_of_all
from tierwise.store.schema import audit_entries
from tierwise.store.schema_consents import consent_records, consent_statements, consent_states

__all__ = ["check_consents"]

_SHOWN: Final = 20
_CHUNK: Final = 10_000


def check_consents(connection: Connection) -> Iterator[Finding]:
    """Look over statements and states; give what does not hold.

    Args:
        connection: a reading transaction.
    """
    yield from _audited(connection)
    yield from _evidence(connection)
    yield from _records(connection)
    yield from _states(connection)


def _audited(connection: Connection) -> Iterator[Finding]:
    """Compare the statements of each transaction with the hash that the audit has of them."""
    entries = select(audit_entries.c.entry_id, audit_entries.c.details).where(audit_entries.c.action == RECORDED)
    answered = {
        row.details["batch"]: (row.details["statements"], row.details["digest"])
        for row in connection.execute(entries, execution_options={"yield_per": _CHUNK})
    }
    found = 0
    for number, batch in _batches(connection):
        statements, digest = answered.pop(number, (0, ""))
        if not statements:
            yield Finding("consent", f"no audit entry answers for statement {number} and those recorded with it")
        elif digest_of(batch) != digest:
            yield Finding(
                "consent",
                f"statement {number} and those recorded with it, {statements}, are not what the audit answers for",
            )
        else:
            continue
        found += 1
        if found >= _SHOWN:
            return
    for number in sorted(answered)[:_SHOWN]:
        yield Finding("consent", f"the audit answers for statement {number}, which is missing")


def _batches(connection: Connection) -> Iterator[tuple[int, list[tuple[Any, list[int]]]]]:
    """Yield the statements of each batch with the records that they are about."""
    said, about = consent_statements, consent_records
    columns = [said.c[name] for name in KEPT]
    joined = said.outerjoin(about, about.c.statement_id == said.c.statement_id)
    chosen = select(*columns, about.c.source_record_id.label("record")).select_from(joined)
    chosen = chosen.order_by(said.c.batch, said.c.statement_id, about.c.source_record_id)
    rows = connection.execute(chosen, execution_options={"yield_per": _CHUNK})
    for number, together in groupby(rows, key=lambda row: int(row.batch)):
        batch = []
        for _, same in groupby(together, key=lambda row: int(row.statement_id)):
            lines: list[Any] = list(same)
            records = [int(line.record) for line in lines if line.record is not None]
            batch.append((lines[0]._mapping, records))
        yield number, batch


def _evidence(connection: Connection) -> Iterator[Finding]:
    said = consent_statements.c
    chosen = select(said.statement_id, said.evidence, said.salt, said.mark).where(said.salt.is_not(None))
    wrong = 0
    for row in connection.execute(chosen, execution_options={"yield_per": _CHUNK}):
        if row.mark is None or mark_of(row.evidence or "", bytes(row.salt)) != bytes(row.mark):
            yield Finding("consent", f"the evidence of statement {row.statement_id} is not what was recorded")
            wrong += 1
            if wrong >= _SHOWN:
                return


def _records(connection: Connection) -> Iterator[Finding]:
    same = and_(
        consent_records.c.statement_id == consent_statements.c.statement_id,
        consent_records.c.source_record_id == consent_statements.c.source_record_id,
    )
    own = select(consent_records.c.statement_id).where(same).exists()
    yield from _each(
        connection,
        select(consent_statements.c.statement_id).where(~own),
        "statement {} is not about the record by which it was made",
    )
    highest, count = connection.execute(select(func.max(consent_statements.c.statement_id), func.count())).one()
    if (highest or 0) != count:
        yield Finding("consent", f"{count} statements are numbered up to {highest or 0}: some are missing")


def _states(connection: Connection) -> Iterator[Finding]:
    """Compare what is kept of each customer with what follows from the statements."""
    kept = {
        (one.customer_id, one.purpose, one.channel): one.standing
        for one in map(state_of, connection.execute(select(consent_states)))
    }
    wrong = 0
    for one in states_of_all(connection):
        if kept.pop((one.customer_id, one.purpose, one.channel), None) != one.standing:
            yield Finding("consent", _differs(one.customer_id, one.purpose, one.channel))
            wrong += 1
            if wrong >= _SHOWN:
                return
    for customer, purpose, channel in sorted(kept)[:_SHOWN]:
        yield Finding("consent", _differs(customer, purpose, channel))


def _differs(customer: int, purpose: str, channel: str) -> str:
    about = f"`{purpose}` by {channel}" if channel else f"`{purpose}`"
    return f"what is kept of customer {customer}'s consent to {about} does not follow from the statements"


def _each(connection: Connection, chosen: Select[Any], message: str) -> Iterator[Finding]:
    for row in connection.execute(chosen.limit(_SHOWN)):
        yield Finding("consent", message.format(*row))
