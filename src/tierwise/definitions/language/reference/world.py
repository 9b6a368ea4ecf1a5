"""What there is to evaluate over: rows, customer records, small tables and definitions, as plain Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from tierwise.definitions.language.keeping import Keeping
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import Expr, Value

__all__ = ["Change", "CustomerId", "Moment", "Row", "Said", "World"]

CustomerId = int


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a stream, or one record of a customer: naive UTC time, key, and typed values by column."""

    time: datetime
    row_key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the membership log: a customer was in `was` (None: nothing recorded), then in `into`."""

    seq: int
    kind: str
    name: str
    was: str | None
    into: str
    at: datetime
    cause: str = "event"


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said by hand: the value of a tag, a tier, or True or False of a segment, in [since, until)."""

    number: int
    name: str
    value: Value
    since: datetime
    until: datetime | None = None

    def holds(self, as_of: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.since <= as_of and (self.until is None or as_of < self.until)


@dataclass(frozen=True, slots=True)
class World:
    """Everything an answer can depend on beside its as_of; rows stand in any order, also those after as_of.

    `lookups` are table → key → column → value. `tierings` hold (tier, rule) as declared, best first where ordered;
    the rule of the last one is None: otherwise. `stays` are the conditions to stay in a tier, tiering → tier →
    condition, and `keeps` the terms of the tierings that are programmes. `key_space`, where a row carries it, says
    whose order numbers it uses. `said` is what was said by hand of each customer.
    """

    streams: Mapping[str, Mapping[CustomerId, Sequence[Row]]] = field(default_factory=dict)
    records: Mapping[CustomerId, Sequence[Row]] = field(default_factory=dict)
    customers: Sequence[CustomerId] = ()
    lookups: Mapping[str, Mapping[str, Mapping[str, Value]]] = field(default_factory=dict)
    parameters: Mapping[str, Value] = field(default_factory=dict)
    tags: Mapping[str, Expr] = field(default_factory=dict)
    segments: Mapping[str, Expr] = field(default_factory=dict)
    tierings: Mapping[str, Sequence[tuple[str, Expr | None]]] = field(default_factory=dict)
    changes: Mapping[CustomerId, Sequence[Change]] = field(default_factory=dict)
    stays: Mapping[str, Mapping[str, Expr]] = field(default_factory=dict)
    keeps: Mapping[str, Keeping] = field(default_factory=dict)
    said: Mapping[CustomerId, Sequence[Said]] = field(default_factory=dict)
    zone: Zone = field(default_factory=lambda: Zone("UTC"))


@dataclass(frozen=True, slots=True)
class Moment:
    """The instant of the answer and the zone whose calendar counts."""

    as_of: datetime
    zone: Zone

    @property
    def today(self) -> date:
        """The local date of as_of."""
        return self.zone.day_of(self.as_of)
