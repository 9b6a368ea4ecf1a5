"""Statements of consent written, and what follows from them worked out anew, in the caller's transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, or_, select

from tierwise.errors import BadRequest, KeyReused, TierwiseError, UnknownName
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.bulk import among, insert_rows
from tierwise.store.consents_folding import Heard, Standing, standing
from tierwise.store.consents_requests import SKEW, ConsentState, Say, Statement, body_of, key_of
from tierwise.store.keys import make_key
from tierwise.store.schema import identities
from tierwise.store.schema_consents import consent_records, consent_statements, consent_states
from tierwise.store.sequences import reserve, take

__all__ = [
    "KEPT",
    "RECORDED",
    "digest_of",
    "heard",
    "mark_of",
    "record_all",
    "regroup",
    "state_of",
    "statement_of",
    "states_of_all",
]

#: What the audit calls the recording of statements.
RECORDED: Final = "consent.record"
#: The columns of a statement that its audit entry answers for: all but what an erasure empties.
KEPT: Final = (
    "statement_id", "batch", "key", "place", "body", "source_record_id", "customer_id", "purpose", "channel",
    "sensitive", "state", "text_version", "text_digest", "source", "mark", "said_at", "expires_at", "recorded_at",
    "actor",
)  # fmt: skip
_STATE: Final = ("customer_id", "purpose", "channel", "state", "since", "expires_at", "statement_id")
_CUSTOMERS_AT_ONCE: Final = 5_000
_NAMED_AT_ONCE: Final = 10_000


@dataclass(slots=True)
class _Draft:
    """Statements that are asked for at once and will be written: one for each channel."""

    asked: Say
    key: bytes
    body: bytes
    record: int
    records: Sequence[int]


def record_all(connection: Connection, asked: Sequence[Say]) -> list[list[Statement] | TierwiseError]:
    """Record statements in their order; return for each what was recorded, one a channel, or why it is refused.

    What is asked with a known key is not recorded again: the first statements are returned, or `KeyReused` when they
    said something else.
    """
    # Whoever records waits here for others who do, and for those who put records together.
    reserve(connection, "consent_statement_id")
    known = _known(connection, [key_of(one.key) for one in asked])
    people = _People.of(connection, {one.customer_id for one in asked})
    words = _words(connection, {one.purpose for one in asked if one.text_version is not None})
    fates: list[list[Statement] | _Draft | TierwiseError] = []
    drafts: dict[bytes, _Draft] = {}
    for one in asked:
        key, body = key_of(one.key), body_of(one)
        before = known.get(key)
        if before is not None:
            same = bytes(before[0].body) == body
            fates.append([replace(statement_of(row), replayed=True) for row in before] if same else _reused(one))
        elif key in drafts:
            fates.append(drafts[key] if drafts[key].body == body else _reused(one))
        elif (refusal := _refusal(one, people, words)) is not None:
            fates.append(refusal)
        else:
            records = people.records[one.customer_id]
            drafts[key] = _Draft(one, key, body, one.source_record_id or records[0], records)
            fates.append(drafts[key])
    written = _write(connection, list(drafts.values()))
    _project(connection, {draft.asked.customer_id for draft in drafts.values()})
    return [_answer(fate, again, written) for fate, again in _marked(fates)]


def regroup(connection: Connection, moved: Sequence[int], version: int) -> None:
    """Work out anew what follows for the customers whose records have come or gone.

    Args:
        connection: inside the transaction that moves them.
        moved: the source records that have come to another customer.
        version: the identity version in which they have.
    """
    reserve(connection, "consent_statement_id")
    if not moved or connection.execute(select(consent_records.c.statement_id).limit(1)).first() is None:
        return
    touched: set[int] = set()
    for start in range(0, len(moved), _NAMED_AT_ONCE):
        named = among(connection, consent_records.c.source_record_id, moved[start : start + _NAMED_AT_ONCE])
        spoken = set(connection.execute(select(consent_records.c.source_record_id).where(named)).scalars())
        now = or_(identities.c.to_version.is_(None), identities.c.to_version == version)
        theirs = select(identities.c.customer_id).where(among(connection, identities.c.source_record_id, spoken), now)
        touched |= set(connection.execute(theirs).scalars())
    _project(connection, touched)


def _project(connection: Connection, customers: Collection[int]) -> None:
    """Write what follows from everything that was said of some customers in the place of what followed before."""
    listed = sorted(customers)
    for start in range(0, len(listed), _CUSTOMERS_AT_ONCE):
        some = listed[start : start + _CUSTOMERS_AT_ONCE]
        connection.execute(delete(consent_states).where(among(connection, consent_states.c.customer_id, some)))
        rows = [_state_row(one) for one in states_of_all(connection, some)]
        insert_rows(connection, consent_states, _STATE, rows)


# -- reading ---------------------------------------------------------------------------------------------------------


def heard(
    connection: Connection, customers: Collection[int] | None = None
) -> Iterator[tuple[int, dict[tuple[str, str], list[Heard]]]]:
    """Yield each customer with everything said of them, by purpose and channel; of all, or of some.

    A grant is about a customer's records while they are one customer with the record that gave it.

    Args:
        connection: a transaction.
        customers: whom; everybody of whom something was said by default.
    """
    now, sayer = identities.alias("now"), identities.alias("sayer")
    said, about = consent_statements, consent_records
    joined = (
        about.join(now, and_(now.c.source_record_id == about.c.source_record_id, now.c.to_version.is_(None)))
        .join(said, said.c.statement_id == about.c.statement_id)
        .outerjoin(sayer, and_(sayer.c.source_record_id == said.c.source_record_id, sayer.c.to_version.is_(None)))
    )
    columns = (said.c.statement_id, said.c.purpose, said.c.channel, said.c.state, said.c.said_at, said.c.expires_at)
    chosen = select(now.c.customer_id, about.c.source_record_id, sayer.c.customer_id.label("sayer"), *columns)
    chosen = chosen.select_from(joined).order_by(now.c.customer_id, said.c.statement_id, about.c.source_record_id)
    if customers is not None:
        chosen = chosen.where(among(connection, now.c.customer_id, customers))
    rows = connection.execute(chosen, execution_options={"yield_per": _NAMED_AT_ONCE})
    for customer, theirs in groupby(rows, key=lambda row: int(row.customer_id)):
        found: dict[tuple[str, str], list[Heard]] = {}
        for number, same in groupby(theirs, key=lambda row: int(row.statement_id)):
            about_them = list(same)
            one = about_them[0]
            if one.state == "granted" and one.sayer != customer:
                continue
            records = tuple(int(row.source_record_id) for row in about_them)
            spoken = Heard(number, one.state, one.said_at, one.expires_at, records)
            found.setdefault((one.purpose, one.channel), []).append(spoken)
        yield customer, found


def states_of_all(connection: Connection, customers: Collection[int] | None = None) -> Iterator[ConsentState]:
    """Yield what follows from everything that was said, by customer; of all, or of some."""
    for customer, found in heard(connection, customers):
        for purpose, channel in sorted(found):
            follows = standing(found[purpose, channel])
            if follows is not None:
                yield ConsentState(customer, purpose, channel, follows)


@dataclass(frozen=True)
class _People:
    """The records that some customers have now, in order, and when something was recorded of them last."""

    records: Mapping[int, Sequence[int]]
    last_at: Mapping[int, datetime]

    @classmethod
    def of(cls, connection: Connection, customers: set[int]) -> _People:
        mine = among(connection, identities.c.customer_id, customers), identities.c.to_version.is_(None)
        chosen = select(identities.c.customer_id, identities.c.source_record_id).where(*mine)
        records: dict[int, list[int]] = {}
        for customer, record in connection.execute(chosen.order_by(identities.c.source_record_id)):
            records.setdefault(int(customer), []).append(int(record))
        last = (
            select(identities.c.customer_id, func.max(consent_statements.c.recorded_at))
            .join(consent_records, consent_records.c.source_record_id == identities.c.source_record_id)
            .join(consent_statements, consent_statements.c.statement_id == consent_records.c.statement_id)
            .where(*mine)
            .group_by(identities.c.customer_id)
        )
        return cls(records, {int(customer): at for customer, at in connection.execute(last)})


def _known(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, list[Row[Any]]]:
    if not keys:
        return {}
    chosen = select(consent_statements).where(consent_statements.c.key.in_(bindparam("keys", expanding=True)))
    found: dict[bytes, list[Row[Any]]] = {}
    for start in range(0, len(keys), _NAMED_AT_ONCE):
        some = {"keys": keys[start : start + _NAMED_AT_ONCE]}
        for row in connection.execute(chosen.order_by(consent_statements.c.place), some):
            found.setdefault(bytes(row.key), []).append(row)
    return found


def _words(connection: Connection, purposes: set[str]) -> dict[tuple[str, str], bytes]:
    """Return the hash of the words under which each version of some purposes' texts was agreed to before."""
    said = consent_statements.c
    chosen = select(said.purpose, said.text_version, said.text_digest).distinct()
    chosen = chosen.where(said.purpose.in_(sorted(purposes)), said.text_version.is_not(None))
    return {(row.purpose, row.text_version): bytes(row.text_digest) for row in connection.execute(chosen)}


