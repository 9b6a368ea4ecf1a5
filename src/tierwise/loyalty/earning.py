"""What the ledger has to be told so that it says what the rows say: earned for new ones, reversed for refunded ones.

The ledger follows the rows. For every rule and reference (an order, a row, a day) there is what the rows are worth now
and what the ledger has given for it; the difference is earned or taken back. So it does not matter how often this is
done, what has happened between, or whether an order was refunded, corrected or deleted.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tierwise.definitions.language.times import Zone
from tierwise.definitions.points import PointsProgramme
from tierwise.store import Actor, Earn, Given, Request, Reverse

__all__ = ["Due", "deeds"]

_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Due:
    """What rows are worth by one rule: for which customer and reference, since when (naive UTC), how many points."""

    rule: str
    customer_id: int
    reference: str
    at: datetime
    points: int


def deeds(
    due: Iterable[Due],
    given: Iterable[Given],
    programme: PointsProgramme,
    zone: Zone,
    now: datetime,
    actor: Actor,
) -> tuple[list[Request], int]:
    """Return the deeds that make the ledger say what the rows say, and how many rows are too old to earn any more.

    Args:
        due: what the rows of every rule are worth now.
        given: what the ledger has given so far, by rule and reference.
        programme: the rules.
        zone: the project's zone.
        now: the current instant, with its zone.
        actor: who does it.
    """
    before: dict[tuple[str, str], list[Given]] = defaultdict(list)
    for one in given:
        before[one.rule, one.reference].append(one)
    due = list(due)
    customers = Counter((row.rule, row.reference) for row in due)
    found: list[Request] = []
    old = 0
    for row in due:
        # A day is many customers', and two sources may number orders alike.
        shared = customers[row.rule, row.reference] > 1 or programme.earn[row.rule].each == "day"
        reference = f"{row.reference} #{row.customer_id}" if shared else row.reference
        lots = before.pop((row.rule, reference), [])
        more = row.points - sum(lot.left for lot in lots)
        if more < 0:
            found += _taken_back(lots, -more, now, actor)
        elif more > 0:
            available_at, expires_at = _dates(row.at, programme, zone)
            if expires_at is not None and expires_at <= now:
                old += 1
                continue
            found.append(
                Earn(
                    key=f"earn|{row.rule}|{_short(reference)}|{len(lots)}",
                    at=now,
                    actor=actor,
                    reference=reference,
                    customer_id=row.customer_id,
                    points=more,
                    available_at=available_at,
                    expires_at=expires_at,
                    rule=row.rule,
                )
            )
    for (rule, _), lots in before.items():  # the rows are gone, or earn nothing any more
        if rule in programme.earn:
            found += _taken_back(lots, sum(lot.left for lot in lots), now, actor)
    return found, old


def _taken_back(lots: Sequence[Given], points: int, now: datetime, actor: Actor) -> Iterable[Request]:
    """Take points back, from what was given last first."""
    for lot in sorted(lots, key=lambda lot: -lot.entry_id):
        mine = min(points, lot.left)
        if mine:
            key = f"reverse|{lot.entry_id}|{lot.left}"
            reference = lot.reference
            yield Reverse(key=key, at=now, actor=actor, reference=reference, entry_id=lot.entry_id, points=mine)
            points -= mine


def _dates(at: datetime, programme: PointsProgramme, zone: Zone) -> tuple[datetime, datetime | None]:
    available_at = at if programme.waits is None else zone.add(at, programme.waits)
    expires_at = None if programme.lasts is None else zone.add(available_at, programme.lasts)
    return available_at.replace(tzinfo=UTC), None if expires_at is None else expires_at.replace(tzinfo=UTC)


def _short(reference: str) -> str:
    """Return a reference that fits into a key."""
    if len(reference) <= _LONGEST:
        return reference
    return hashlib.sha256(reference.encode("utf-8", "surrogatepass")).hexdigest()
