"""From the books in the database to `Ledger` and back: many deeds in one transaction, each done whole or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tierwise.errors import EngineRefused, KeyReused, TierwiseError, UnknownName
from tierwise.store.actors import SYSTEM, Actor
from tierwise.store.bulk import among, insert_rows, update_rows
from tierwise.store.points_book import Book, Draft, Ledger, Lot, Redemption
from tierwise.store.points_requests import (
    Adjust,
    Earn,
    Entry,
    GiveBack,
    Redeem,
    Request,
    Reverse,
    Transfer,
    body_of,
    digest_of_key,
)
from tierwise.store.schema import identities
from tierwise.store.schema_points import point_accounts, point_entries, point_lots, point_postings
from tierwise.store.sequences import take

__all__ = ["entry_of", "load_books", "post_all", "settle_some"]

_LOOKS: Final = 5
_ENTRY: Final = (
    "entry_id", "key", "body", "kind", "customer_id", "from_customer_id", "points", "at", "recorded_at", "actor",
    "rule", "reference", "reason", "of_entry", "available_after", "pending_after", "owed_after",
)  # fmt: skip
_POSTING: Final = ("entry_id", "line", "account", "customer_id", "lot_id", "amount")
_LOT: Final = (
    "lot_id", "customer_id", "source", "points", "remaining", "expired", "reversed", "recalled", "released",
    "available_at", "expires_at", "due_at",
)  # fmt: skip
_LOT_CHANGES: Final = ("lot_id", "customer_id", "remaining", "expired", "reversed", "recalled", "released", "due_at")
_ACCOUNT_CHANGES: Final = ("customer_id", "available", "pending", "owed", "last_at")


def post_all(connection: Connection, asked: Sequence[Request]) -> list[Entry | TierwiseError]:
    """Do deeds in their order, inside the caller's transaction; return for each its entry, or why it is refused.

    A deed whose key is known is not done again: its first entry is returned, or `KeyReused` when it was another one.
    """
    redemptions = _redemptions(connection, {one.entry_id for one in asked if isinstance(one, GiveBack)})
    named = {one.entry_id for one in asked if isinstance(one, Reverse)}
    named |= {lot for redemption in redemptions.values() for lot, _ in redemption.taken}
    givers = {one.from_customer_id for one in asked if isinstance(one, Transfer)}
    mentioned = {one.customer_id for one in asked if isinstance(one, Earn | Redeem | Adjust | Transfer)}
    books, lots, unknown = load_books(connection, mentioned, givers=givers, named=named)
    digests = [digest_of_key(one.key) for one in asked]
    known = _known(connection, digests)
    if redemptions:  # what was given back is read again: only now does nobody else give back
        redemptions = _redemptions(connection, set(redemptions))
    ledger = Ledger(books, lots, redemptions)
    fates: list[Entry | Draft | TierwiseError] = []
    answered: dict[bytes, tuple[bytes, Draft]] = {}
    for one, digest in zip(asked, digests, strict=True):
        body = body_of(one)
        before = known.get(digest)
        if before is not None:
            fates.append(replace(entry_of(before), replayed=True) if bytes(before.body) == body else _reused(one))
        elif digest in answered:
            first, draft = answered[digest]
            fates.append(draft if first == body else _reused(one))
        elif isinstance(one, Earn | Redeem | Adjust | Transfer) and one.customer_id in unknown:
            fates.append(UnknownName(f"there is no customer {one.customer_id}"))
        else:
            try:
                done = ledger.post(one)
            except TierwiseError as refused:
                fates.append(refused)
            else:
                done.key, done.body = digest, body
                answered[digest] = (body, done)
                fates.append(done)
    numbers = _write(connection, ledger)
    return [_answer(fate, numbers) for fate in _marked(fates)]


def settle_some(connection: Connection, at: datetime, most: int) -> dict[str, int]:
    """Release and expire what is due, of so many customers at most; return how much was done."""
    due = select(point_lots.c.customer_id).where(point_lots.c.due_at <= at).limit(most)
    customers = set(connection.execute(due).scalars())
    if not customers:
        return {"customers": 0, "released": 0, "expired": 0}
    books, lots, _ = load_books(connection, customers)
    ledger = Ledger(books, lots, {})
    for number in sorted(books):
        ledger.settle(books[number], at)
    _write(connection, ledger)
    done = {"customers": len(customers)}
    for what, kind in (("released", "release"), ("expired", "expire")):
        done[what] = sum(abs(draft.points) for draft in ledger.drafts if draft.kind == kind)
    return done


# -- reading ---------------------------------------------------------------------------------------------------------


def load_books(
    connection: Connection,
    customers: set[int],
    *,
    givers: set[int] | None = None,
    named: set[int] | None = None,
    lock: bool = True,
) -> tuple[dict[int, Book], dict[int, Lot], set[int]]:
    """Read the books of some customers, and of whoever has the lots named; return (books, lots, unknown customers).

    Nobody else changes what is returned until the transaction ends.

    Args:
        connection: inside the caller's transaction.
        customers: whose books.
        givers: of whom the lots that nothing is left of are read too, with who earned each.
        named: lots that are read although nothing may be left of them.
        lock: whether they will be changed.
    """
    named, givers = named or set(), givers or set()
    for _ in range(_LOOKS):
        holders = _holders(connection, named)
        wanted = customers | givers | set(holders.values())
        unknown = _open_accounts(connection, wanted) if lock else set()
        books = _accounts(connection, wanted, lock)
        if _holders(connection, named) == holders:
            break
    else:
        raise EngineRefused("the lots kept changing hands while they were looked for", "try again")
    lots = _lots(connection, set(books), givers, set(holders))
    for lot in lots.values():
        book = books[lot.customer_id]
        book.lots.append(lot)
        book.arrived(lot)
    return books, lots, unknown


def _open_accounts(connection: Connection, wanted: set[int]) -> set[int]:
    """Give everybody an account who has none; return who is nobody's customer."""
    there = connection.execute(
        select(point_accounts.c.customer_id).where(among(connection, point_accounts.c.customer_id, wanted))
    )
    missing = wanted - set(there.scalars())
    if not missing:
        return set()
    known = select(identities.c.customer_id).where(among(connection, identities.c.customer_id, missing)).distinct()
    people = set(connection.execute(known).scalars())
    if people:
        # In the order of the numbers, so that two who open the same accounts wait for each other only one way.
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        rows = [{"customer_id": one, "available": 0, "pending": 0, "owed": 0} for one in sorted(people)]
        connection.execute(dialect.insert(point_accounts).on_conflict_do_nothing(), rows)
    return missing - people