def _refusal(one: Say, people: _People, words: Mapping[tuple[str, str], bytes]) -> TierwiseError | None:
    records = people.records.get(one.customer_id)
    if records is None:
        return UnknownName(f"there is no customer {one.customer_id}")
    if one.source_record_id is not None and one.source_record_id not in records:
        return UnknownName(f"record {one.source_record_id} is none of customer {one.customer_id}")
    last = people.last_at.get(one.customer_id)
    if last is not None and one.at < last - SKEW:
        return BadRequest(
            f"the clock went back: {one.at.astimezone(UTC)} is before {last}, when consent was recorded last",
            "set the machine's clock",
        )
    version = one.text_version or ""
    if one.text_digest is not None and words.get((one.purpose, version), one.text_digest) != one.text_digest:
        return BadRequest(
            f"version `{version}` of the text for `{one.purpose}` had other words when people agreed to it",
            "put the old words back; new words are a new version",
        )
    return None


# -- writing ---------------------------------------------------------------------------------------------------------


def _write(connection: Connection, drafts: Sequence[_Draft]) -> dict[bytes, list[Statement]]:
    """Write the statements, the records they are about and their audit entries; return them by key."""
    if not drafts:
        return {}
    number = take(connection, "consent_statement_id", sum(len(draft.asked.channels) for draft in drafts))
    written: dict[bytes, list[Statement]] = {}
    rows: list[dict[str, Any]] = []
    about: list[tuple[int, int]] = []
    batches: dict[tuple[str, datetime], list[tuple[dict[str, Any], Sequence[int]]]] = {}
    for draft in drafts:
        for place, channel in enumerate(draft.asked.channels):
            row = _row(draft, number, place, channel)
            batch = batches.setdefault((str(draft.asked.actor), draft.asked.at), [])
            batch.append((row, draft.records))
            row["batch"] = batch[0][0]["statement_id"]
            rows.append(row)
            about += [(record, number) for record in draft.records]
            written.setdefault(draft.key, []).append(_statement(row, draft.asked.actor))
            number += 1
    names = (*KEPT, "evidence", "salt")
    insert_rows(connection, consent_statements, names, [tuple(row[name] for name in names) for row in rows])
    insert_rows(connection, consent_records, ("source_record_id", "statement_id"), about)
    for (actor, at), batch in batches.items():
        first = batch[0][0]
        customers = {row["customer_id"] for row, _ in batch}
        on = f"customer:{first['customer_id']}" if len(customers) == 1 else f"consent:{first['batch']}"
        said = {"batch": first["batch"], "statements": len(batch), "digest": digest_of(batch)}
        if len(customers) == 1:
            said |= {"purpose": first["purpose"], "state": first["state"]}
        note(connection, at, Actor.parse(actor), RECORDED, on, said)
    return written


