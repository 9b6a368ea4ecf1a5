"""Consent on both databases: what is refused, what follows, who is strictest, and that nothing can be changed later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest
from sqlalchemy import exc

from tests.store.people_data import records
from tierwise.errors import BadRequest, KeyReused, TierwiseError, UnknownName
from tierwise.store import Actor, Change, Say, Statement, Store
from tierwise.store.consents import has_consent
from tierwise.store.transactions import Transactions

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ANN = Actor("cli", "ann")
Raw = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def town(store: Store) -> Store:
    """A store with four records, each a customer of its own: 1, 2, 3 and 4."""
    records(store, "a", "b", "c", "d")
    return store


def said(key: str, state: str = "granted", customer: int = 1, at: datetime = NOW, **more: Any) -> Say:
    words = {"text_version": "v1", "text_digest": b"words"} if state == "granted" else {}
    given: dict[str, Any] = {"purpose": "marketing", "channels": ("sms",), "source": "form", **words, **more}
    return Say(key=key, at=at, actor=ANN, customer_id=customer, state=state, **given)


def stands(store: Store, customer: int = 1, at: datetime = NOW, channel: str = "sms") -> str:
    found = {(one.purpose, one.channel): one.standing.at(at) for one in store.consents.states(customer)}
    return found.get(("marketing", channel), "silent")


def together(store: Store, record: int, customer: int, kind: str = "merge") -> None:
    """Let a record be a customer's."""
    store.links.apply(Change(kind, store.ids.version(), [(record, customer)], reason="asked"), actor=ANN, at=NOW)


def test_silence_is_a_refusal_and_a_withdrawal_holds_at_once(town: Store) -> None:
    assert (stands(town), town.consents.allows(1, "marketing", "sms", NOW)) == ("silent", False)
    [granted] = town.consents.record(said("form 1", evidence="page 7", said_at=NOW - DAY))
    assert (granted.statement_id, granted.source_record_id, granted.evidence) == (1, 1, "page 7")
    assert town.consents.allows(1, "marketing", "sms", NOW)
    assert not town.consents.allows(1, "marketing", "wechat", NOW), "one channel is not another"
    assert not town.consents.allows(1, "profiling", "sms", NOW), "one purpose is not another"
    assert not town.consents.allows(2, "marketing", "sms", NOW)
    town.consents.record(said("sms 1", "withdrawn"))
    assert (stands(town), town.consents.allows(1, "marketing", "sms", NOW)) == ("withdrawn", False)
    town.consents.record(said("form 2", at=NOW + DAY))
    assert town.consents.allows(1, "marketing", "sms", NOW + DAY), "who asks again gets it again"
    assert [one.state for one in town.consents.statements(1)] == ["granted", "withdrawn", "granted"]
    assert town.check() == []


def test_a_grant_runs_out_by_itself(town: Store) -> None:
    town.consents.record(said("form 1", expires_at=NOW + 30 * DAY))
    assert stands(town, at=NOW + 30 * DAY - timedelta(microseconds=1)) == "granted"
    assert stands(town, at=NOW + 30 * DAY) == "expired"
    assert town.consents.counts(NOW) == [
        {"purpose": "marketing", "channel": "sms", "granted": 1, "withdrawn": 0, "expired": 0}
    ]
    assert (
        town.consents.counts(NOW + 30 * DAY)[0] | {"granted": 0, "expired": 1}
        == town.consents.counts(NOW + 31 * DAY)[0]
    )
    town.consents.record(said("form 2", at=NOW + 40 * DAY))
    assert stands(town, at=NOW + 400 * DAY) == "granted"


def test_what_comes_late_takes_its_place_in_time(town: Store) -> None:
    town.consents.record(said("form 1", said_at=NOW - DAY))
    town.consents.record(said("letter", "withdrawn", said_at=NOW - 5 * DAY))
    assert stands(town) == "granted", "it was withdrawn before it was granted"
    town.consents.record(said("call", "withdrawn", said_at=NOW - DAY))
    assert stands(town) == "withdrawn", "of what was said at one instant the strictest holds"