def _accounts(connection: Connection, wanted: set[int], lock: bool) -> dict[int, Book]:
    chosen = select(point_accounts).where(among(connection, point_accounts.c.customer_id, wanted))
    chosen = chosen.order_by(point_accounts.c.customer_id)
    rows = connection.execute(chosen.with_for_update() if lock else chosen)
    return {row.customer_id: Book(row.customer_id, row.available, row.pending, row.owed, row.last_at) for row in rows}


def _holders(connection: Connection, lots: set[int]) -> dict[int, int]:
    if not lots:
        return {}
    chosen = select(point_lots.c.lot_id, point_lots.c.customer_id).where(among(connection, point_lots.c.lot_id, lots))
    return {row.lot_id: row.customer_id for row in connection.execute(chosen)}


def _lots(connection: Connection, customers: set[int], givers: set[int], named: set[int]) -> dict[int, Lot]:
    columns = [point_lots.c[name] for name in _LOT if name != "due_at"]
    chosen: list[Select[Any]] = [
        select(*columns).where(among(connection, point_lots.c.customer_id, customers), point_lots.c.remaining > 0)
    ]
    if named:
        chosen.append(select(*columns).where(among(connection, point_lots.c.lot_id, named)))
    found = {row.lot_id: _lot(row) for one in chosen for row in connection.execute(one)}
    if givers:
        origin = point_entries.c.customer_id.label("origin")
        whole = select(*columns, origin).join(point_entries, point_entries.c.entry_id == point_lots.c.lot_id)
        for row in connection.execute(whole.where(among(connection, point_lots.c.customer_id, givers))):
            found[row.lot_id] = _lot(row, row.origin)
    return found


def _lot(row: Any, origin: int | None = None) -> Lot:
    return Lot(
        row.lot_id,
        row.customer_id,
        row.source,
        row.points,
        row.remaining,
        row.available_at,
        row.expires_at,
        row.released,
        row.expired,
        row.reversed,
        row.recalled,
        origin,
    )


def _redemptions(connection: Connection, entries: set[int]) -> dict[int, Redemption]:
    if not entries:
        return {}
    taken = (
        select(point_postings.c.entry_id, point_postings.c.lot_id, point_postings.c.amount)
        .join(point_entries, point_entries.c.entry_id == point_postings.c.entry_id)
        .where(among(connection, point_postings.c.entry_id, entries), point_entries.c.kind == "redeem")
        .where(point_postings.c.account == "available")
        .order_by(point_postings.c.entry_id, point_postings.c.line)
    )
    found: dict[int, Redemption] = {}
    for row in connection.execute(taken):
        found.setdefault(row.entry_id, Redemption([])).taken.append((row.lot_id, -row.amount))
    given = select(point_entries.c.of_entry, func.sum(point_entries.c.points).label("points"))
    given = given.where(among(connection, point_entries.c.of_entry, set(found)), point_entries.c.kind == "give_back")
    for entry_id, points in connection.execute(given.group_by(point_entries.c.of_entry)):
        found[entry_id].returned = int(points)
    return found