def _row(draft: _Draft, number: int, place: int, channel: str) -> dict[str, Any]:
    asked = draft.asked
    evidence = asked.evidence or None
    salt = None if evidence is None else make_key()
    return {
        "statement_id": number,
        "key": draft.key,
        "place": place,
        "body": draft.body,
        "source_record_id": draft.record,
        "customer_id": asked.customer_id,
        "purpose": asked.purpose,
        "channel": channel,
        "sensitive": asked.sensitive,
        "state": asked.state,
        "text_version": asked.text_version,
        "text_digest": asked.text_digest,
        "source": asked.source,
        "evidence": evidence,
        "salt": salt,
        "mark": None if evidence is None or salt is None else mark_of(evidence, salt),
        "said_at": asked.begins_at.astimezone(UTC),
        "expires_at": None if asked.expires_at is None else asked.expires_at.astimezone(UTC),
        "recorded_at": asked.at.astimezone(UTC),
        "actor": str(asked.actor),
    }


def mark_of(evidence: str, salt: bytes) -> bytes:
    """Return the hash of evidence: without the salt, which an erasure takes away, nobody can try what it was."""
    return hashlib.blake2b(evidence.encode("utf-8", "surrogatepass"), key=salt, digest_size=32).digest()


def digest_of(batch: Sequence[tuple[Mapping[str, Any], Sequence[int]]]) -> str:
    """Return the hash of statements that were written together: of one text that nothing but these values gives.

    Args:
        batch: each statement's columns with the records that it is about, in their order.
    """
    digest = hashlib.sha256()
    for row, records in batch:
        whole = [[_plain(row[name]) for name in KEPT], sorted(records)]
        digest.update(json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _state_row(one: ConsentState) -> tuple[Any, ...]:
    follows = one.standing
    return (
        one.customer_id,
        one.purpose,
        one.channel,
        follows.state,
        follows.since,
        follows.expires_at,
        follows.statement_id,
    )


def state_of(row: Row[Any]) -> ConsentState:
    """Return the state that a row of `consent_states` is."""
    follows = Standing(row.state, row.since, row.expires_at, row.statement_id)
    return ConsentState(row.customer_id, row.purpose, row.channel, follows)


def statement_of(row: Row[Any]) -> Statement:
    """Return the statement that a row of `consent_statements` is."""
    found: Any = row._mapping
    return _statement(found, Actor.parse(row.actor))


def _statement(row: Mapping[str, Any], actor: Actor) -> Statement:
    names = (name for name in Statement.__dataclass_fields__ if name not in ("actor", "replayed"))
    return Statement(**{name: row[name] for name in names}, actor=actor)


def _marked(
    fates: Sequence[list[Statement] | _Draft | TierwiseError],
) -> Iterator[tuple[list[Statement] | _Draft | TierwiseError, bool]]:
    """Yield each fate with whether the same draft has been answered before in this transaction."""
    seen: set[int] = set()
    for fate in fates:
        yield fate, id(fate) in seen
        seen.add(id(fate))


def _answer(
    fate: list[Statement] | _Draft | TierwiseError, again: bool, written: Mapping[bytes, list[Statement]]
) -> list[Statement] | TierwiseError:
    if not isinstance(fate, _Draft):
        return fate
    found = written[fate.key]
    return [replace(one, replayed=True) for one in found] if again else found


def _reused(asked: Say) -> KeyReused:
    return KeyReused(
        f"the key {asked.key!r} was used for another statement before; nothing was recorded",
        "a retry repeats what was asked the first time; something new needs a new key",
    )
