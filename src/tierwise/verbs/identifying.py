"""Who is one person: linked after each import, asked about, and decided by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from functools import partial
from typing import Any, Final

from tierwise.engine.refresh import new_records
from tierwise.engine.run import Progress
from tierwise.errors import BadRequest
from tierwise.identity.desk import IdentityDesk
from tierwise.identity.linking import Linker, declared_digest
from tierwise.identity.probable import match_records
from tierwise.people.person import find_customer
from tierwise.verbs.opened import Opened
from tierwise.verbs.through import writes

__all__ = ["Identifying", "link"]

#: Beyond this share of all records everybody is linked: looking around so many takes longer.
_SHARE_OF_EVERYBODY: Final = 0.05


class Identifying:
    """The verbs of identity: they change who is one customer, so that they wait for a run and it for them."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @writes
    def merge(
        self,
        one: str,
        other: str,
        reason: str,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Say that two customers are one person; the older number survives."""
        return self._desk().merge(one, other, reason=reason)

    @writes
    def split(
        self,
        customer: str,
        records: list[str],
        reason: str,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Take records out of a customer, as another person."""
        return self._desk().split(customer, records, reason=reason)

    @writes
    def match(
        self,
        progress: Progress | None = None,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Match all records by probability: link what is sure enough, put up for review what is doubtful."""
        opened, declared = self.opened, self.opened.definitions.identity
        if declared is None or declared.matching is None:
            raise BadRequest(
                "the project declares no matching",
                "write `identity: {matching: {fields: {name: name, birth_date: date, city: category}}}`",
            )
        if progress is not None:
            progress("match records", 0, 1)
        return match_records(opened.store, opened.lake, declared, declared.matching, opened.actor, opened.clock())

    @writes
    def decide(
        self,
        review_id: int,
        verdict: str,
        reason: str,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Decide a pair that was put up for review: ``same`` or ``different``."""
        return self._desk().decide(review_id, verdict, reason=reason)

    def reviews(self, limit: int = 20) -> list[dict[str, Any]]:
        """Return the pairs that wait for a decision, the likeliest first."""
        return self._desk().reviews(limit)

    def review(self, review_id: int) -> dict[str, Any]:
        """Return one pair with what both records say side by side; who looks is recorded."""
        return self._desk().review(review_id)

    def report(self) -> dict[str, Any]:
        """Return how many records are how many customers, what links them, and what the last linking found."""
        return self._desk().report()

    def why(self, one: str, other: str) -> dict[str, Any]:
        """Say why two records are one customer, or what is known of their being two."""
        return self._desk().why(one, other)

    def _desk(self) -> IdentityDesk:
        opened = self.opened
        find = partial(find_customer, opened.store, key_spaces=opened.definitions.key_spaces)
        return IdentityDesk(opened.store, opened.definitions.identity, find, opened.actor, opened.clock())


def link(opened: Opened, lake_version: int, show: Progress) -> dict[str, Any] | None:
    """Link the records whose rows have come since the last linking, or everybody; nothing where none is declared.

    Args:
        opened: the project, for a verb at work.
        lake_version: the newest rows.
        show: called with what is being done.
    """
    declared = opened.definitions.identity
    if declared is None:
        return None
    links = opened.store.links
    last = links.last()
    arrived: Sequence[int] | None = None
    if last is not None and last.declared == declared_digest(declared):
        arrived = new_records(opened.lake, last.lake_version, lake_version)
        if not arrived:
            return None
        if len(arrived) > _SHARE_OF_EVERYBODY * opened.store.ids.count():
            arrived = None
    show("link records", 0, 1)
    at = opened.now().replace(tzinfo=UTC)
    return Linker(opened.store, declared, opened.actor, at).link(lake_version, arrived)
