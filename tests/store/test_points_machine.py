"""Whatever is asked of the ledger, in any order, it says what a shoebox of single points says, and its books balance."""

from __future__ import annotations

import itertools
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.store.points_model import Shoebox
from tierwise.errors import KeyReused, NotEnough
from tierwise.store import (
    Actor,
    Adjust,
    Earn,
    Entry,
    GiveBack,
    Redeem,
    Request,
    Reverse,
    Store,
    Transfer,
)
from tierwise.store.points_book import Book, Draft, Ledger, Redemption
from tierwise.store.points_checks import check_points
from tierwise.store.points_requests import body_of

START = datetime(2026, 1, 1, tzinfo=UTC)
ANN = Actor("cli", "ann")
DAY = timedelta(days=1)
NAMES = ("a", "b", "c")
names = st.sampled_from(NAMES)
some = st.integers(1, 12)


class InStore:
    """The ledger of a store; every example has customers of its own in it."""

    def __init__(self, store: Store) -> None:
        self.store, self.examples = store, itertools.count(1)

    def begin(self) -> dict[str, int]:
        example = next(self.examples)
        keys = [f"{example}-{name}" for name in NAMES]
        given = self.store.ids.assign(pa.table({"key_space": ["crm"] * len(keys), "source_key": keys}))
        self.prefix = f"{example}/"
        return dict(zip(NAMES, given["customer_id"].to_pylist(), strict=True))

    def post(self, asked: Request) -> Entry:
        return self.store.points.post(replace(asked, key=self.prefix + asked.key))

    def settle(self, at: datetime) -> int:
        return self.store.points.settle(at)["customers"]

    def balance(self, customer_id: int, at: datetime) -> tuple[int, int, int]:
        found = self.store.points.balance(customer_id, at)
        return found.available, found.pending, found.owed

    def end(self) -> None:
        with self.store.points._transactions.read() as connection:
            assert list(check_points(connection)) == []


class InMemory:
    """The ledger's rules alone: books that are never written."""

    def begin(self) -> dict[str, int]:
        self.ids = dict(zip(NAMES, itertools.count(1), strict=False))
        self.redemptions: dict[int, Redemption] = {}
        self.ledger = Ledger({number: Book(number) for number in self.ids.values()}, {}, self.redemptions)
        self.known: dict[str, tuple[bytes, Entry]] = {}
        return self.ids

    def post(self, asked: Request) -> Entry:
        if asked.key in self.known:
            body, entry = self.known[asked.key]
            if body != body_of(asked):
                raise KeyReused("the key was used before")
            return replace(entry, replayed=True)
        draft = self.ledger.post(asked)
        number = len(self.known) + 1 if draft.lot is None else draft.lot.lot_id
        if isinstance(asked, Redeem):
            taken = [(line.lot.lot_id, -line.amount) for line in draft.lines if line.lot is not None]
            self.redemptions[number] = Redemption(taken)
        entry = _entry(draft, number)
        self.known[asked.key] = (body_of(asked), entry)
        return entry

    def settle(self, at: datetime) -> int:
        before = len(self.ledger.drafts)
        for book in self.ledger.books.values():
            self.ledger.settle(book, at)
        return len(self.ledger.drafts) - before

    def balance(self, customer_id: int, at: datetime) -> tuple[int, int, int]:
        book = deepcopy(self.ledger.books[customer_id])
        Ledger({customer_id: book}, {}, {}).settle(book, at)
        return book.available, book.pending, book.owed

    def end(self) -> None:
        for book in self.ledger.books.values():
            own = [lot for lot in book.lots if lot.remaining]
            assert book.available == sum(lot.remaining for lot in own if lot.released)
            assert book.pending == sum(lot.remaining for lot in own if not lot.released)
        for lot in self.ledger.lots.values():
            assert 0 <= lot.remaining + lot.expired + lot.reversed <= lot.points
            assert lot.reversed + lot.recalled <= lot.points


def _entry(draft: Draft, number: int) -> Entry:
    rest = (None, None, None, None, None, *draft.after)
    return Entry(number, draft.kind, draft.customer_id, draft.points, draft.at, draft.at, ANN, *rest)


