"""Consent: what people said they agree to, append-only, and what follows from it for each customer at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select

from tierwise.errors import BadRequest, TierwiseError
from tierwise.store.consents_requests import ConsentState, Say, Statement, check_say
from tierwise.store.consents_writing import record_all, state_of, statement_of
from tierwise.store.queue import WriterQueue
from tierwise.store.schema import identities
from tierwise.store.schema_consents import consent_records, consent_statements, consent_states
from tierwise.store.transactions import Transactions

__all__ = ["Consents", "has_consent"]


class Consents:
    """The verbs of consent, on one store. No verb reads the clock: the caller says when.

    Example:
        >>> import tempfile, pyarrow as pa
        >>> from datetime import UTC
        >>> from tierwise.store import Actor, Store
        >>> at, ann = datetime(2026, 1, 1, tzinfo=UTC), Actor("cli", "ann")
        >>> said = {"at": at, "actor": ann, "customer_id": 1, "purpose": "marketing", "channels": ("sms",)}
        >>> with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/store.db") as store:
        ...     _ = store.ids.assign(pa.table({"key_space": ["crm"], "source_key": ["c-7"]}))
        ...     before = store.consents.allows(1, "marketing", "sms", at)
        ...     words = {"text_version": "2026-01", "text_digest": b"the words"}
        ...     _ = store.consents.record(Say(key="form 1", state="granted", source="form", **words, **said))
        ...     granted = store.consents.allows(1, "marketing", "sms", at)
        ...     _ = store.consents.record(Say(key="sms 9", state="withdrawn", source="sms", **said))
        ...     before, granted, store.consents.allows(1, "marketing", "sms", at)
        (False, True, False)
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._queue: WriterQueue[Say, list[Statement]] = WriterQueue(transactions, record_all)

    def record(self, asked: Say) -> list[Statement]:
        """Record what somebody said, one statement a channel, and wait until it is on the disk.

        What follows from it holds from then on. The same key again gives the same statements, `replayed`.

        Raises:
            BadRequest: when it makes no sense: an end before the beginning, a time to come, a clock that went back, a
                version of a text whose words were others before, a grant for sensitive data without evidence.
            KeyReused: when its key was used for another statement.
            UnknownName: when there is no such customer.
        """
        return self.submit(asked).result()

    def submit(self, asked: Say) -> Future[list[Statement]]:
        """Put a statement into the queue of this process; the future is done when it is on the disk, or refused.

        Raises:
            BadRequest: when it can be refused without looking at what was said before.
        """
        check_say(asked)
        return self._queue.submit(asked)

    def record_many(self, asked: Sequence[Say]) -> list[list[Statement] | TierwiseError]:
        """Record many statements in one transaction: all that are sound, or nothing when it fails.

        Returns:
            for each, in order, its statements or why it is refused.
        """
        fates: list[BadRequest | None] = []
        for one in asked:
            try:
                check_say(one)
            except BadRequest as refused:
                fates.append(refused)
            else:
                fates.append(None)
        sound = [one for one, fate in zip(asked, fates, strict=True) if fate is None]
        done = iter(self._queue.do(sound) if sound else [])
        return [next(done) if fate is None else fate for fate in fates]

    def close(self) -> None:
        """Do what is in the queue, then end it."""
        self._queue.close()

    # -- looking ----------------------------------------------------------------------------------------------------

    def allows(self, customer_id: int, purpose: str, channel: str, at: datetime) -> bool:
        """Return whether a customer has granted a purpose on a channel, at an instant not before the last statement."""
        with self._transactions.read() as connection:
            return has_consent(connection, customer_id, purpose, channel, at)

    def states(self, customer_id: int) -> list[ConsentState]:
        """Return what follows from all that was said of a customer, by purpose and channel; nothing of silence."""
        chosen = select(consent_states).where(consent_states.c.customer_id == customer_id)
        chosen = chosen.order_by(consent_states.c.purpose, consent_states.c.channel)
        with self._transactions.read() as connection:
            return [state_of(row) for row in connection.execute(chosen)]

    def statements(self, customer_id: int, limit: int | None = None) -> list[Statement]:
        """Return the statements about the records that a customer has now, the newest first."""
        about = (
            select(consent_records.c.statement_id)
            .join(identities, identities.c.source_record_id == consent_records.c.source_record_id)
            .where(identities.c.customer_id == customer_id, identities.c.to_version.is_(None))
        )
        chosen = select(consent_statements).where(consent_statements.c.statement_id.in_(about))
        chosen = chosen.order_by(consent_statements.c.statement_id.desc()).limit(limit)
        with self._transactions.read() as connection:
            return [statement_of(row) for row in connection.execute(chosen)]

    def everything_of(self, customer_id: int) -> dict[str, Any]:
        """Return everything that is held of a customer's consent, as plain values."""
        return {
            "statements": [one.as_json() for one in reversed(self.statements(customer_id))],
            "states": [one.as_json(one.standing.since) for one in self.states(customer_id)],
        }

    def counts(self, at: datetime) -> list[dict[str, Any]]:
        """Return how many customers stand how, by purpose and channel, at an instant not before the last statement."""
        state, ends = consent_states.c.state, consent_states.c.expires_at
        over = and_(state == "granted", ends.is_not(None), ends <= at)
        by = (consent_states.c.purpose, consent_states.c.channel)
        totals = [
            func.sum(case((holds, 1), else_=0)).label(name)
            for name, holds in (
                ("granted", and_(state == "granted", ~over)),
                ("withdrawn", state == "withdrawn"),
                ("expired", or_(state == "expired", over)),
            )
        ]
        chosen = select(*by, *totals).group_by(*by).order_by(*by)
        with self._transactions.read() as connection:
            return [
                {name: int(value) if name in _COUNTED else value for name, value in row._mapping.items()}
                for row in connection.execute(chosen)
            ]

    def texts(self) -> list[dict[str, Any]]:
        """Return the versions of texts that people agreed to: purpose, version, hash of the words, how many, when."""
        said = consent_statements.c
        by = (said.purpose, said.text_version, said.text_digest)
        totals = func.count().label("grants"), func.min(said.said_at).label("first_at")
        chosen = (
            select(*by, *totals).where(said.state == "granted").group_by(*by).order_by(said.purpose, said.text_version)
        )
        with self._transactions.read() as connection:
            return [{**row._mapping, "text_digest": bytes(row.text_digest)} for row in connection.execute(chosen)]


_COUNTED = ("granted", "withdrawn", "expired")


def has_consent(
    connection: Connection, customer_id: int, purpose: str, channel: str, at: datetime, *, lock: bool = False
) -> bool:
    """Return whether a customer has granted a purpose on a channel; silence is a refusal.

    Args:
        connection: a transaction; of whoever is about to send, the one in which they say so.
        customer_id: whom.
        purpose: for what.
        channel: by which way, "" for a purpose without channels.
        at: an instant not before the last statement.
        lock: whether a withdrawal has to wait until the transaction ends.
    """
    chosen = select(consent_states).where(
        consent_states.c.customer_id == customer_id,
        consent_states.c.purpose == purpose,
        consent_states.c.channel == channel,
    )
    row = connection.execute(chosen.with_for_update() if lock else chosen).one_or_none()
    return row is not None and state_of(row).standing.at(at) == "granted"
