"""What can be asked of the points ledger: six deeds, each with the caller's key, and what came of one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tierwise.errors import BadRequest
from tierwise.store.actors import Actor

__all__ = [
    "MOST_POINTS",
    "Adjust",
    "Earn",
    "Entry",
    "GiveBack",
    "Given",
    "Redeem",
    "Request",
    "Reverse",
    "Transfer",
    "body_of",
    "check_request",
    "digest_of_key",
]

#: The most points of one deed.
MOST_POINTS: Final = 10**12
_LONGEST_KEY: Final = 255
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What every deed says: the caller's key, by which a repeated call is known, when, and who."""

    key: str
    at: datetime
    actor: Actor
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Earn(_Asked):
    """Give points: pending until `available_at`, gone at `expires_at`; `reference` is the order, `rule` says why."""

    customer_id: int
    points: int
    available_at: datetime | None = None
    expires_at: datetime | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeem(_Asked):
    """Spend available points, those that expire first before others."""

    customer_id: int
    points: int
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack(_Asked):
    """Undo a redemption or a part of it: the points go back where they came from, with the dates they had."""

    entry_id: int
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse(_Asked):
    """Take back what was earned, or a part of it, because its reason is gone (a refund); what is spent is owed."""

    entry_id: int
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjust(_Asked):
    """Correct a balance by hand, upwards or downwards, never below zero."""

    customer_id: int
    points: int
    reason: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(_Asked):
    """Move all points of one customer to another; with `only_own`, only those which the other one had earned."""

    from_customer_id: int
    customer_id: int
    only_own: bool = False


Request = Earn | Redeem | GiveBack | Reverse | Adjust | Transfer


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger; `…_after` is what its customer had then, `replayed` says that the key was known."""

    entry_id: int
    kind: str
    customer_id: int
    points: int
    at: datetime
    recorded_at: datetime
    actor: Actor
    rule: str | None
    reference: str | None
    reason: str | None
    of_entry: int | None
    from_customer_id: int | None
    available_after: int
    pending_after: int
    owed_after: int
    replayed: bool = field(default=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**found, "actor": str(self.actor)}


@dataclass(frozen=True, slots=True)
class Given:
    """What a rule has given for a reference in one entry, and how much of it has not been taken back."""

    entry_id: int
    rule: str
    reference: str
    left: int


def check_request(asked: Request) -> None:
    """Refuse what can be refused without looking at the books.

    Raises:
        BadRequest: when the key is empty or too long, an instant has no zone, or the points are no whole number
            within bounds.

    Example:
        >>> check_request(Redeem(key="k", at=datetime(2026, 1, 1, tzinfo=UTC), actor=Actor("cli"), customer_id=1,
        ...     points=0))
        Traceback (most recent call last):
        ...
        tierwise.errors.BadRequest: 0 points: the number is whole, and between 1 and 1,000,000,000,000
    """
    if not asked.key or len(asked.key) > _LONGEST_KEY:
        raise BadRequest(f"an idempotency key has 1 to {_LONGEST_KEY} characters, this one {len(asked.key)}")
    if not isinstance(asked, Transfer):
        points = asked.points
        whole = isinstance(points, int) and not isinstance(points, bool)
        downwards = isinstance(asked, Adjust) and whole and points < 0
        if not whole or not 1 <= (-points if downwards else points) <= MOST_POINTS:
            raise BadRequest(f"{points} points: the number is whole, and between 1 and {MOST_POINTS:,}")
    elif asked.from_customer_id == asked.customer_id:
        raise BadRequest(f"customer {asked.customer_id} would give points to themselves")
    instants = [asked.at]
    if isinstance(asked, Earn | Adjust) and asked.expires_at is not None:
        instants.append(asked.expires_at)
    if isinstance(asked, Earn) and asked.available_at is not None:
        instants.append(asked.available_at)
    if any(one.tzinfo is None for one in instants):
        raise BadRequest("an instant of the ledger needs a time zone")
    if isinstance(asked, Adjust) and not asked.reason.strip():
        raise BadRequest("an adjustment needs a reason", "say why with --reason")
    if isinstance(asked, Earn | Adjust) and asked.expires_at is not None:
        begins = max(asked.at, asked.available_at or asked.at) if isinstance(asked, Earn) else asked.at
        if asked.expires_at <= begins:
            raise BadRequest(
                f"the points would expire on {asked.expires_at.astimezone(UTC)}, before anybody could use them",
                "give a later end",
            )


def digest_of_key(key: str) -> bytes:
    """Return what is kept of a key: it may name an order, and the digest is shorter."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def body_of(asked: Request) -> bytes:
    """Return a digest of what was asked. Instants are no part of it: a call that is repeated comes later.

    Example:
        >>> one = Redeem(key="k", at=datetime(2026, 1, 1, tzinfo=UTC), actor=Actor("cli"), customer_id=1, points=5)
        >>> later = Redeem(key="k", at=datetime(2026, 1, 2, tzinfo=UTC), actor=Actor("cli"), customer_id=1, points=5)
        >>> body_of(one) == body_of(later)
        True
    """
    match asked:
        case Earn() | Redeem():
            what: tuple[Any, ...] = (asked.customer_id, asked.points, asked.rule)
        case GiveBack() | Reverse():
            what = (asked.entry_id, asked.points)
        case Adjust():
            what = (asked.customer_id, asked.points, asked.reason)
        case Transfer():
            what = (asked.from_customer_id, asked.customer_id, asked.only_own)
    text = repr((type(asked).__name__, asked.reference, *what))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
