"""The points ledger on both databases: what each deed does, what is refused, and 64 callers at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pytest

from tierwise.errors import BadRequest, EngineRefused, KeyReused, NotEnough, SecondPerson, TierwiseError, UnknownName
from tierwise.store import Actor, Adjust, Earn, Entry, GiveBack, Redeem, Reverse, Store, Transfer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ANN, BOB = Actor("cli", "ann"), Actor("cli", "bob")
Raw = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def club(store: Store) -> Store:
    """A store with three customers, 1, 2 and 3."""
    store.ids.assign(pa.table({"key_space": ["crm"] * 3, "source_key": ["a", "b", "c"]}))
    return store


def earn(store: Store, key: str, points: int, customer: int = 1, at: datetime = NOW, **more: Any) -> Entry:
    return store.points.post(Earn(key=key, at=at, actor=ANN, customer_id=customer, points=points, **more))


def redeem(store: Store, key: str, points: int, customer: int = 1, at: datetime = NOW) -> Entry:
    return store.points.post(Redeem(key=key, at=at, actor=ANN, customer_id=customer, points=points))


def have(store: Store, customer: int = 1, at: datetime = NOW) -> tuple[int, int, int]:
    balance = store.points.balance(customer, at)
    return balance.available, balance.pending, balance.owed


def test_points_are_pending_then_available_then_gone(club: Store) -> None:
    earn(club, "o1", 100, available_at=NOW + 14 * DAY, expires_at=NOW + 30 * DAY, reference="A1", rule="purchases")
    assert have(club) == (0, 100, 0)
    with pytest.raises(NotEnough, match="has 0 points available, 1 were asked"):
        redeem(club, "r0", 1)
    assert have(club, at=NOW + 14 * DAY) == (100, 0, 0), "no job has to have run"
    redeem(club, "r1", 30, at=NOW + 20 * DAY)
    assert have(club, at=NOW + 29 * DAY) == (70, 0, 0)
    assert have(club, at=NOW + 30 * DAY) == (0, 0, 0)
    assert club.points.settle(NOW + 40 * DAY) == {"customers": 1, "released": 0, "expired": 70}
    assert club.points.settle(NOW + 40 * DAY) == {"customers": 0, "released": 0, "expired": 0}
    told = [(one.kind, one.points, one.at, one.available_after) for one in reversed(club.points.statement(1))]
    assert told == [
        ("earn", 100, NOW, 0),
        ("release", 100, NOW + 14 * DAY, 100),
        ("redeem", -30, NOW + 20 * DAY, 70),
        ("expire", -70, NOW + 30 * DAY, 0),
    ]
    assert club.check() == []


def test_what_expires_first_is_spent_first(club: Store) -> None:
    earn(club, "o1", 10)
    earn(club, "o2", 10, expires_at=NOW + 9 * DAY)
    earn(club, "o3", 10, expires_at=NOW + 3 * DAY)
    redeem(club, "r1", 15)
    assert [lot[::2] for lot in club.points.balance(1, NOW).lots] == [(5, NOW + 9 * DAY), (10, None)]


def test_a_partial_refund_takes_the_points_of_its_order(club: Store) -> None:
    first = earn(club, "o1", 100, reference="A1", expires_at=NOW + 5 * DAY)
    earn(club, "o2", 50, reference="A2", expires_at=NOW + 50 * DAY)
    redeem(club, "r1", 80)
    club.points.post(Reverse(key="f1", at=NOW, actor=ANN, entry_id=first.entry_id, points=40, reference="A1"))
    # 20 of the 100 were still there; the 20 that were spent come from the other order's.
    assert [lot[::2] for lot in club.points.balance(1, NOW).lots] == [(30, NOW + 50 * DAY)]
    club.points.post(Reverse(key="f2", at=NOW, actor=ANN, entry_id=first.entry_id, points=60, reference="A1"))
    assert have(club) == (0, 0, 30), "what cannot be taken is owed, and no balance is negative"
    with pytest.raises(NotEnough, match="of the 100 points of entry 1 0 can still be taken back"):
        club.points.post(Reverse(key="f3", at=NOW, actor=ANN, entry_id=first.entry_id, points=1))
    earn(club, "o3", 50)
    assert have(club) == (20, 0, 0), "what comes next pays what is owed"
    assert [entry.kind for entry in club.points.of_reference("A1")] == ["earn", "reverse", "reverse"]
    assert club.check() == []


def test_points_that_expired_are_not_taken_back_again(club: Store) -> None:
    first = earn(club, "o1", 100, expires_at=NOW + DAY)
    redeem(club, "r1", 40)
    later = NOW + 2 * DAY
    club.points.post(Reverse(key="f1", at=later, actor=ANN, entry_id=first.entry_id, points=100))
    assert have(club, at=later) == (0, 0, 40)
    assert club.check() == []


def test_a_redemption_is_undone_where_it_came_from(club: Store) -> None:
    earn(club, "o1", 10, expires_at=NOW + 2 * DAY)
    earn(club, "o2", 10, expires_at=NOW + 20 * DAY)
    spent = redeem(club, "r1", 15)
    club.points.post(GiveBack(key="g1", at=NOW + DAY, actor=ANN, entry_id=spent.entry_id, points=8))
    left = club.points.balance(1, NOW + DAY).lots
    assert [lot[::2] for lot in left] == [(3, NOW + 2 * DAY), (10, NOW + 20 * DAY)], "the last taken comes back first"
    club.points.post(GiveBack(key="g2", at=NOW + 3 * DAY, actor=ANN, entry_id=spent.entry_id, points=7))
    assert have(club, at=NOW + 3 * DAY) == (10, 0, 0), "what would have expired meanwhile does"
    with pytest.raises(NotEnough, match="0 points left to give back"):
        club.points.post(GiveBack(key="g3", at=NOW + 3 * DAY, actor=ANN, entry_id=spent.entry_id, points=1))
    assert club.check() == []


def test_an_order_refunded_and_the_points_it_was_paid_with(club: Store) -> None:
    """The points of an order were spent, the order is taken back, then the spending too: nobody gains or loses."""
    first = earn(club, "o1", 10)
    earn(club, "o2", 10)
    spent = redeem(club, "r1", 10)
    club.points.post(Reverse(key="f1", at=NOW, actor=ANN, entry_id=first.entry_id, points=10))
    assert have(club) == (0, 0, 0)
    club.points.post(GiveBack(key="g1", at=NOW, actor=ANN, entry_id=spent.entry_id, points=10))
    assert have(club) == (10, 0, 0)
    assert club.check() == []


def test_a_merge_moves_everything_and_a_split_gives_back_what_was_earned(club: Store) -> None:
    first = earn(club, "o1", 30, customer=1, available_at=NOW + DAY)
    earn(club, "o2", 20, customer=1)
    earn(club, "o3", 5, customer=2)
    merged = Transfer(key="merge 1", at=NOW, actor=ANN, from_customer_id=1, customer_id=2)
    assert club.points.post(merged).points == 50
    assert have(club, 1) == (0, 0, 0) and have(club, 2) == (25, 30, 0)
    club.points.post(Reverse(key="f1", at=NOW, actor=ANN, entry_id=first.entry_id, points=10))
    assert have(club, 2) == (25, 20, 0), "a refund follows the points to whoever has them"
    split = Transfer(key="split 1", at=NOW, actor=ANN, from_customer_id=2, customer_id=1, only_own=True)
    club.points.post(split)
    assert have(club, 1) == (20, 20, 0) and have(club, 2) == (5, 0, 0)
    assert [entry.kind for entry in club.points.statement(1)] == ["transfer", "transfer", "earn", "earn"]
    assert club.check() == []


def test_who_owes_takes_it_along(club: Store) -> None:
    first = earn(club, "o1", 30)
    redeem(club, "r1", 30)
    club.points.post(Reverse(key="f1", at=NOW, actor=ANN, entry_id=first.entry_id, points=30))
    earn(club, "o2", 50, customer=2)
    club.points.post(Transfer(key="m", at=NOW, actor=ANN, from_customer_id=1, customer_id=2))
    assert have(club, 1) == (0, 0, 0) and have(club, 2) == (20, 0, 0)
    assert club.check() == []


def test_a_key_does_its_deed_once(club: Store) -> None:
    first = earn(club, "o1", 100, expires_at=NOW + 9 * DAY)
    again = earn(club, "o1", 100, at=NOW + DAY, expires_at=NOW + 10 * DAY)
    assert again == first and again.replayed and not first.replayed
    for other in (
        Earn(key="o1", at=NOW, actor=ANN, customer_id=1, points=101),
        Earn(key="o1", at=NOW, actor=ANN, customer_id=2, points=100),
        Redeem(key="o1", at=NOW, actor=ANN, customer_id=1, points=100),
    ):
        with pytest.raises(KeyReused, match="'o1' was used for something else"):
            club.points.post(other)
    with pytest.raises(NotEnough):
        redeem(club, "r1", 101)
    assert redeem(club, "r1", 100).points == -100, "a refusal is not kept: the key is free"
    same = [Earn(key="o2", at=NOW, actor=ANN, customer_id=3, points=7)] * 3
    done = list(club.points.post_many([*same, Earn(key="o2", at=NOW, actor=ANN, customer_id=3, points=8)]))
    assert [getattr(one, "replayed", None) for one in done] == [False, True, True, None]
    assert isinstance(done[3], KeyReused)
    assert have(club, 3) == (7, 0, 0)


@pytest.mark.parametrize("points", [0, -5, 1.5, True, Decimal(3), 10**12 + 1, float("nan")])
def test_points_are_whole_and_not_too_many(club: Store, points: Any) -> None:
    for asked in (
        Earn(key="k", at=NOW, actor=ANN, customer_id=1, points=points),
        Redeem(key="k", at=NOW, actor=ANN, customer_id=1, points=points),
        Reverse(key="k", at=NOW, actor=ANN, entry_id=1, points=points),
        GiveBack(key="k", at=NOW, actor=ANN, entry_id=1, points=points),
    ):
        with pytest.raises(BadRequest, match="the number is whole"):
            club.points.post(asked)
    assert club.points.statement(1) == []


def test_what_makes_no_sense_is_refused(club: Store) -> None:
    with pytest.raises(UnknownName, match="no customer 99"):
        earn(club, "k1", 5, customer=99)
    with pytest.raises(UnknownName, match="no redemption"):
        club.points.post(GiveBack(key="k", at=NOW, actor=ANN, entry_id=77, points=1))
    with pytest.raises(UnknownName, match="earned nothing"):
        club.points.post(Reverse(key="k", at=NOW, actor=ANN, entry_id=77, points=1))
    given = club.points.post(Adjust(key="a", at=NOW, actor=ANN, customer_id=1, points=5, reason="a gift"))
    with pytest.raises(UnknownName, match="earned nothing"):
        club.points.post(Reverse(key="k", at=NOW, actor=ANN, entry_id=given.entry_id, points=1))
    with pytest.raises(BadRequest, match="to themselves"):
        club.points.post(Transfer(key="k", at=NOW, actor=ANN, from_customer_id=1, customer_id=1))
    with pytest.raises(BadRequest, match="before anybody could use them"):
        earn(club, "k2", 5, available_at=NOW + DAY, expires_at=NOW + DAY)
    with pytest.raises(BadRequest, match="needs a reason"):
        club.points.post(Adjust(key="k", at=NOW, actor=ANN, customer_id=1, points=5, reason=" "))
    with pytest.raises(BadRequest, match="1 to 255 characters"):
        earn(club, "k" * 256, 5)
    with pytest.raises(BadRequest, match="needs a time zone"):
        earn(club, "k3", 5, at=datetime(2026, 6, 1))
    with pytest.raises(BadRequest, match="the clock went back"):
        earn(club, "k4", 5, at=NOW - timedelta(seconds=6))
    assert earn(club, "k4", 5, at=NOW - timedelta(seconds=5)).at == NOW, "two machines' clocks differ a little"
    assert have(club) == (10, 0, 0)


def test_a_large_adjustment_needs_two(club: Store) -> None:
    proposal = club.points.propose(1, 5_000, reason="a complaint", actor=ANN, at=NOW)
    assert have(club) == (0, 0, 0) and club.points.proposals() == [proposal]
    with pytest.raises(SecondPerson, match="somebody else"):
        club.points.approve(proposal.proposal_id, actor=ANN, at=NOW)
    done = club.points.approve(proposal.proposal_id, actor=BOB, at=NOW)
    assert (done.points, done.actor, done.reason) == (5_000, BOB, "a complaint")
    with pytest.raises(BadRequest, match="was approved before, by cli:bob"):
        club.points.approve(proposal.proposal_id, actor=BOB, at=NOW)
    other = club.points.propose(1, -9_000, reason="a slip", actor=BOB, at=NOW)
    with pytest.raises(NotEnough):
        club.points.approve(other.proposal_id, actor=ANN, at=NOW)
    assert club.points.decline(other.proposal_id, actor=ANN, at=NOW).state == "declined"
    with pytest.raises(UnknownName, match="no proposal 9"):
        club.points.proposal(9)
    assert have(club) == (5_000, 0, 0) and club.check() == []
    assert [entry.action for entry in club.audit.list(on="customer:1")] == [
        "points.decline", "points.propose", "points.approve", "points.propose",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE point_accounts SET available = 71 WHERE customer_id = 1", "differ from their postings: 71 kept"),
        ("UPDATE point_lots SET remaining = 69 WHERE lot_id = 1", "lot 1 of points differs from its postings: 69 kept"),
        ("DELETE FROM point_accounts WHERE customer_id = 1", "customer 1 has postings and no account"),
        ("UPDATE point_lots SET due_at = NULL WHERE lot_id = 1", "lot 1 of points would not be released, or expire"),
        ("UPDATE sequences SET next_id = 2 WHERE name = 'point_entry_id'", "next point_entry_id would be 2"),
        (
            "INSERT INTO point_postings (entry_id, line, account, amount) VALUES (2, 9, 'redeemed', 1)",
            "entry 2 of the points does not balance: its postings sum to 1",
        ),
    ],
)
def test_books_that_were_tampered_with_are_found(club: Store, raw: Raw, statement: str, says: str) -> None:
    earn(club, "o1", 100, expires_at=NOW + DAY)
    redeem(club, "r1", 30)
    assert club.check() == []
    raw(statement)
    assert any(says in finding.message for finding in club.check()), club.check()


def test_the_ledger_is_only_added_to(club: Store, raw: Raw) -> None:
    earn(club, "o1", 100)
    for statement in (
        "UPDATE point_entries SET points = 1",
        "DELETE FROM point_entries",
        "UPDATE point_postings SET amount = 1",
        "DELETE FROM point_postings",
    ):
        with pytest.raises((EngineRefused, Exception), match="only added to"):
            raw(statement)


def _at_once(work: list[Callable[[], Any]], threads: int = 64) -> list[Any]:
    """Do everything at the same time; return what came of each, refusals too."""
    gate = threading.Barrier(threads)

    def run(part: list[Callable[[], Any]]) -> list[Any]:
        gate.wait()
        done = []
        for one in part:
            try:
                done.append(one())
            except TierwiseError as refused:
                done.append(refused)
        return done

    with ThreadPoolExecutor(threads) as pool:
        return [one for part in pool.map(run, [work[i::threads] for i in range(threads)]) for one in part]


def test_64_redeemers_cannot_spend_more_than_there_is(club: Store) -> None:
    earn(club, "o1", 200)
    work: list[Callable[[], Any]] = [partial(redeem, club, f"r{number}", 1) for number in range(320)]
    done = Counter(type(one).__name__ for one in _at_once(work))
    assert done == {"Entry": 200, "NotEnough": 120}
    assert have(club) == (0, 0, 0) and club.check() == []


def test_64_callers_with_one_key_do_it_once(club: Store, where: str) -> None:
    """Half of them through another process's view of the store: a second one, with a queue of its own."""
    with Store.open(where) as other:
        both = (club, other)
        work: list[Callable[[], Any]] = [partial(earn, both[n % 2], f"o{n // 32}", 10) for n in range(128)]
        assert Counter(one.replayed for one in _at_once(work)) == {False: 4, True: 124}
        mixed: list[Callable[[], Any]] = [
            partial(earn, both[n % 2], "one key", 1, customer=1 + n % 3) for n in range(64)
        ]
        fates = Counter(type(one).__name__ for one in _at_once(mixed))
        assert set(fates) == {"Entry", "KeyReused"} and 20 <= fates["Entry"] <= 22
    assert sum(have(club, customer)[0] for customer in (1, 2, 3)) == 41
    assert club.check() == []
