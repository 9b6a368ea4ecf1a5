"""The verbs about points on an open project: show, earn, redeem, undo, adjust, settle, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tierwise.definitions.language.times import Zone
from tierwise.definitions.points import PointsProgramme
from tierwise.errors import TierwiseError, UnknownName
from tierwise.loyalty.earning import Due, deeds
from tierwise.store import Actor, Adjust, Balance, Earn, Entry, GiveBack, Proposal, Redeem, Reverse, Store

__all__ = ["PointsDesk"]


@dataclass(frozen=True)
class PointsDesk:
    """What can be done with points. Every verb that moves some takes a key: the same key does it once.

    Args:
        store: where the ledger is.
        programmes: what is declared, by name; at most one.
        zone: the project's zone.
        find: turns a customer as asked into an id, or refuses.
        due: gives what the rows are worth by every rule, at the last run's as_of.
        clock: gives the current instant with its zone.
        actor: who asks.
    """

    store: Store
    programmes: dict[str, PointsProgramme]
    zone: Zone
    find: Callable[[str], int]
    due: Callable[[], list[Due]]
    clock: Callable[[], datetime]
    actor: Actor

    @property
    def programme(self) -> PointsProgramme:
        """Return what is declared about points.

        Raises:
            UnknownName: when nothing is.
        """
        if not self.programmes:
            raise UnknownName("no points are declared", "declare them under `points:` in definitions/")
        return next(iter(self.programmes.values()))

    def balance(self, customer: str) -> Balance:
        """Return what a customer has now."""
        return self.store.points.balance(self.find(customer), self.clock())

    def statement(self, customer: str, limit: int = 50) -> list[Entry]:
        """Return a customer's entries, the newest first."""
        return self.store.points.statement(self.find(customer), limit)

    def earn(self, progress: Callable[[str, int, int], None] = lambda step, done, total: None) -> dict[str, Any]:
        """Let the rows of the last run earn what they are worth, and take back what they no longer are.

        Raises:
            UnknownName: when no points are declared, or nothing has been run yet.
        """
        programme, now = self.programme, self.clock()
        due = self.due()
        found, old = deeds(due, self.store.points.given(), programme, self.zone, now, self.actor)
        done = {"rows": len(due), "earned": 0, "taken_back": 0, "too_old": old, "refused": 0}
        refusals: list[str] = []
        fates = self.store.points.post_many(found, lambda done, total: progress("points", done, total))
        for asked, fate in zip(found, fates, strict=True):
            if isinstance(fate, TierwiseError):
                done["refused"] += 1
                refusals.append(fate.message)
            elif isinstance(asked, Earn):
                done["earned"] += fate.points
            else:
                done["taken_back"] -= fate.points
        self.store.audit.record(now, self.actor, "points.earn", "points", done)
        return {**done, "refusals": refusals[:20]}

    def redeem(self, customer: str, points: int, *, key: str, reference: str | None = None) -> Entry:
        """Spend a customer's points.

        Raises:
            NotEnough: when there are not so many.
            KeyReused: when the key was used for something else.
        """
        who = self.find(customer)
        return self.store.points.post(
            Redeem(key=key, at=self.clock(), actor=self.actor, customer_id=who, points=points, reference=reference)
        )

    def give_back(self, entry: int, points: int, *, key: str) -> Entry:
        """Undo a redemption, or a part of it."""
        return self.store.points.post(
            GiveBack(key=key, at=self.clock(), actor=self.actor, entry_id=entry, points=points)
        )

    def reverse(self, entry: int, points: int, *, key: str, reference: str | None = None) -> Entry:
        """Take back what an entry earned, or a part of it; what is spent already is owed."""
        asked = Reverse(key=key, at=self.clock(), actor=self.actor, entry_id=entry, points=points, reference=reference)
        return self.store.points.post(asked)

    def adjust(self, customer: str, points: int, *, reason: str, key: str) -> Entry | Proposal:
        """Correct a balance by hand; above what one person may do alone it waits for a second one.

        Raises:
            BadRequest: when there is no reason, or the points are no whole number.
            NotEnough: when it would take more than there is.
        """
        who, now = self.find(customer), self.clock()
        expires = self.programme.lasts if self.programmes and points > 0 else None
        begins = now.astimezone(UTC).replace(tzinfo=None)
        last = None if expires is None else self.zone.add(begins, expires).replace(tzinfo=UTC)
        alone = self.programme.adjust_alone if self.programmes else PointsProgramme().adjust_alone
        if abs(points) > alone:
            return self.store.points.propose(who, points, reason=reason, actor=self.actor, at=now, expires_at=last)
        return self.store.points.post(
            Adjust(key=key, at=now, actor=self.actor, customer_id=who, points=points, reason=reason, expires_at=last)
        )

    def proposals(self) -> list[Proposal]:
        """Return the adjustments that wait for a second person."""
        return self.store.points.proposals()

    def approve(self, proposal: int) -> Entry:
        """Agree to an adjustment that somebody else proposed."""
        return self.store.points.approve(proposal, actor=self.actor, at=self.clock())

    def decline(self, proposal: int) -> Proposal:
        """Refuse an adjustment that somebody else proposed."""
        return self.store.points.decline(proposal, actor=self.actor, at=self.clock())

    def settle(self, progress: Callable[[str, int, int], None] = lambda step, done, total: None) -> dict[str, Any]:
        """Release and expire everybody's points that are due."""
        now = self.clock()
        done = self.store.points.settle(now, lambda customers: progress("points", customers, customers))
        self.store.audit.record(now, self.actor, "points.settle", "points", done)
        return dict(done)

    def report(self) -> dict[str, Any]:
        """Return the report of liability and breakage, with what the outstanding points are worth, if declared."""
        found = self.store.points.liability(ZoneInfo(self.zone.name))
        worth = self.programme.worth if self.programmes else None
        return {**found, "worth": None if worth is None else str(worth * found["outstanding"])}
