"""The rules of the points ledger, in memory: what each deed does to a customer's lots and balances, as balanced lines.

Nothing here reads or writes the database: `points_writing` loads the books concerned, lets `Ledger` post, and writes
what came of it. A deed that is refused has changed nothing. Before anything is done to a customer, what was due until
then is done: pending points whose day has come are released, and those whose day is over expire. So it makes no
difference to anybody's balance when, or whether, the job that does this for everyone has run.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from tierwise.errors import BadRequest, NotEnough, UnknownName
from tierwise.store.points_requests import Adjust, Earn, GiveBack, Redeem, Request, Reverse, Transfer

__all__ = ["SKEW", "Book", "Draft", "Ledger", "Line", "Lot", "Redemption"]

#: Clocks of two machines differ by so much; one that goes back further is refused.
SKEW: Final = timedelta(seconds=5)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
#: A lot that is not written yet is numbered from here, so that it comes after all that are.
_UNWRITTEN: Final = 2**62


@dataclass(slots=True, eq=False)
class Lot:
    """Points that came at once; `origin` is who earned them, where that was asked for.

    Of what was taken back, `reversed` was still in the lot; `recalled` had been spent, and came from elsewhere.
    """

    lot_id: int
    customer_id: int
    source: str
    points: int
    remaining: int
    available_at: datetime
    expires_at: datetime | None
    released: bool
    expired: int = 0
    reversed: int = 0
    recalled: int = 0
    origin: int | None = None

    @property
    def due_at(self) -> datetime | None:
        """When time alone does something to it next."""
        if not self.remaining:
            return None
        return self.expires_at if self.released else self.available_at

    @property
    def order(self) -> tuple[datetime, int]:
        """Which is spent first: what expires first, then what came first."""
        return self.expires_at or _NEVER, self.lot_id


class Line(NamedTuple):
    """One posting: an account (a customer's, or the brand's when there is none), and what it gains or loses."""

    account: str
    customer_id: int | None
    lot: Lot | None
    amount: int


@dataclass(slots=True, eq=False)
class Book:
    """A customer's balances and lots; `last_at` is when somebody last did something to them.

    `due_at` is an instant before which time alone does nothing, `queue` the lots in the order in which they are spent:
    a customer may have thousands, and neither is looked for among all of them for every deed.
    """

    customer_id: int
    available: int = 0
    pending: int = 0
    owed: int = 0
    last_at: datetime | None = None
    lots: list[Lot] = field(default_factory=list)
    due_at: datetime | None = None
    queue: list[tuple[datetime, int, int, Lot]] | None = None

    def arrived(self, lot: Lot) -> None:
        """Note that a lot has something in it, or is released, that was not so before."""
        due = lot.due_at
        if due is not None and (self.due_at is None or due < self.due_at):
            self.due_at = due
        if self.queue is not None and lot.released:
            heapq.heappush(self.queue, (*lot.order, len(self.queue), lot))

    def first(self) -> Lot | None:
        """Return the lot that is spent next, or nothing."""
        if self.queue is None:
            spendable = (lot for lot in self.lots if lot.released and lot.remaining)
            self.queue = [(*lot.order, place, lot) for place, lot in enumerate(spendable)]
            heapq.heapify(self.queue)
        while self.queue:
            lot = self.queue[0][-1]
            if lot.remaining and lot.customer_id == self.customer_id:
                return lot
            heapq.heappop(self.queue)
        return None


@dataclass(slots=True, eq=False)
class Redemption:
    """What a redemption took from which lot, in that order, and how much was given back since."""

    taken: list[tuple[int, int]]
    returned: int = 0


@dataclass(slots=True, eq=False)
class Draft:
    """An entry that is to be written, with its lines; `lot` is the lot it makes, `after` what its customer has then."""

    kind: str
    customer_id: int
    points: int
    at: datetime
    recorded_at: datetime
    asked: Request | None = None
    of_entry: int | None = None
    lot: Lot | None = None
    lines: list[Line] = field(default_factory=list)
    after: tuple[int, int, int] = (0, 0, 0)
    key: bytes | None = None
    body: bytes | None = None


class Ledger:
    """Some customers' books, and what is posted to them.

    Args:
        books: the books of everybody whom the deeds concern.
        lots: the lots that are loaded, by number.
        redemptions: the redemptions that may be given back, by number.

    Example:
        >>> from tierwise.store import Actor
        >>> day = datetime(2026, 1, 1, tzinfo=UTC)
        >>> ledger = Ledger({7: Book(7)}, {}, {})
        >>> earned = ledger.post(Earn(key="a", at=day, actor=Actor("cli"), customer_id=7, points=100))
        >>> spent = ledger.post(Redeem(key="b", at=day, actor=Actor("cli"), customer_id=7, points=30))
        >>> [(line.account, line.amount) for line in spent.lines], spent.after
        ([('available', -30), ('redeemed', 30)], (70, 0, 0))
    """

    def __init__(self, books: Mapping[int, Book], lots: dict[int, Lot], redemptions: Mapping[int, Redemption]) -> None:
        self.books, self.lots, self.redemptions = books, lots, redemptions
        self.drafts: list[Draft] = []
        self.touched: dict[int, Lot] = {}
        self._unwritten = _UNWRITTEN

    def post(self, asked: Request) -> Draft:
        """Do a deed; return its entry, which is also the last of `drafts` but for what fell due at once.

        Raises:
            NotEnough: when it would take more than there is.
            UnknownName: when it undoes something that never was.
            BadRequest: when the clock went back.
        """
        match asked:
            case Earn():
                return self._earn(asked)
            case Redeem():
                return self._redeem(asked)
            case GiveBack():
                return self._give_back(asked)
            case Reverse():
                return self._reverse(asked)
            case Adjust():
                return self._adjust(asked)
            case Transfer():
                return self._transfer(asked)

    # -- time -------------------------------------------------------------------------------------------------------

    def settle(self, book: Book, at: datetime) -> None:
        """Release and expire what is due by an instant, in the order of time."""
        while book.due_at is not None and book.due_at <= at:
            due = min((lot.due_at for lot in book.lots if lot.due_at is not None), default=None)
            book.due_at = due
            if due is None or due > at:
                return
            now = [lot for lot in book.lots if lot.due_at == due]
            instant = due if book.last_at is None else max(due, book.last_at)
            coming = sorted((lot for lot in now if not lot.released), key=lambda lot: lot.order)
            if coming:
                self._release(book, coming, instant, at)
            else:
                self._expire(book, sorted(now, key=lambda lot: lot.order), instant, at)

    def _release(self, book: Book, lots: list[Lot], instant: datetime, at: datetime) -> None:
        draft = Draft("release", book.customer_id, sum(lot.remaining for lot in lots), instant, at)
        for lot in lots:
            amount = lot.remaining
            book.pending -= amount
            draft.lines.append(Line("pending", book.customer_id, lot, -amount))
            book.available += amount
            draft.lines.append(Line("available", book.customer_id, lot, amount))
            lot.released = True
            book.arrived(lot)
            self._pay(draft, book, lot)
            self.touched[lot.lot_id] = lot
        self._add(draft, book)

    def _expire(self, book: Book, lots: list[Lot], instant: datetime, at: datetime) -> None:
        draft = Draft("expire", book.customer_id, -sum(lot.remaining for lot in lots), instant, at)
        for lot in lots:
            amount = lot.remaining
            self._take(draft, book, lot, amount)
            lot.expired += amount
            draft.lines.append(Line("expired", None, lot, amount))
        self._add(draft, book)

    def _begin(self, book: Book, at: datetime) -> datetime:
        """Return when a deed is done, once all that was due before it is done."""
        if book.last_at is not None and at < book.last_at:
            if book.last_at - at > SKEW:
                raise BadRequest(
                    f"the clock went back: {at.astimezone(UTC)} is before {book.last_at}, when points were posted last",
                    "set the machine's clock",
                )
            at = book.last_at
        self.settle(book, at)
        book.last_at = at
        return at

    # -- deeds ------------------------------------------------------------------------------------------------------

    def _earn(self, asked: Earn) -> Draft:
        book = self.books[asked.customer_id]
        at = self._begin(book, asked.at)
        available_at = at if asked.available_at is None else max(at, asked.available_at)
        return self._gain("earn", book, asked, asked.points, at, available_at, asked.expires_at, "earned")

    def _adjust(self, asked: Adjust) -> Draft:
        book = self.books[asked.customer_id]
        at = self._begin(book, asked.at)
        if asked.points > 0:
            return self._gain("adjust", book, asked, asked.points, at, at, asked.expires_at, "adjusted")
        return self._spend("adjust", book, asked, -asked.points, at, "adjusted")

    def _redeem(self, asked: Redeem) -> Draft:
        book = self.books[asked.customer_id]
        at = self._begin(book, asked.at)
        return self._spend("redeem", book, asked, asked.points, at, "redeemed")

    def _gain(
        self,
        kind: str,
        book: Book,
        asked: Request,
        points: int,
        at: datetime,
        available_at: datetime,
        expires_at: datetime | None,
        source: str,
    ) -> Draft:
        if expires_at is not None and expires_at <= available_at:
            raise BadRequest("the points would expire before anybody could use them", "give a later end")
        released = available_at <= at
        number, self._unwritten = self._unwritten, self._unwritten + 1
        who = book.customer_id
        lot = Lot(number, who, source, points, points, available_at, expires_at, released, origin=who)
        book.lots.append(lot)
        book.arrived(lot)
        self.lots[number] = self.touched[number] = lot
        draft = Draft(kind, who, points, at, at, asked, lot=lot)
        draft.lines.append(Line(source, None, lot, -points))
        draft.lines.append(Line("available" if released else "pending", who, lot, points))
        if released:
            book.available += points
            self._pay(draft, book, lot)
        else:
            book.pending += points
        return self._add(draft, book)

    def _spend(self, kind: str, book: Book, asked: Request, points: int, at: datetime, account: str) -> Draft:
        if points > book.available:
            raise NotEnough(
                f"customer {book.customer_id} has {book.available} points available, {points} were asked",
                "pending points count once their day has come",
                available=book.available,
            )
        draft = Draft(kind, book.customer_id, -points, at, at, asked)
        left = self._take_any(draft, book, points)
        assert left == 0, "what is available is in lots"
        draft.lines.append(Line(account, None, None, points))
        return self._add(draft, book)

    def _give_back(self, asked: GiveBack) -> Draft:
        redemption = self.redemptions.get(asked.entry_id)
        if redemption is None:
            raise UnknownName(f"entry {asked.entry_id} of the points ledger is no redemption")
        left = sum(points for _, points in redemption.taken) - redemption.returned
        if asked.points > left:
            raise NotEnough(
                f"of redemption {asked.entry_id} there are {left} points left to give back, {asked.points} were asked",
                left=left,
            )
        taken = _from_the_end(redemption.taken, redemption.returned, asked.points)
        books = {lot.customer_id: self.books[lot.customer_id] for lot in (self.lots[number] for number, _ in taken)}
        at = max([self._begin(book, asked.at) for book in books.values()])
        first = books[self.lots[taken[0][0]].customer_id]
        draft = Draft("give_back", first.customer_id, asked.points, at, at, asked, of_entry=asked.entry_id)
        for number, points in taken:
            lot = self.lots[number]
            book = books[lot.customer_id]
            if lot not in book.lots:
                book.lots.append(lot)
            lot.remaining += points
            book.available += points
            book.arrived(lot)
            draft.lines.append(Line("available", book.customer_id, lot, points))
            self.touched[number] = lot
            self._pay(draft, book, lot)
        draft.lines.append(Line("redeemed", None, None, -asked.points))
        redemption.returned += asked.points
        self._add(draft, first)
        # Points that would have expired meanwhile do so now.
        for book in books.values():
            self.settle(book, at)
        return draft

    def _reverse(self, asked: Reverse) -> Draft:
        lot = self.lots.get(asked.entry_id)
        if lot is None or lot.source != "earned":
            raise UnknownName(f"entry {asked.entry_id} of the points ledger earned nothing")
        book = self.books[lot.customer_id]
        left = lot.points - lot.reversed - lot.recalled
        if asked.points > left:
            raise NotEnough(
                f"of the {lot.points} points of entry {asked.entry_id} {left} can still be taken back, "
                f"{asked.points} were asked",
                left=left,
            )
        at = self._begin(book, asked.at)
        draft = Draft("reverse", book.customer_id, -asked.points, at, at, asked, of_entry=asked.entry_id)
        own = min(asked.points, lot.remaining)
        if own:
            self._take(draft, book, lot, own)
        # What has expired brought the customer nothing, so that there is nothing to take back from them.
        idle = min(asked.points - own, lot.expired)
        if idle:
            lot.expired -= idle
            draft.lines.append(Line("expired", None, lot, -idle))
        spent = asked.points - own - idle
        lot.reversed += own + idle
        lot.recalled += spent
        missing = self._take_any(draft, book, spent)
        if missing:
            book.owed += missing
            draft.lines.append(Line("owed", book.customer_id, None, -missing))
        draft.lines.append(Line("earned", None, lot, asked.points))
        self.touched[lot.lot_id] = lot
        return self._add(draft, book)

    def _transfer(self, asked: Transfer) -> Draft:
        giver, taker = self.books[asked.from_customer_id], self.books[asked.customer_id]
        at = max(self._begin(giver, asked.at), self._begin(taker, asked.at))
        moving = [lot for lot in giver.lots if not asked.only_own or lot.origin == taker.customer_id]
        draft = Draft("transfer", taker.customer_id, sum(lot.remaining for lot in moving), at, at, asked)
        for lot in sorted(moving, key=lambda lot: lot.order):
            account = "available" if lot.released else "pending"
            if lot.remaining:
                draft.lines.append(Line(account, giver.customer_id, lot, -lot.remaining))
                draft.lines.append(Line(account, taker.customer_id, lot, lot.remaining))
            for book, sign in ((giver, -1), (taker, 1)):
                if lot.released:
                    book.available += sign * lot.remaining
                else:
                    book.pending += sign * lot.remaining
            lot.customer_id = taker.customer_id
            self.touched[lot.lot_id] = lot
        giver.lots = [lot for lot in giver.lots if lot.customer_id == giver.customer_id]
        taker.lots += moving
        for lot in moving:
            taker.arrived(lot)
        if giver.owed and not asked.only_own:
            draft.lines.append(Line("owed", giver.customer_id, None, giver.owed))
            draft.lines.append(Line("owed", taker.customer_id, None, -giver.owed))
            taker.owed, giver.owed = taker.owed + giver.owed, 0
        while taker.owed and (first := taker.first()) is not None:
            self._pay(draft, taker, first)
        return self._add(draft, taker)

    # -- lines ------------------------------------------------------------------------------------------------------

    def _take(self, draft: Draft, book: Book, lot: Lot, amount: int) -> None:
        """Take from one lot what is in it."""
        lot.remaining -= amount
        if lot.released:
            book.available -= amount
        else:
            book.pending -= amount
        draft.lines.append(Line("available" if lot.released else "pending", book.customer_id, lot, -amount))
        self.touched[lot.lot_id] = lot

    def _take_any(self, draft: Draft, book: Book, points: int) -> int:
        """Take available points, those that expire first before others; return how many are missing."""
        while points:
            lot = book.first()
            if lot is None:
                break
            amount = min(points, lot.remaining)
            self._take(draft, book, lot, amount)
            points -= amount
        return points

    def _pay(self, draft: Draft, book: Book, lot: Lot) -> None:
        """Pay what the customer owes from a lot that is available."""
        amount = min(book.owed, lot.remaining)
        if amount:
            self._take(draft, book, lot, amount)
            book.owed -= amount
            draft.lines.append(Line("owed", book.customer_id, None, amount))

    def _add(self, draft: Draft, book: Book) -> Draft:
        draft.after = (book.available, book.pending, book.owed)
        assert sum(line.amount for line in draft.lines) == 0, "an entry balances"
        assert min(draft.after) >= 0 and not (book.owed and book.available), "no balance is negative"
        self.drafts.append(draft)
        return draft


def _from_the_end(taken: Iterable[tuple[int, int]], skipped: int, points: int) -> list[tuple[int, int]]:
    """Return what to give back to which lot: what was taken last first, after what was given back before."""
    found: list[tuple[int, int]] = []
    for number, amount in reversed(list(taken)):
        passed = min(skipped, amount)
        skipped -= passed
        mine = min(points, amount - passed)
        if mine:
            found.append((number, mine))
            points -= mine
    return found
