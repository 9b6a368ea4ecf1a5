"""Points: what customers have earned, spent and lost, in double entry; every deed is done once, whole, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row, insert, or_, select, update

from tierwise.errors import BadRequest, SecondPerson, TierwiseError, UnknownName
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.points_book import Book, Ledger
from tierwise.store.points_reports import liability
from tierwise.store.points_requests import Adjust, Entry, Given, Request, check_request
from tierwise.store.points_writing import entry_of, load_books, post_all, settle_some
from tierwise.store.queue import WriterQueue
from tierwise.store.schema_points import point_entries, point_lots, point_proposals
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions

__all__ = ["Balance", "Points", "Proposal"]

#: So many deeds, or customers, share a transaction when very many are done at once.
_AT_ONCE: Final = 5_000
_EVERYTHING: Final = 2**31


@dataclass(frozen=True, slots=True)
class Balance:
    """What a customer has at an instant, and the lots it lies in: (points, available_at, expires_at)."""

    customer_id: int
    available: int
    pending: int
    owed: int
    lots: tuple[tuple[int, datetime, datetime | None], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the balance as plain values."""
        lots = [
            {"points": points, "available_at": available_at, "expires_at": expires_at}
            for points, available_at, expires_at in self.lots
        ]
        numbers = {"available": self.available, "pending": self.pending, "owed": self.owed}
        return {"customer_id": self.customer_id, **numbers, "lots": lots}


@dataclass(frozen=True, slots=True)
class Proposal:
    """An adjustment that waits for a second person, or had one; `state` is proposed, approved or declined."""

    proposal_id: int
    customer_id: int
    points: int
    reason: str | None
    expires_at: datetime | None
    proposed_by: Actor
    proposed_at: datetime
    state: str
    decided_by: Actor | None
    decided_at: datetime | None
    entry_id: int | None


