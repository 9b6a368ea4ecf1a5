"""Facts by hand: pins, inclusions, exclusions, tag values and lists, each with reason, person and end; append-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Select, func, insert, select

from tierwise.errors import BadRequest, UnknownName
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.schema import facts
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions

__all__ = ["KINDS", "Fact", "Facts"]

#: What can be said by hand: a pin into a tier, in or out of a segment, a tag's value, a place on a list.
KINDS: Final = ("pin", "include", "exclude", "tag", "list")
_REVOKE: Final = "revoke"
#: The facts an evaluation reads: when each holds, `ends_at` being the earlier of its own end and its revocation.
_VALID: Final = pa.schema(
    [
        ("fact_id", pa.int64()),
        ("kind", pa.string()),
        ("name", pa.string()),
        ("customer_id", pa.int64()),
        ("value", pa.string()),
        ("valid_from", pa.timestamp("us")),
        ("ends_at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about one customer; `batch` is the number of what was said at once, and what is revoked."""

    fact_id: int
    batch: int
    kind: str
    name: str
    customer_id: int
    value: str | None
    reason: str
    actor: Actor
    recorded_at: datetime
    valid_from: datetime
    valid_until: datetime | None
    revoked_at: datetime | None

    def holds(self, as_of: datetime) -> bool:
        """Whether it holds at an instant (naive UTC)."""
        at = as_of.replace(tzinfo=UTC)
        ends = [end for end in (self.valid_until, self.revoked_at) if end is not None]
        return self.valid_from <= at and all(at < end for end in ends)


class Facts:
    """The verbs of facts, on one store. No verb reads the clock: the caller says when."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def record(
        self,
        kind: str,
        name: str,
        customers: Sequence[int],
        value: str | None,
        *,
        reason: str,
        actor: Actor,
        at: datetime,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
    ) -> int:
        """Record a fact about some customers at once; return its number, by which it can be revoked.

        Args:
            kind: one of `KINDS`.
            name: the tiering, segment, tag or list.
            customers: about whom.
            value: the tier, or the tag's value as text.
            reason: why, in words; never empty.
            actor: who says so.
            at: now.
            valid_from: from when on it holds, by default from now.
            valid_until: until when (that instant excluded); by default until it is revoked.

        Raises:
            BadRequest: when there is no reason, nobody, or an end that is not after the beginning.
        """
        assert kind in KINDS, kind
        begins = valid_from or at
        if not reason.strip():
            raise BadRequest("a fact by hand needs a reason", "say why with --reason")
        if not customers:
            raise BadRequest("a fact by hand is about somebody", "name at least one customer")
        if valid_until is not None and valid_until <= begins:
            raise BadRequest(f"it would end at {valid_until}, which is not after {begins}", "give a later end")
        with self._transactions.write() as connection:
            first = take(connection, "fact_id", len(customers))
            row: dict[str, Any] = {"kind": kind, "name": name, "value": value, "reason": reason, "batch": first}
            row |= {"actor": str(actor)}
            row |= {"recorded_at": at, "valid_from": begins, "valid_until": valid_until}
            rows = [
                {**row, "fact_id": first + index, "customer_id": customer} for index, customer in enumerate(customers)
            ]
            connection.execute(insert(facts), rows)
            said = {"name": name, "customers": len(customers)}
            note(connection, at, actor, f"fact.{kind}", f"fact:{first}", said)
        return first

    def revoke(self, batch: int, *, reason: str, actor: Actor, at: datetime) -> int:
        """End what was said under a number, from now on; what it was until now stays. Return how many facts end.

        Raises:
            UnknownName: when nothing was said under this number.
            BadRequest: when it was revoked already, or there is no reason.
        """
        if not reason.strip():
            raise BadRequest("a revocation needs a reason", "say why with --reason")
        with self._transactions.write() as connection:
            first = take(connection, "fact_id")
            own = select(facts.c.name, facts.c.customer_id).where(facts.c.batch == batch, facts.c.kind != _REVOKE)
            found = connection.execute(own).all()
            if not found:
                raise UnknownName(f"there is no fact {batch}", "`tierwise facts list` shows them with their numbers")
            if connection.execute(select(facts.c.fact_id).where(facts.c.revokes == batch)).first() is not None:
                raise BadRequest(f"fact {batch} was revoked already")
            row = {"fact_id": first, "batch": first, "kind": _REVOKE, "name": found[0].name, "revokes": batch}
            row |= {"customer_id": found[0].customer_id, "reason": reason, "actor": str(actor)}
            connection.execute(insert(facts).values(**row, recorded_at=at, valid_from=at))
            note(connection, at, actor, "fact.revoke", f"fact:{batch}", {"customers": len(found)})
        return len(found)

    def list(self, *, name: str | None = None, customer_id: int | None = None) -> list[Fact]:
        """Return every fact, newest first, also those that have ended or were revoked."""
        chosen = self._chosen(None).order_by(facts.c.fact_id.desc())
        if name is not None:
            chosen = chosen.where(facts.c.name == name)
        if customer_id is not None:
            chosen = chosen.where(facts.c.customer_id == customer_id)
        with self._transactions.read() as connection:
            rows = connection.execute(chosen).mappings().all()
        return [Fact(**{**row, "actor": Actor.parse(row["actor"])}) for row in rows]

    def valid(self, recorded_by: datetime | None = None) -> pa.Table:
        """Return when which fact holds, as known now or by an instant, with instants as naive UTC."""
        with self._transactions.read() as connection:
            rows = connection.execute(self._chosen(recorded_by).order_by(facts.c.fact_id)).mappings().all()
        listed = [
            {
                **{name: row[name] for name in ("fact_id", "kind", "name", "customer_id", "value")},
                "valid_from": _naive(row["valid_from"]),
                "ends_at": _naive(min((e for e in (row["valid_until"], row["revoked_at"]) if e), default=None)),
            }
            for row in rows
        ]
        return pa.Table.from_pylist(listed, schema=_VALID)

    def version(self, recorded_by: datetime | None = None) -> int:
        """Return the number of the newest statement, revocations included; 0 when there is none."""
        newest = select(func.max(facts.c.fact_id))
        if recorded_by is not None:
            newest = newest.where(facts.c.recorded_at <= recorded_by)
        with self._transactions.read() as connection:
            return int(connection.execute(newest).scalar() or 0)

    def _chosen(self, recorded_by: datetime | None) -> Select[Any]:
        ended = select(facts.c.revokes, facts.c.recorded_at.label("revoked_at")).where(facts.c.kind == _REVOKE)
        names = ("fact_id", "batch", "kind", "name", "customer_id", "value", "reason", "actor", "recorded_at")
        columns = [facts.c[name] for name in (*names, "valid_from", "valid_until")]
        if recorded_by is not None:
            ended = ended.where(facts.c.recorded_at <= recorded_by)
        gone = ended.subquery()
        chosen = select(*columns, gone.c.revoked_at).outerjoin(gone, gone.c.revokes == facts.c.batch)
        chosen = chosen.where(facts.c.kind != _REVOKE)
        return chosen if recorded_by is None else chosen.where(facts.c.recorded_at <= recorded_by)


def _naive(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None)
