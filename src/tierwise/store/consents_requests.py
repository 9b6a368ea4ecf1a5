"""What can be said of consent, with the caller's key, and what came of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tierwise.errors import BadRequest
from tierwise.store.actors import Actor
from tierwise.store.consents_folding import Standing

__all__ = ["SKEW", "STATES", "ConsentState", "Say", "Statement", "body_of", "check_say", "key_of"]

#: What a statement can say: yes, no, and that a yes of before is over.
STATES: Final = ("granted", "withdrawn", "expired")
#: Clocks of two machines differ by so much; one that goes back further is refused.
SKEW: Final = timedelta(seconds=5)
_LONGEST_KEY: Final = 255
_LONGEST_EVIDENCE: Final = 4_000
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A statement to be recorded: who says what about which purpose, on which channels, in whose words.

    `key` is the caller's, by which a repeated call is known; `said_at` when the person said it, by default `at`.
    `source_record_id` is the record by which they said it, by default the customer's oldest. `sensitive` is the class
    of data that the purpose is for: a grant of one needs evidence.
    """

    key: str
    at: datetime
    actor: Actor
    customer_id: int
    purpose: str
    state: str
    channels: tuple[str, ...] = ("",)
    source: str
    text_version: str | None = None
    text_digest: bytes | None = None
    sensitive: str = ""
    evidence: str | None = None
    said_at: datetime | None = None
    expires_at: datetime | None = None
    source_record_id: int | None = None

    @property
    def begins_at(self) -> datetime:
        """Return when it was said."""
        return self.said_at or self.at


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as recorded, about one channel; `replayed` says that its key was known."""

    statement_id: int
    customer_id: int
    source_record_id: int
    purpose: str
    channel: str
    sensitive: str
    state: str
    text_version: str | None
    source: str
    evidence: str | None
    said_at: datetime
    expires_at: datetime | None
    recorded_at: datetime
    actor: Actor
    replayed: bool = field(default=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Return the statement as plain values."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**found, "actor": str(self.actor)}


@dataclass(frozen=True, slots=True)
class ConsentState:
    """What holds of a customer for one purpose on one channel.

    Example:
        >>> begins, ends = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
        >>> found = ConsentState(7, "marketing", "sms", Standing("granted", begins, ends, 1))
        >>> found.standing.at(datetime(2026, 12, 31, tzinfo=UTC)), found.standing.at(ends)
        ('granted', 'expired')
    """

    customer_id: int
    purpose: str
    channel: str
    standing: Standing

    def as_json(self, instant: datetime) -> dict[str, Any]:
        """Return what holds at an instant not before the newest statement, as plain values."""
        standing = self.standing
        return {
            "customer_id": self.customer_id,
            "purpose": self.purpose,
            "channel": self.channel,
            "state": standing.at(instant),
            "since": standing.since,
            "expires_at": standing.expires_at,
            "statement_id": standing.statement_id,
        }


def check_say(asked: Say) -> None:
    """Refuse what can be refused without looking at what was said before.

    Raises:
        BadRequest: when the key is empty or too long, an instant has no zone, lies in the future or ends before it
            begins, a grant names no text or, of a sensitive purpose, brings no evidence.

    Example:
        >>> at = datetime(2026, 1, 1, tzinfo=UTC)
        >>> check_say(Say(key="k", at=at, actor=Actor("cli"), customer_id=1, purpose="offers", state="granted",
        ...     source="form"))
        Traceback (most recent call last):
        ...
        tierwise.errors.BadRequest: a grant names the version of the text that was agreed to
    """
    if not asked.key or len(asked.key) > _LONGEST_KEY:
        raise BadRequest(f"an idempotency key has 1 to {_LONGEST_KEY} characters, this one {len(asked.key)}")
    if asked.state not in STATES:
        raise BadRequest(f"`{asked.state}` is no state of consent", "one of " + ", ".join(STATES))
    if not asked.channels or len(set(asked.channels)) < len(asked.channels):
        raise BadRequest("a statement names each of its channels once")
    if any(one is not None and one.tzinfo is None for one in (asked.at, asked.said_at, asked.expires_at)):
        raise BadRequest("an instant of consent needs a time zone")
    for name, written in (("purpose", asked.purpose), ("source", asked.source)):
        if not written.strip():
            raise BadRequest(f"a statement names its {name}")
    if "\x00" in "".join((asked.purpose, asked.source, asked.evidence or "", asked.text_version or "")):
        raise BadRequest("a statement holds a NUL character", "correct the text")
    if len(asked.evidence or "") > _LONGEST_EVIDENCE:
        raise BadRequest(f"evidence has at most {_LONGEST_EVIDENCE:,} characters", "say where the proof lies instead")
    if asked.begins_at > asked.at + SKEW:
        raise BadRequest(f"{asked.begins_at.astimezone(UTC)} is in the future: nobody has said it yet")
    _check_grant(asked)


def _check_grant(asked: Say) -> None:
    if asked.state != "granted":
        if asked.expires_at is not None:
            raise BadRequest("only a grant runs out", "leave the end out")
        return
    if asked.text_version is None or asked.text_digest is None:
        raise BadRequest("a grant names the version of the text that was agreed to")
    if asked.sensitive and not (asked.evidence or "").strip():
        raise BadRequest(
            f"`{asked.purpose}` is for sensitive data ({asked.sensitive}), and its grant needs evidence",
            "say where the proof is: a form's number, a recording, a log entry",
        )
    if asked.expires_at is not None and asked.expires_at <= asked.begins_at:
        raise BadRequest(
            f"the grant would end on {asked.expires_at.astimezone(UTC)}, before it was given", "give a later end"
        )


def key_of(key: str) -> bytes:
    """Return what is kept of a key: it may name a person, and the digest is shorter."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def body_of(asked: Say) -> bytes:
    """Return a digest of what was asked. Instants are no part of it: a call that is repeated comes later."""
    what = (asked.customer_id, asked.purpose, asked.state, asked.channels, asked.source, asked.text_version)
    text = repr((*what, asked.evidence, asked.source_record_id))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