class Points:
    """The verbs of points, on one store. No verb reads the clock: the caller says when.

    Example:
        >>> import tempfile, pyarrow as pa
        >>> from datetime import UTC
        >>> from tierwise.store import Store
        >>> from tierwise.store.points_requests import Earn, Redeem
        >>> at, ann = datetime(2026, 1, 1, tzinfo=UTC), Actor("cli", "ann")
        >>> with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/store.db") as store:
        ...     _ = store.ids.assign(pa.table({"key_space": ["crm"], "source_key": ["c-7"]}))
        ...     _ = store.points.post(Earn(key="order 1", at=at, actor=ann, customer_id=1, points=100))
        ...     spent = store.points.post(Redeem(key="basket 9", at=at, actor=ann, customer_id=1, points=30))
        ...     spent.points, store.points.balance(1, at).available
        (-30, 70)
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._queue: WriterQueue[Request, Entry] = WriterQueue(transactions, post_all)

    def post(self, asked: Request) -> Entry:
        """Do a deed and wait until it is on the disk; the same key again gives the same entry, `replayed`.

        Raises:
            BadRequest: when it makes no sense: points that are no whole number within bounds, a clock that went back.
            KeyReused: when its key was used for something else.
            NotEnough: when it would take more than there is.
            UnknownName: when there is no such customer or entry.
        """
        return self.submit(asked).result()

    def submit(self, asked: Request) -> Future[Entry]:
        """Put a deed into the queue of this process; the future is done when the deed is on the disk, or refused.

        Raises:
            BadRequest: when it can be refused without looking at the books.
        """
        check_request(asked)
        return self._queue.submit(asked)

    def post_many(
        self, asked: Sequence[Request], progress: Callable[[int, int], None] | None = None
    ) -> Iterator[Entry | TierwiseError]:
        """Do very many deeds, thousands in a transaction, in their order; give for each its entry or its refusal.

        Whoever stops in the middle, or is killed, asks for all of them again: those that were done are only repeated.

        Args:
            asked: the deeds.
            progress: called with (done, total) after each transaction.
        """
        for begin in range(0, len(asked), _AT_ONCE):
            part = asked[begin : begin + _AT_ONCE]
            fates: list[Entry | TierwiseError | None] = []
            for one in part:
                try:
                    check_request(one)
                except BadRequest as refused:
                    fates.append(refused)
                else:
                    fates.append(None)
            sound = [one for one, fate in zip(part, fates, strict=True) if fate is None]
            done = iter(self._queue.do(sound) if sound else [])
            yield from (next(done) if fate is None else fate for fate in fates)
            if progress is not None:
                progress(begin + len(part), len(asked))

    def settle(self, at: datetime, progress: Callable[[int], None] | None = None) -> dict[str, int]:
        """Release and expire everything due by an instant; doing it twice does it once.

        Nobody's balance waits for this: whatever is asked of a customer settles their account first.

        Args:
            at: now.
            progress: called with the number of customers done.

        Returns:
            how many customers were concerned, how many points released and expired.
        """
        whole = {"customers": 0, "released": 0, "expired": 0}
        while True:
            with self._transactions.write() as connection:
                done = settle_some(connection, at, _AT_ONCE)
            if not done["customers"]:
                return whole
            whole = {name: number + done[name] for name, number in whole.items()}
            if progress is not None:
                progress(whole["customers"])

    def close(self) -> None:
        """Do what is in the queue, then end it."""
        self._queue.close()

    # -- looking ----------------------------------------------------------------------------------------------------

    def balance(self, customer_id: int, at: datetime) -> Balance:
        """Return what a customer has at an instant not before the last deed, also what is due but not settled yet."""
        with self._transactions.read() as connection:
            books, lots, _ = load_books(connection, {customer_id}, lock=False)
        book = books.get(customer_id) or Book(customer_id)
        Ledger({customer_id: book}, lots, {}).settle(book, at)
        left = sorted((lot for lot in book.lots if lot.remaining), key=lambda lot: lot.order)
        shown = tuple((lot.remaining, lot.available_at, lot.expires_at) for lot in left)
        return Balance(customer_id, book.available, book.pending, book.owed, shown)

    def statement(self, customer_id: int, limit: int = 50, before: int | None = None) -> list[Entry]:
        """Return a customer's entries, the newest first, if need be only those before one."""
        mine = or_(point_entries.c.customer_id == customer_id, point_entries.c.from_customer_id == customer_id)
        chosen = select(point_entries).where(mine).order_by(point_entries.c.entry_id.desc()).limit(limit)
        if before is not None:
            chosen = chosen.where(point_entries.c.entry_id < before)
        with self._transactions.read() as connection:
            return [entry_of(row) for row in connection.execute(chosen)]

    def given(self) -> list[Given]:
        """Return what rules have given for a reference, and how much of it has not been taken back."""
        lot = point_lots.c
        left = (lot.points - lot.reversed - lot.recalled).label("left")
        chosen = select(lot.lot_id, point_entries.c.rule, point_entries.c.reference, left)
        chosen = chosen.join(point_entries, point_entries.c.entry_id == lot.lot_id)
        chosen = chosen.where(point_entries.c.rule.is_not(None), point_entries.c.reference.is_not(None))
        with self._transactions.read() as connection:
            return [Given(*row) for row in connection.execute(chosen)]

    def everything_of(self, customer_id: int) -> dict[str, Any]:
        """Return everything the ledger holds on a customer, as plain values: their entries and proposed adjustments."""
        mine = select(point_proposals).where(point_proposals.c.customer_id == customer_id)
        with self._transactions.read() as connection:
            proposed = connection.execute(mine.order_by(point_proposals.c.proposal_id)).mappings().all()
        entries = self.statement(customer_id, limit=_EVERYTHING)
        return {
            "entries": [entry.as_json() for entry in reversed(entries)],
            "proposals": [dict(one) for one in proposed],
        }

    def of_reference(self, reference: str) -> list[Entry]:
        """Return the entries that name an order or another reference, in their order."""
        chosen = select(point_entries).where(point_entries.c.reference == reference).order_by(point_entries.c.entry_id)
        with self._transactions.read() as connection:
            return [entry_of(row) for row in connection.execute(chosen)]

    def liability(self, zone: ZoneInfo) -> dict[str, Any]:
        """Return what the points outstanding amount to, and what became of those earned (see `points_reports`)."""
        with self._transactions.read() as connection:
            return liability(connection, zone)

    # -- the second person ------------------------------------------------------------------------------------------

    def propose(
        self,
        customer_id: int,
        points: int,
        *,
        reason: str,
        actor: Actor,
        at: datetime,
        expires_at: datetime | None = None,
    ) -> Proposal:
        """Write down an adjustment that another person has to approve; no points move yet.

        Raises:
            BadRequest: when there is no reason, or the points are no whole number within bounds.
        """
        key = "proposal"
        asked = {"customer_id": customer_id, "points": points, "reason": reason, "expires_at": expires_at}
        check_request(Adjust(key=key, at=at, actor=actor, **asked))  # type: ignore[arg-type]
        with self._transactions.write() as connection:
            number = take(connection, "point_proposal_id")
            row = {"proposal_id": number, **asked, "proposed_by": str(actor), "proposed_at": at, "state": "proposed"}
            connection.execute(insert(point_proposals).values(**row))
            note(connection, at, actor, "points.propose", f"customer:{customer_id}", {"points": points})
        return self.proposal(number)

    def approve(self, proposal_id: int, *, actor: Actor, at: datetime) -> Entry:
        """Agree to an adjustment that somebody else proposed, and do it.

        Raises:
            SecondPerson: when the same person proposed it.
            BadRequest: when it was decided before.
            NotEnough: when it would take more than there is.
            UnknownName: when there is no such proposal.
        """
        with self._transactions.write() as connection:
            proposal = self._undecided(connection, proposal_id, actor)
            asked = Adjust(
                key=f"point_proposal:{proposal_id}",
                at=at,
                actor=actor,
                customer_id=proposal.customer_id,
                points=proposal.points,
                reason=proposal.reason or "",
                expires_at=proposal.expires_at,
            )
            check_request(asked)
            [done] = post_all(connection, [asked])
            if isinstance(done, TierwiseError):
                raise done
            decided = {"state": "approved", "decided_by": str(actor), "decided_at": at, "entry_id": done.entry_id}
            mine = point_proposals.c.proposal_id == proposal_id
            connection.execute(update(point_proposals).where(mine).values(**decided))
            note(connection, at, actor, "points.approve", f"customer:{done.customer_id}", {"points": done.points})
        return done

    def decline(self, proposal_id: int, *, actor: Actor, at: datetime) -> Proposal:
        """Refuse an adjustment that somebody else proposed.

        Raises:
            SecondPerson: when the same person proposed it.
            BadRequest: when it was decided before.
            UnknownName: when there is no such proposal.
        """
        with self._transactions.write() as connection:
            proposal = self._undecided(connection, proposal_id, actor)
            decided = {"state": "declined", "decided_by": str(actor), "decided_at": at}
            mine = point_proposals.c.proposal_id == proposal_id
            connection.execute(update(point_proposals).where(mine).values(**decided))
            note(connection, at, actor, "points.decline", f"customer:{proposal.customer_id}")
        return self.proposal(proposal_id)

    def proposals(self, state: str | None = "proposed") -> list[Proposal]:
        """Return the proposed adjustments, the oldest first: those that wait, or those of another state, or all."""
        chosen = select(point_proposals).order_by(point_proposals.c.proposal_id)
        if state is not None:
            chosen = chosen.where(point_proposals.c.state == state)
        with self._transactions.read() as connection:
            return [_proposal(row) for row in connection.execute(chosen)]

    def proposal(self, proposal_id: int) -> Proposal:
        """Return one proposed adjustment.

        Raises:
            UnknownName: when there is none.
        """
        chosen = select(point_proposals).where(point_proposals.c.proposal_id == proposal_id)
        with self._transactions.read() as connection:
            row = connection.execute(chosen).one_or_none()
        if row is None:
            raise UnknownName(f"there is no proposal {proposal_id}", "`tierwise points proposals` lists them")
        return _proposal(row)

    def _undecided(self, connection: Any, proposal_id: int, actor: Actor) -> Proposal:
        chosen = select(point_proposals).where(point_proposals.c.proposal_id == proposal_id).with_for_update()
        row = connection.execute(chosen).one_or_none()
        if row is None:
            raise UnknownName(f"there is no proposal {proposal_id}", "`tierwise points proposals` lists them")
        found = _proposal(row)
        if found.state != "proposed":
            raise BadRequest(f"proposal {proposal_id} was {found.state} before, by {found.decided_by}")
        if str(actor) == str(found.proposed_by):
            raise SecondPerson(
                f"{actor} proposed this adjustment, so somebody else has to decide it", "ask a colleague"
            )
        return found


def _proposal(row: Row[Any]) -> Proposal:
    decided = None if row.decided_by is None else Actor.parse(row.decided_by)
    return Proposal(**{**row._mapping, "proposed_by": Actor.parse(row.proposed_by), "decided_by": decided})
