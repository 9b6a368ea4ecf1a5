"""Pairs of records that may be one person, waiting for somebody's decision; what was decided is never asked again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, insert, select, update

from tierwise.errors import BadRequest, UnknownName
from tierwise.store.actors import Actor
from tierwise.store.schema import identities, identity_reviews
from tierwise.store.sequences import reserve, take
from tierwise.store.transactions import Transactions

__all__ = ["Review", "Reviews", "decide_review"]

_KEPT_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Review:
    """One pair; `state` is ``open``, ``same``, ``different``, or ``settled`` when other evidence made them one."""

    review_id: int
    source_record_id: int
    other_record_id: int
    score: float
    levels: Mapping[str, int] | None
    state: str
    opened_at: datetime
    decided_at: datetime | None
    actor: str | None
    reason: str | None


class Reviews:
    """The verbs of reviews, on one store."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def open(self, pairs: Iterable[tuple[int, int, float, Mapping[str, int]]], at: datetime) -> int:
        """Put pairs into the queue, unless they are or were in it; return how many are new.

        Open ones that are not among the pairs any more are settled.

        Args:
            pairs: (record, other record, score, levels of agreement by field), the smaller record first.
            at: when.
        """
        wanted = {(one, other): (score, levels) for one, other, score, levels in pairs}
        with self._transactions.write() as connection:
            reserve(connection, "review_id")
            columns = identity_reviews.c
            known = {
                (row.source_record_id, row.other_record_id): row
                for row in connection.execute(
                    select(columns.review_id, columns.source_record_id, columns.other_record_id, columns.state)
                )
            }
            gone = [row.review_id for pair, row in known.items() if row.state == "open" and pair not in wanted]
            for start in range(0, len(gone), _KEPT_AT_ONCE):
                some = columns.review_id.in_(gone[start : start + _KEPT_AT_ONCE])
                connection.execute(update(identity_reviews).where(some).values(state="settled", decided_at=at))
            new = [pair for pair in wanted if pair not in known]
            if new:
                first = take(connection, "review_id", len(new))
                rows = [
                    {
                        "review_id": first + place,
                        "source_record_id": pair[0],
                        "other_record_id": pair[1],
                        "score": wanted[pair][0],
                        "levels": dict(wanted[pair][1]),
                        "state": "open",
                        "opened_at": at,
                    }
                    for place, pair in enumerate(new)
                ]
                connection.execute(insert(identity_reviews), rows)
        return len(new)

    def list(self, limit: int = 20) -> list[Review]:
        """Return open pairs whose records are still of two customers, the likeliest first."""
        one, other = identities.alias("one"), identities.alias("other")
        current = one.c.to_version.is_(None), other.c.to_version.is_(None)
        chosen = (
            select(identity_reviews)
            .join(one, and_(one.c.source_record_id == identity_reviews.c.source_record_id, current[0]))
            .join(other, and_(other.c.source_record_id == identity_reviews.c.other_record_id, current[1]))
            .where(identity_reviews.c.state == "open", one.c.customer_id != other.c.customer_id)
            .order_by(identity_reviews.c.score.desc(), identity_reviews.c.review_id)
        )
        with self._transactions.read() as connection:
            return [_review(row) for row in connection.execute(chosen.limit(limit))]

    def get(self, review_id: int) -> Review:
        """Return one pair.

        Raises:
            UnknownName: when there is none of this number.
        """
        with self._transactions.read() as connection:
            row = connection.execute(_of(review_id)).first()
        if row is None:
            raise UnknownName(f"there is no review {review_id}", "`tierwise identity review` lists the open ones")
        return _review(row)


def decide_review(connection: Connection, review_id: int, state: str, reason: str, actor: Actor, at: datetime) -> None:
    """Record a decision, in the transaction that puts it into effect.

    Raises:
        BadRequest: when the pair is decided already.
    """
    mine = identity_reviews.c.review_id == review_id, identity_reviews.c.state == "open"
    decided = update(identity_reviews).where(*mine)
    decided = decided.values(state=state, decided_at=at, actor=str(actor), reason=reason)
    if not connection.execute(decided).rowcount:
        raise BadRequest(f"review {review_id} is not open", "`tierwise identity review` lists the open ones")


def _of(review_id: int) -> Select[Any]:
    return select(identity_reviews).where(identity_reviews.c.review_id == review_id)


def _review(row: Row[Any]) -> Review:
    return Review(**row._mapping)
