"""The door of channels: a message that goes out, the fates it can have, and what comes back later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

__all__ = [
    "Absent",
    "Accepted",
    "Channel",
    "Outcome",
    "Outgoing",
    "Receipt",
    "Refused",
    "Reply",
    "Unknown",
    "masked",
]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it leaves: everything is filled in, and nothing more will be looked up.

    `message_id` is the same however often the message is tried; `to` an address of the channel; `at` the instant of
    the call in UTC; `code` and `fields` are a provider's template and its variables.
    """

    message_id: str
    to: str
    at: datetime
    text: str = ""
    subject: str = ""
    html: str = ""
    code: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    unsubscribe_url: str = ""
    customer_id: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it; `ref` is its own number for it."""

    ref: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider has not taken it, for certain; `again` says whether the same may be taken later."""

    code: str
    message: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the provider has it: it must not be sent again before that is known."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """The provider says that it has never had it."""


Outcome = Accepted | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider tells later: `state` is ``delivered``, ``failed``, ``opened`` or ``clicked``.

    `receipt_id` is the same when the same is told again.
    """

    receipt_id: str
    message_id: str
    ref: str
    state: str
    at: datetime | None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a customer answered; `withdraws` says whether it means: no more."""

    receipt_id: str
    sender: str
    text: str
    at: datetime | None
    withdraws: bool


class Channel(Protocol):
    """A way to customers.

    `Settings` is the form of what is declared; `address` the personal field that a message is sent to, empty where
    none is needed. Where a provider `deduplicates`, a message may be sent again under its `message_id` without harm.
    `medium` says by whose manners templates are judged: ``sms``, ``mail`` or ``other``. `timeout_seconds` is the
    longest that a call takes.
    """

    Settings: ClassVar[type[BaseModel]]
    address: ClassVar[str]
    medium: ClassVar[str]
    deduplicates: ClassVar[bool]
    timeout_seconds: float

    def __init__(self, name: str, settings: Any) -> None: ...

    def send(self, message: Outgoing) -> Outcome:
        """Hand a message over, once; whatever happens is an outcome and no exception."""
        ...

    def lookup(self, message: Outgoing, ref: str = "") -> Outcome | Absent:
        """Ask the provider what became of a message whose fate is unknown."""
        ...


def masked(address: str) -> str:
    """Return an address of which somebody who knows it sees that it is theirs, and nobody else can write to it.

    Example:
        >>> masked("+8613800138000"), masked("li.lei@example.com"), masked("ab")
        ('+86***8000', 'l***@example.com', '***')
    """
    name, at, domain = address.rpartition("@")
    if at and name:
        return f"{name[:1]}***@{domain}"
    return f"{address[:3]}***{address[-4:]}" if len(address) > 8 else "***"