class Books(RuleBasedStateMachine):
    """A ledger and the shoebox, side by side."""

    where: ClassVar[InStore | InMemory]
    earnings = Bundle("earnings")
    redemptions = Bundle("redemptions")
    deeds = Bundle("deeds")

    def __init__(self) -> None:
        super().__init__()
        self.ids = self.where.begin()
        self.box = Shoebox(START)
        self.keys = itertools.count(1)

    @property
    def said(self) -> dict[str, Any]:
        return {"key": str(next(self.keys)), "at": self.box.now, "actor": ANN}

    def refused(self, asked: Request) -> None:
        with pytest.raises(NotEnough):
            self.where.post(asked)

    @rule(
        target=earnings,
        who=names,
        points=some,
        waits=st.sampled_from([0, 0, 2, 5]),
        lives=st.sampled_from([None, 1, 7]),
    )
    def earn(self, who: str, points: int, waits: int, lives: int | None) -> tuple[int, int]:
        available_at = self.box.now + waits * DAY
        expires_at = None if lives is None else available_at + lives * DAY
        asked = Earn(
            **self.said, customer_id=self.ids[who], points=points, available_at=available_at, expires_at=expires_at
        )
        entry = self.where.post(asked)
        return entry.entry_id, self.box.earn(who, points, available_at, expires_at)

    @rule(target=redemptions, who=names, points=some)
    def redeem(self, who: str, points: int) -> Any:
        asked = Redeem(**self.said, customer_id=self.ids[who], points=points)
        taken = self.box.spend(who, points)
        if taken is None:
            self.refused(asked)
            return multiple()
        entry = self.where.post(asked)
        self.box.redemptions[entry.entry_id] = taken
        return entry.entry_id

    @rule(redemption=redemptions, points=some)
    def give_back(self, redemption: int, points: int) -> None:
        asked = GiveBack(**self.said, entry_id=redemption, points=points)
        if self.box.give_back(redemption, points):
            self.where.post(asked)
        else:
            self.refused(asked)

    @rule(earning=earnings, points=some)
    def reverse(self, earning: tuple[int, int], points: int) -> None:
        asked = Reverse(**self.said, entry_id=earning[0], points=points)
        if self.box.reverse(earning[1], points):
            self.where.post(asked)
        else:
            self.refused(asked)

    @rule(who=names, points=some, more=st.booleans())
    def adjust(self, who: str, points: int, more: bool) -> None:
        asked = Adjust(**self.said, customer_id=self.ids[who], points=points if more else -points, reason="a slip")
        if more:
            self.box.earn(who, points, self.box.now, None)
        elif self.box.spend(who, points) is None:
            self.refused(asked)
            return
        self.where.post(asked)

    @rule(giver=names, taker=names)
    def transfer(self, giver: str, taker: str) -> None:
        if giver != taker:
            self.where.post(Transfer(**self.said, from_customer_id=self.ids[giver], customer_id=self.ids[taker]))
            self.box.transfer(giver, taker)

    @rule(target=deeds, who=names, points=some)
    def keep(self, who: str, points: int) -> tuple[Earn, Entry]:
        asked = Earn(**self.said, customer_id=self.ids[who], points=points)
        self.box.earn(who, points, self.box.now, None)
        return asked, self.where.post(asked)

    @rule(deed=consumes(deeds), more=some)
    def ask_again(self, deed: tuple[Earn, Entry], more: int) -> None:
        asked, first = deed
        again = Earn(key=asked.key, at=self.box.now, actor=ANN, customer_id=asked.customer_id, points=asked.points)
        answer = self.where.post(again)
        assert answer == first and answer.replayed
        other = Earn(
            key=asked.key, at=self.box.now, actor=ANN, customer_id=asked.customer_id, points=asked.points + more
        )
        with pytest.raises(KeyReused):
            self.where.post(other)

    @rule(days=st.integers(1, 4))
    def wait(self, days: int) -> None:
        self.box.pass_time(self.box.now + days * DAY)

    @rule()
    def settle_everybody(self) -> None:
        self.where.settle(self.box.now)
        assert self.where.settle(self.box.now) == 0, "what is settled is settled"

    @invariant()
    def everybody_has_what_the_shoebox_says(self) -> None:
        for name in NAMES:
            assert self.where.balance(self.ids[name], self.box.now) == self.box.balance(name), name

    def teardown(self) -> None:
        self.where.end()


def _run(where: InStore | InMemory, examples: int, steps: int) -> None:
    machine = type("BooksHere", (Books,), {"where": where})
    few = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=few)


def test_the_rules_are_those_of_the_shoebox() -> None:
    _run(InMemory(), 100, 30)


def test_what_is_written_is_what_the_shoebox_has(store: Store) -> None:
    _run(InStore(store), 5, 20)
    assert store.check() == []
