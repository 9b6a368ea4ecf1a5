"""The rules of consent, in memory: what follows from all that was said, and that the strictest holds.

A statement stays with the records that it is about. What holds of a customer follows from the newest statement about
each of their records: they have granted something when every record that ever said anything of it says so and none of
these grants has run out. So a merge takes the strictest of both, and a split gives each their own again: a withdrawal
is about all records that were the customer's then, for good, while a grant that was given by one record is about the
others only as long as they are one customer with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["Heard", "Standing", "follow", "standing"]

#: Of what was said at one instant the strictest is taken as said last.
_STRICTNESS: Final = {"granted": 0, "expired": 1, "withdrawn": 2}


@dataclass(frozen=True, slots=True)
class Heard:
    """A statement about one purpose on one channel, and those of a customer's records that it is about."""

    statement_id: int
    state: str
    said_at: datetime
    expires_at: datetime | None
    records: tuple[int, ...]

    @property
    def order(self) -> tuple[datetime, int, int]:
        """Which comes first: what was said first, of one instant the milder, then what was recorded first."""
        return self.said_at, _STRICTNESS[self.state], self.statement_id


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows after a statement: the state, since the statement that says so, and until when a grant holds."""

    state: str
    since: datetime
    expires_at: datetime | None
    statement_id: int

    def at(self, instant: datetime) -> str:
        """Return the state at an instant."""
        over = self.state == "granted" and self.expires_at is not None and self.expires_at <= instant
        return "expired" if over else self.state


def follow(heard: Iterable[Heard]) -> Iterator[tuple[Heard, Standing]]:
    """Yield what was said about one purpose on one channel, in its order, each with what follows from all until then.

    Example:
        >>> day = datetime(2026, 1, 1)
        >>> yes = Heard(1, "granted", day, None, (10,))
        >>> no = Heard(2, "withdrawn", day, None, (20,))
        >>> [found.state for _, found in follow([no, yes])]
        ['granted', 'withdrawn']
        >>> again = Heard(3, "granted", datetime(2026, 1, 2), None, (10, 20))
        >>> [found.state for _, found in follow([yes, no, again])]
        ['granted', 'withdrawn', 'granted']
    """
    newest: dict[int, Heard] = {}
    for one in sorted(heard, key=lambda one: one.order):
        newest.update(dict.fromkeys(one.records, one))
        yield one, _strictest(newest.values())


def standing(heard: Iterable[Heard]) -> Standing | None:
    """Return what follows from everything that was said about one purpose on one channel; nothing of silence."""
    return next((found for _, found in reversed(list(follow(heard)))), None)


def _strictest(newest: Collection[Heard]) -> Standing:
    """Return the strictest of what the records say, by the statement that said so last."""
    state = max((one.state for one in newest), key=_STRICTNESS.__getitem__)
    decisive = max((one for one in newest if one.state == state), key=lambda one: one.order)
    ends = [one.expires_at for one in newest if one.expires_at is not None]
    expires_at = min(ends, default=None) if state == "granted" else None
    return Standing(state, decisive.said_at, expires_at, decisive.statement_id)