def test_the_same_key_says_it_once(town: Store) -> None:
    first = town.consents.record(said("form 1", channels=("sms", "wechat")))
    again = town.consents.record(said("form 1", channels=("sms", "wechat"), at=NOW + DAY))
    assert [(one.statement_id, one.replayed) for one in again] == [(1, True), (2, True)]
    assert again == first
    for other in (said("form 1"), said("form 1", "withdrawn", channels=("sms", "wechat")), said("form 1", customer=2)):
        with pytest.raises(KeyReused, match="nothing was recorded"):
            town.consents.record(other)
    done = town.consents.record_many([said("x"), said("x"), said("x", "withdrawn"), said("y", customer=99)])
    assert [type(one).__name__ for one in done] == ["list", "list", "KeyReused", "UnknownName"]
    assert [one.replayed for fate in done[:2] for one in fate] == [False, True]  # type: ignore[union-attr]
    assert len(town.consents.statements(1)) == 3


#: What is asked, how it is refused, in which words.
SENSELESS: tuple[tuple[Say, type[TierwiseError], str], ...] = (
    (said(""), BadRequest, "1 to 255 characters"),
    (said("k", "perhaps"), BadRequest, "no state of consent"),
    (said("k", channels=("sms", "sms")), BadRequest, "once"),
    (said("k", channels=()), BadRequest, "once"),
    (said("k", at=datetime(2026, 6, 1)), BadRequest, "time zone"),
    (said("k", text_version=None, text_digest=None), BadRequest, "names the version of the text"),
    (said("k", expires_at=NOW), BadRequest, "before it was given"),
    (said("k", "withdrawn", expires_at=NOW + DAY), BadRequest, "only a grant runs out"),
    (said("k", said_at=NOW + timedelta(minutes=1)), BadRequest, "in the future"),
    (said("k", sensitive="health"), BadRequest, "needs evidence"),
    (said("k", sensitive="health", evidence=" "), BadRequest, "needs evidence"),
    (said("k", evidence="x" * 5000), BadRequest, "at most 4,000"),
    (said("k", evidence="a\x00b"), BadRequest, "NUL"),
    (said("k", source=" "), BadRequest, "names its source"),
    (said("k", customer=99), UnknownName, "no customer 99"),
    (said("k", source_record_id=2), UnknownName, "none of customer 1"),
)


def test_what_makes_no_sense_is_refused(town: Store) -> None:
    for asked, error, says in SENSELESS:
        with pytest.raises(error, match=says):
            town.consents.record(asked)
    assert town.consents.statements(1) == []


def test_a_clock_that_went_back_and_words_that_changed(town: Store) -> None:
    town.consents.record(said("form 1"))
    with pytest.raises(BadRequest, match="clock went back"):
        town.consents.record(said("form 2", at=NOW - DAY))
    town.consents.record(said("form 2", at=NOW - timedelta(seconds=4)))
    town.consents.record(said("form 3", customer=2, at=NOW - DAY))
    with pytest.raises(BadRequest, match="had other words when people agreed"):
        town.consents.record(said("form 4", text_digest=b"other words"))
    town.consents.record(said("form 5", text_version="v2", text_digest=b"other words"))
    town.consents.record(said("form 6", purpose="profiling", channels=("",), text_digest=b"its own words"))
    versions = {(one["purpose"], one["text_version"]): one["grants"] for one in town.consents.texts()}
    assert versions == {("marketing", "v1"): 3, ("marketing", "v2"): 1, ("profiling", "v1"): 1}


def test_a_merge_takes_the_strictest_and_a_split_gives_it_back(town: Store) -> None:
    town.consents.record(said("a", customer=1, said_at=NOW - DAY))
    town.consents.record(said("b", "withdrawn", customer=2, said_at=NOW - 9 * DAY))
    together(town, 2, 1)
    assert stands(town) == "withdrawn", "although the grant is newer"
    assert town.check() == []
    together(town, 2, 2, "split")
    assert (stands(town, 1), stands(town, 2)) == ("granted", "withdrawn")
    together(town, 3, 1)
    assert stands(town) == "granted", "a record of which nothing was said refuses nothing"
    together(town, 4, 2)
    town.consents.record(said("d", customer=2, at=NOW + DAY, source_record_id=4))
    assert stands(town, 2) == "granted", "the person says it of all their records"
    together(town, 4, -1, "split")
    now = {record: customer for record, customer in _homes(town).items() if record in (2, 4)}
    assert (stands(town, now[2]), stands(town, now[4])) == ("withdrawn", "granted"), "it was not the other one's grant"
    assert town.check() == []