def _known(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, Row[Any]]:
    if not digests:
        return {}
    chosen = select(point_entries).where(point_entries.c.key.in_(bindparam("keys", expanding=True)))
    return {bytes(row.key): row for row in connection.execute(chosen, {"keys": digests})}


# -- writing ---------------------------------------------------------------------------------------------------------


def _write(connection: Connection, ledger: Ledger) -> dict[int, Entry]:
    """Write the entries, and what followed from them; return each by the identity of its draft."""
    drafts = ledger.drafts
    if not drafts:
        return {}
    # Numbers are taken last: whoever takes them orders the entries, and others wait for that until the commit.
    first = take(connection, "point_entry_id", len(drafts))
    written: dict[int, Entry] = {}
    entries: list[tuple[Any, ...]] = []
    postings: list[tuple[Any, ...]] = []
    made: list[tuple[Any, ...]] = []
    new: set[int] = set()
    for number, draft in enumerate(drafts, first):
        if draft.lot is not None:
            new.add(id(draft.lot))
            draft.lot.lot_id = number
    touched_books: set[int] = set()
    for number, draft in enumerate(drafts, first):
        entry = _entry(draft, number)
        written[id(draft)] = entry
        entries.append(_entry_row(entry, draft.key, draft.body))
        touched_books.add(draft.customer_id)
        for line, (account, customer, lot, amount) in enumerate(draft.lines):
            postings.append((number, line, account, customer, None if lot is None else lot.lot_id, amount))
            if customer is not None:
                touched_books.add(customer)
        if draft.lot is not None:
            made.append(_lot_row(draft.lot))
    insert_rows(connection, point_entries, _ENTRY, entries)
    insert_rows(connection, point_postings, _POSTING, postings)
    insert_rows(connection, point_lots, _LOT, made)
    changed = [_lot_change(lot) for lot in ledger.touched.values() if id(lot) not in new]
    update_rows(connection, point_lots, _LOT_CHANGES, changed)
    books = [ledger.books[number] for number in sorted(touched_books)]
    accounts = [(book.customer_id, book.available, book.pending, book.owed, book.last_at) for book in books]
    update_rows(connection, point_accounts, _ACCOUNT_CHANGES, accounts)
    return written


def _entry(draft: Draft, number: int) -> Entry:
    asked = draft.asked
    return Entry(
        number,
        draft.kind,
        draft.customer_id,
        draft.points,
        draft.at,
        draft.recorded_at,
        SYSTEM if asked is None else asked.actor,
        asked.rule if isinstance(asked, Earn | Redeem) else None,
        None if asked is None else asked.reference,
        asked.reason if isinstance(asked, Adjust) else None,
        draft.of_entry,
        asked.from_customer_id if isinstance(asked, Transfer) else None,
        *draft.after,
    )


def _entry_row(entry: Entry, key: bytes | None, body: bytes | None) -> tuple[Any, ...]:
    return (
        entry.entry_id,
        key,
        body,
        entry.kind,
        entry.customer_id,
        entry.from_customer_id,
        entry.points,
        entry.at,
        entry.recorded_at,
        str(entry.actor),
        entry.rule,
        entry.reference,
        entry.reason,
        entry.of_entry,
        entry.available_after,
        entry.pending_after,
        entry.owed_after,
    )


def _lot_row(lot: Lot) -> tuple[Any, ...]:
    return (
        lot.lot_id,
        lot.customer_id,
        lot.source,
        lot.points,
        lot.remaining,
        lot.expired,
        lot.reversed,
        lot.recalled,
        lot.released,
        lot.available_at,
        lot.expires_at,
        lot.due_at,
    )


def _lot_change(lot: Lot) -> tuple[Any, ...]:
    return (
        lot.lot_id,
        lot.customer_id,
        lot.remaining,
        lot.expired,
        lot.reversed,
        lot.recalled,
        lot.released,
        lot.due_at,
    )


def entry_of(row: Row[Any]) -> Entry:
    """Return the entry that a row of `point_entries` is."""
    found: Any = row._mapping
    return Entry(
        **{name: found[name] for name in _ENTRY if name not in ("key", "body", "actor")}, actor=Actor.parse(row.actor)
    )


def _marked(fates: Iterable[Entry | Draft | TierwiseError]) -> Iterable[tuple[Entry | Draft | TierwiseError, bool]]:
    """Return each fate with whether the same deed has been answered before in this transaction."""
    seen: set[int] = set()
    for fate in fates:
        yield fate, id(fate) in seen
        seen.add(id(fate))


def _answer(marked: tuple[Entry | Draft | TierwiseError, bool], written: Mapping[int, Entry]) -> Entry | TierwiseError:
    fate, again = marked
    if not isinstance(fate, Draft):
        return fate
    entry = written[id(fate)]
    return replace(entry, replayed=True) if again else entry


def _reused(asked: Request) -> KeyReused:
    return KeyReused(
        f"the key {asked.key!r} was used for something else before; nothing was done",
        "a retry repeats what was asked the first time; something new needs a new key",
    )
