"""The past: what the membership log says of it, and the history of old data written into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from tierwise.definitions.language.times import Zone
from tierwise.engine.as_of import read_as_of, series
from tierwise.engine.backfill import Backfill, first_recorded
from tierwise.engine.intervals import Intervals
from tierwise.engine.run import Progress, latest_row
from tierwise.errors import TierwiseError
from tierwise.people.person import find_customer
from tierwise.verbs.opened import Opened
from tierwise.verbs.running import inputs_of, snapshot_of
from tierwise.verbs.through import reads, writes

__all__ = ["History", "Past"]


class Past:
    """The verbs of the past."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @reads
    def is_current(self) -> bool:
        """Return whether the intervals show the whole log."""
        return self._intervals().is_current()

    @writes
    def build(self) -> None:
        """Make the intervals of the log, when it has grown since."""
        self._intervals().build()

    @reads
    def who(self, what: str, on: datetime | str) -> pa.Table:
        """Return who was in a segment or tier."""
        return self._intervals().who(what, on)

    @reads
    def count(self, what: str, on: datetime | str) -> int:
        """Return how many were in a segment or tier."""
        return self._intervals().count(what, on)

    @reads
    def of(self, customer: str) -> pa.Table:
        """Return everything one customer was in."""
        return self._intervals().of(customer)

    @reads
    def migration(self, tiering: str, earlier: datetime | str, later: datetime | str) -> pa.Table:
        """Return who went from which tier to which."""
        return self._intervals().migration(tiering, earlier, later)

    @reads
    def retention(self, tiering: str, first: datetime | str, every: str, last: datetime | str) -> pa.Table:
        """Return how many of each tier's cohorts stayed."""
        return self._intervals().retention(tiering, first, every, last)

    @reads
    def sizes(self, what: str, first: datetime | str, every: str, last: datetime | str) -> pa.Table:
        """Return sizes over time."""
        return self._intervals().sizes(what, first, every, last)

    @writes
    def backfill(
        self,
        first: datetime | str,
        every: str,
        last: datetime | str | None,
        progress: Progress | None = None,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Write the history of the time before the first recorded run."""
        opened, now = self.opened, self.opened.now()
        recorded, begin = first_recorded(opened.lake), self._instant(first)
        end = self._instant(last) if last is not None else now
        if last is None and recorded is not None:
            end = max(recorded - timedelta(microseconds=1), begin)
        instants = series(begin, every, end, self._zone())
        runs, digest = opened.store.runs, opened.definitions.digest
        run_id = runs.begin("backfill", opened.actor, now.replace(tzinfo=UTC), definitions_hash=digest)
        try:
            inputs = inputs_of(opened, read_lookups=True)
            with opened.cluster() as cluster:
                work = Backfill(
                    opened.engine,
                    inputs,
                    run_id,
                    now,
                    lambda instant: snapshot_of(opened, inputs, instant),
                    lambda step, noted: runs.step(run_id, step, noted),
                    progress or _silent,
                    cluster,
                )
                report = {"run_id": run_id, **work.run(instants)}
        except BaseException as error:
            message = error.message if isinstance(error, TierwiseError) else type(error).__name__
            runs.fail(run_id, opened.clock(), message)
            raise
        runs.finish(run_id, opened.clock(), report)
        return report

    def _zone(self) -> Zone:
        return Zone(self.opened.definitions.settings.timezone)

    def _instant(self, asked: datetime | str) -> datetime:
        opened = self.opened
        return read_as_of(asked, self._zone(), opened.now(), lambda: latest_row(opened.engine, opened.catalogue))

    def _intervals(self) -> Intervals:
        opened = self.opened
        find = partial(find_customer, opened.store, key_spaces=opened.definitions.key_spaces)
        return Intervals(opened.engine, opened.lake, self._zone(), self._instant, find)


@dataclass(frozen=True)
class History:
    """What can be asked of the past; the intervals are made first, when the log has grown since the last question.

    An instant is a datetime, a written instant, or a date, which means its end. Every question of a time before
    the first record of a name is refused (`BadRequest`), one of a name that was never recorded too (`UnknownName`).
    """

    past: Past

    def who(self, what: str, on: datetime | str) -> pa.Table:
        """Return who was in a segment (``lapsing_vip``) or a tier (``grade.gold``): id, key, since, until."""
        return self._current().who(what, on)

    def count(self, what: str, on: datetime | str) -> int:
        """Return how many were in a segment or a tier."""
        return self._current().count(what, on)

    def of(self, customer: str) -> pa.Table:
        """Return everything a customer was in, oldest first; the brand's number, or ``id:42``."""
        return self._current().of(customer)

    def migration(self, tiering: str, earlier: datetime | str, later: datetime | str) -> pa.Table:
        """Return how many went from which tier to which between two instants: was, is, customers, share."""
        return self._current().migration(tiering, earlier, later)

    def retention(self, tiering: str, first: datetime | str, every: str, last: datetime | str) -> pa.Table:
        """Return for who was in a tier at one instant how many still were at each later one."""
        return self._current().retention(tiering, first, every, last)

    def sizes(self, what: str, first: datetime | str, every: str, last: datetime | str) -> pa.Table:
        """Return how large a segment, a tier, or each tier of a tiering was at each instant."""
        return self._current().sizes(what, first, every, last)

    def _current(self) -> Past:
        if not self.past.is_current():
            self.past.build()
        return self.past


def _silent(step: str, done: int, total: int) -> None:
    """Show no progress."""