def test_a_withdrawal_stays_with_all_who_may_have_said_it(town: Store) -> None:
    town.consents.record(said("a", customer=1))
    town.consents.record(said("b", customer=2))
    together(town, 2, 1)
    town.consents.record(said("no", "withdrawn", customer=1, at=NOW + DAY))
    together(town, 2, -1, "split")
    assert {stands(town, customer) for customer in _homes(town).values()} == {"withdrawn", "silent"}
    expired = [town.consents.record(said(f"{n}", "expired", customer=n, at=NOW + DAY)) for n in (3, 4)]
    assert len(expired) == 2
    together(town, 4, 3)
    assert stands(town, 3) == "expired"
    assert town.check() == []


def _homes(store: Store) -> dict[int, int]:
    held = store.ids.customers()
    return dict(zip(held["source_record_id"].to_pylist(), held["customer_id"].to_pylist(), strict=True))


class _Spoken(NamedTuple):
    by: int
    about: frozenset[int]
    state: str
    said_at: datetime
    expires_at: datetime | None


def _expected(spoken: Sequence[_Spoken], homes: dict[int, int], customer: int, at: datetime) -> str:
    """Say how a customer stands, by looking at every record and statement."""
    found = set()
    for record in (record for record, own in homes.items() if own == customer):
        mine = [
            (one.said_at, ("granted", "expired", "withdrawn").index(one.state), number, one)
            for number, one in enumerate(spoken)
            if record in one.about and (one.state != "granted" or homes[one.by] == customer)
        ]
        if mine:
            last = max(mine, key=lambda one: one[:3])[3]
            over = last.state == "granted" and last.expires_at is not None and last.expires_at <= at
            found.add("expired" if over else last.state)
    return next((state for state in ("withdrawn", "expired", "granted") if state in found), "silent")


def test_many_lives_agree_with_a_plain_model(store: Store) -> None:
    """Statements early and late, merges and splits, in an order drawn by chance: what is kept is what follows."""
    for seed in range(4):
        chance = Random(seed)
        mine = records(store, *(f"{seed}-{n}" for n in range(4)))
        spoken: list[_Spoken] = []
        for step in range(12):
            homes = {record: own for record, own in _homes(store).items() if record in mine}
            by = chance.choice(mine)
            if chance.random() < 0.35:
                elsewhere = [*({*homes.values()} - {homes[by]}), -1]
                together(store, by, chance.choice(elsewhere))
                continue
            state = chance.choice(("granted", "granted", "withdrawn", "expired"))
            said_at = NOW - chance.randrange(6) * DAY
            ends = said_at + chance.randrange(1, 9) * DAY if state == "granted" and chance.random() < 0.5 else None
            about = frozenset(record for record in mine if homes[record] == homes[by])
            more: dict[str, Any] = {"said_at": said_at, "expires_at": ends, "source_record_id": by}
            store.consents.record(said(f"{seed}/{step}", state, customer=homes[by], **more))
            spoken.append(_Spoken(by, about, state, said_at, ends))
        homes = {record: own for record, own in _homes(store).items() if record in mine}
        for customer in {*homes.values()}:
            for at in (NOW, NOW + 4 * DAY):
                assert stands(store, customer, at) == _expected(spoken, homes, customer, at), (seed, customer)
    assert store.check() == []


def test_statements_are_only_added_to(town: Store, raw: Raw) -> None:
    town.consents.record(said("a", said_at=NOW - DAY))
    town.consents.record(said("b", "withdrawn"))
    for statement in (
        "UPDATE consent_statements SET state = 'granted', text_version = 'v1', text_digest = key WHERE statement_id = 2",
        "UPDATE consent_statements SET said_at = recorded_at",
        "DELETE FROM consent_statements",
        "DELETE FROM consent_records",
        "UPDATE consent_records SET source_record_id = 2",
    ):
        with pytest.raises((exc.DBAPIError, TierwiseError), match="only added to"):
            raw(statement)


#: What somebody does with the database's own tools, one after the other, and what the check says of it then.
BROKEN = (
    ("UPDATE consent_states SET state = 'granted' WHERE channel = 'sms'", "consent to `marketing` by sms does not"),
    ("DELETE FROM consent_states WHERE channel = 'wechat'", "consent to `marketing` by wechat does not"),
    ("UPDATE consent_statements SET evidence = 'page 8' WHERE statement_id = 1", "evidence of statement 1 is not"),
    (
        "UPDATE consent_statements SET state = 'expired' WHERE statement_id = 3",
        "statement 3 and those recorded with it",
    ),
    ("UPDATE consent_statements SET said_at = recorded_at WHERE statement_id = 1", "statement 1 and those recorded"),
    ("DELETE FROM consent_records WHERE statement_id = 4", "statement 4 is not about the record by which"),
    ("DELETE FROM consent_statements WHERE statement_id = 4", "the audit answers for statement 4, which is missing"),
    ("UPDATE sequences SET next_id = 2 WHERE name = 'consent_statement_id'", "next consent_statement_id would be 2"),
)


def test_a_change_behind_its_back_is_found(town: Store, raw: Raw) -> None:
    town.consents.record(said("a", evidence="page 7", said_at=NOW - DAY))
    town.consents.record(said("b", "withdrawn", said_at=NOW - DAY))
    town.consents.record(said("c", "withdrawn"))
    town.consents.record(said("d", "withdrawn", channels=("wechat",)))
    assert town.check() == []
    raw(*_without_triggers(raw))
    for statement, says in BROKEN:
        assert not any(says in finding.message for finding in town.check()), says
        raw(statement)
        told = [finding.message for finding in town.check()]
        assert any(says in one for one in told), told


def _without_triggers(raw: Raw) -> list[str]:
    """Return what switches the triggers of the statements off, as somebody with the database's tools would."""
    try:
        names = raw("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'consent%'")
    except (exc.DBAPIError, TierwiseError):
        return [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in ("consent_statements", "consent_records")]
    return [f"DROP TRIGGER {name}" for (name,) in names]


def test_an_erasure_takes_evidence_and_state_and_leaves_the_proof(town: Store, raw: Raw) -> None:
    town.consents.record(said("a", evidence="page 7 of Ann's form"))
    town.consents.record(said("b", customer=2, evidence="page 8"))
    erasure = town.erasures.begin(1, ANN, NOW)
    town.erasures.destroy(erasure, [1], {})
    town.erasures.finish(erasure, NOW)
    assert town.consents.states(1) == []
    assert town.consents.statements(1) == []
    assert raw("SELECT evidence, salt FROM consent_statements WHERE statement_id = 1") == [(None, None)]
    assert [one.evidence for one in town.consents.statements(2)] == ["page 8"]
    assert town.check() == []


def test_many_callers_at_once(town: Store) -> None:
    asked = [said(f"k{n % 20}", "withdrawn" if n % 20 % 2 else "granted", customer=1 + n % 20 % 4) for n in range(80)]

    def ask(one: Say) -> list[Statement]:
        return town.consents.record(one)

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(ask, asked))
    assert len({one.statement_id for fate in done for one in fate}) == 20
    assert {stands(town, customer) for customer in (1, 3)} == {"granted"}
    assert {stands(town, customer) for customer in (2, 4)} == {"withdrawn"}
    assert town.check() == []


def test_a_withdrawal_waits_for_who_is_about_to_send(town: Store, where: str) -> None:
    """Whoever holds the state of a customer goes first; the withdrawal is answered when they have ended."""
    town.consents.record(said("a"))
    with closing(Transactions(where)) as sender, ThreadPoolExecutor(1) as pool:
        with sender.write() as connection:
            assert has_consent(connection, 1, "marketing", "sms", NOW, lock=True)
            later = pool.submit(town.consents.record, said("b", "withdrawn"))
            with pytest.raises(TimeoutError):
                later.result(timeout=0.3)
        assert [one.state for one in later.result()] == ["withdrawn"]
        with sender.write() as connection:
            assert not has_consent(connection, 1, "marketing", "sms", NOW, lock=True)
