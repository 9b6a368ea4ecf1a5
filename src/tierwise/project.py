"""The façade: one project folder, its verbs in the order of the river; it only sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.times import Zone
from tierwise.definitions.load import Definitions
from tierwise.engine.owner.claim import Holder
from tierwise.engine.owner.door import Door
from tierwise.errors import Problem, UnknownName
from tierwise.lake import Lake
from tierwise.store import SYSTEM, Actor, Decisions, Run, Store
from tierwise.verbs.opened import Opened, Rooms
from tierwise.verbs.through import VerbsAtWork, offered

if TYPE_CHECKING:  # a verb's modules are imported when it is first asked: most commands ask one
    from tierwise.engine.run import Progress
    from tierwise.engine.snapshot import Spine
    from tierwise.loyalty import PointsDesk
    from tierwise.people.desk import Desk
    from tierwise.verbs.asking import Asking
    from tierwise.verbs.browsing import Browsing
    from tierwise.verbs.consenting import Consenting
    from tierwise.verbs.experimenting import Experimenting
    from tierwise.verbs.identifying import Identifying
    from tierwise.verbs.importing import Importing
    from tierwise.verbs.judging import Tierings
    from tierwise.verbs.past import History, Past
    from tierwise.verbs.planning import Planning
    from tierwise.verbs.queueing import Queueing
    from tierwise.verbs.reaching import Reaching
    from tierwise.verbs.running import Running
    from tierwise.verbs.valuing import Valuing

__all__ = ["GROUPS", "STAGES", "Project"]

#: The stages of the river that exist, in its order.
STAGES: Final = ("sources", "identity", "value", "loyalty", "channels", "evaluation")
#: Every group of verbs, by its module in `tierwise.verbs`; what is not in here the engine's owner does for nobody.
GROUPS: Final = (
    *("asking", "planning", "running", "past", "identifying", "erasing", "valuing", "judging", "earning"),
    *("browsing", "importing"),
)


class Project:
    """A project folder and what can be done with it; made by `tierwise.open`.

    Args:
        folder: the folder that holds ``tierwise.yaml``.
        clock: gives the current instant with its zone; nothing else reads a clock.
        actor: who is asking, for the records.
        command: what was started, for others who want to know who holds the project.
        owns: whether this process may hold the engine; if not, another one must.
        rooms: the folder's memories, when they are open already.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], datetime],
        actor: Actor = SYSTEM,
        command: str = "python",
        *,
        owns: bool = True,
        rooms: Rooms | None = None,
    ) -> None:
        self.folder = folder
        self._clock, self._command, self._owns = clock, command, owns
        works = partial(VerbsAtWork, GROUPS, folder)
        said = (clock, str(actor), command, version("tierwise"), owns)
        self._door = Door(folder / "engine", offered(GROUPS), works, *said)
        self._opened = Opened(rooms or Rooms(folder), clock, actor, self._door)

    def acting_as(self, actor: Actor) -> Project:
        """Return the same open project with everything done under another name; this one is closed, not that."""
        return Project(self.folder, self._clock, actor, self._command, owns=self._owns, rooms=self._opened.rooms)

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, waiting: Callable[[list[dict[str, Any]]], None] | None = None) -> None:
        """Let go of the store and of the engine, once what others have asked of it meanwhile is done.

        Args:
            waiting: called with what is still at work for others, when there is something.
        """
        self._opened.rooms.close()
        self._door.close(waiting)

    # -- groups of verbs --------------------------------------------------------------------------------------------

    @cached_property
    def _asking(self) -> Asking:
        from tierwise.verbs.asking import Asking

        return Asking(self._opened)

    @cached_property
    def _planning(self) -> Planning:
        from tierwise.verbs.planning import Planning

        return Planning(self._opened)

    @cached_property
    def _running(self) -> Running:
        from tierwise.verbs.running import Running

        return Running(self._opened)

    @cached_property
    def _past(self) -> Past:
        from tierwise.verbs.past import Past

        return Past(self._opened)

    @cached_property
    def identity(self) -> Identifying:
        """Return the verbs about who is one person: report, why, match, merge, split, reviews, review, decide."""
        from tierwise.verbs.identifying import Identifying

        return Identifying(self._opened)

    @cached_property
    def history(self) -> History:
        """Return the verbs about what was recorded."""
        from tierwise.verbs.past import History

        return History(self._past)

    @cached_property
    def value(self) -> Valuing:
        """Return the verbs about what customers are worth."""
        from tierwise.verbs.valuing import Valuing

        return Valuing(self._opened)

    @cached_property
    def experiments(self) -> Experimenting:
        """Return the verbs about experiments: power, analyse."""
        from tierwise.verbs.experimenting import Experimenting

        return Experimenting(self._opened)

    @cached_property
    def tierings(self) -> Tierings:
        """Return the verbs about how good a tiering is: quality, suggest."""
        from tierwise.verbs.judging import Judging, Tierings

        return Tierings(Judging(self._opened), self._past)

    @cached_property
    def browsing(self) -> Browsing:
        """Return the verbs of pages: overview, spread."""
        from tierwise.verbs.browsing import Browsing

        return Browsing(self._opened)

    @cached_property
    def importing(self) -> Importing:
        """Return the verbs of a file before it is imported: look, rehearse."""
        from tierwise.verbs.importing import Importing

        return Importing(self._opened)

    @cached_property
    def channels(self) -> Reaching:
        """Return the verbs about channels: list, test, preview."""
        from tierwise.verbs.reaching import Reaching

        return Reaching(self._opened)

    @cached_property
    def consent(self) -> Consenting:
        """Return the verbs about what people agree to: record, withdraw, show, load, report."""
        from tierwise.verbs.consenting import Consenting

        return Consenting(self._opened)

    @cached_property
    def jobs(self) -> Queueing:
        """Return the verbs about work that is done later."""
        from tierwise.verbs.queueing import Queueing

        return Queueing(self._opened)

    # -- the engine's owner -----------------------------------------------------------------------------------------

    def serve(self, ready: Callable[[Holder], None]) -> None:
        """Hold the engine for other processes until it is stopped or the folder goes away.

        Args:
            ready: called with who this is, once others can ask.

        Raises:
            ProjectBusy: when another process holds the project.
        """
        _ = self.definitions
        self._door.serve(ready)

    def owner(self) -> dict[str, Any]:
        """Return who holds the engine (process, since when, command) and what it does; ``held`` is false of nobody."""
        return self._door.status()

    def stop_owner(self) -> dict[str, Any]:
        """Ask who holds the engine to finish what it does and let go; return who it was.

        Raises:
            EngineRefused: when it does not answer.
        """
        return self._door.stop()

    # -- what is open -----------------------------------------------------------------------------------------------

    @property
    def definitions(self) -> Definitions:
        """Return what is declared now.

        Raises:
            DefinitionsInvalid: when it cannot be read.
        """
        return self._opened.definitions

    @property
    def catalogue(self) -> Catalogue:
        """Return the checked definitions.

        Raises:
            DefinitionsInvalid: with every problem, when there is one.
        """
        return self._opened.catalogue

    @property
    def lake(self) -> Lake:
        """Return the lake."""
        return self._opened.lake

    @property
    def store(self) -> Store:
        """Return the store, opened when first needed."""
        return self._opened.store

    @property
    def people(self) -> Desk:
        """Return the verbs about one person: find, show, export, erase; and those about the vault's keys."""
        from tierwise.people.desk import Desk
        from tierwise.people.erase import Premises
        from tierwise.verbs.erasing import Erasing

        opened, premises = self._opened, Premises(self.folder, self.store, self.lake)
        return Desk(premises, self.definitions.key_spaces, opened.clock, opened.actor, Erasing(opened), self._computed)

    @property
    def points(self) -> PointsDesk:
        """Return the verbs about points: balance, statement, earn, redeem, adjust, settle, report."""
        from tierwise.loyalty import PointsDesk
        from tierwise.people.person import find_customer
        from tierwise.verbs.earning import Earning, due_of

        opened, earning = self._opened, Earning(self._opened)
        return PointsDesk(
            self.store,
            dict(self.definitions.points),
            Zone(self.definitions.settings.timezone),
            lambda key: find_customer(self.store, key, self.definitions.key_spaces),
            lambda: due_of(earning.due()),
            opened.clock,
            opened.actor,
        )

    def _computed(self, customer_id: int) -> dict[str, Any] | None:
        """Return a customer's row of the results."""
        from tierwise.engine.standing import RESULTS

        try:
            rows = self._asking.table(RESULTS)
        except UnknownName:
            return None
        found: list[dict[str, Any]] = rows.filter(pc.equal(rows["customer_id"], customer_id)).to_pylist()
        return found[0] if found else None

    # -- check and plan ---------------------------------------------------------------------------------------------

    def check(self) -> list[Problem]:
        """Return every problem and warning in what is declared, the sources' files included."""
        from tierwise.sources.collect import check_sources

        declaration = self._opened.declaration
        _, problems = declaration.checked()
        definitions = declaration.loaded[0]
        if definitions is None:
            return problems
        problems = problems + check_sources(definitions)
        if definitions.channels or definitions.templates:
            from tierwise.channels import check_channels

            problems += check_channels(definitions)
        return problems

    def plan(self, top: int = 20) -> dict[str, Any]:
        """Return what a run would do, and who would move by what was edited since the newest recorded run.

        Files to import, tables to build and passes over the streams; under ``refresh`` whom a refresh of now would
        compute because of time, by reason, or why everyone; under ``edit`` for every tiering, segment and tag
        that would have other answers how many customers go from where to where, at the last run's as_of on the state
        it left, what they are worth, and the `top` of them who are worth most. Nothing is written.

        Args:
            top: how many of the customers concerned to name.
        """
        return self._planning.plan(top)

    def concerned(self) -> pa.Table:
        """Return every customer who would move by what was edited: id, key, value, ``NAME_was``, ``NAME_is``.

        Raises:
            UnknownName: when nothing has been recorded yet.
            BadRequest: when the edit reads rows that have not been built.
        """
        return self._planning.concerned()

    def diff(self) -> list[dict[str, Any]]:
        """Return what is declared otherwise than at the newest recorded run: old and new text, and as sentences."""
        return self._planning.diff()

    def replay(self, name: str, months: int = 12, progress: Progress | None = None) -> dict[str, Any]:
        """Return how large a tiering or segment was at past month ends, as declared then and as declared now.

        With who is elsewhere (`flows`) and how many moved from one month end to the next under each. Nothing is
        written.

        Args:
            name: a tiering or a segment.
            months: how many month ends, up to the last run's as_of; at most 60.
            progress: called with (step, done, total).

        Raises:
            UnknownName: when there is no such name, or nothing has been recorded yet.
            BadRequest: when the months are too many, or the edit reads rows that have not been built.
        """
        return self._planning.replay(name, months, progress)

    # -- run --------------------------------------------------------------------------------------------------------

    def run(
        self,
        as_of: datetime | str | None = None,
        progress: Progress | None = None,
        import_sources: bool = True,
        *,
        known_at: datetime | str | None = None,
        as_believed: bool = False,
        as_declared: bool = False,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Import what is new, compute everything for everyone, record who moved; return the report.

        A run that dies leaves the last good state; the next one goes on from the files already imported and the tables
        already built. Two runs at once take turns.

        Args:
            as_of: the instant of the answers; by default what ``tierwise.yaml`` says.
            progress: called with (step, done, total).
            import_sources: whether to read the sources first.
            known_at: answer with the rows, identities and facts by hand that were known at this instant; nothing is
                imported and no change recorded. The definitions are those of now, unless `as_declared`; the report
                says which they were.
            as_believed: compare with the distributions that were published by then, instead of those of `as_of`; no
                change is recorded.
            as_declared: go by the definitions of the newest run that was recorded (by `known_at`) instead of those of
                now; nothing is imported and no change recorded.
            wait: whether to wait for another run that is at work.
            waiting: called with a sentence that says who is waited for.

        Raises:
            DefinitionsInvalid: when something declared is wrong.
            SourceUnreadable: when a file cannot be read.
            BadRequest: when `as_of` cannot be understood, or there is no row yet to take it from.
            ProjectBusy: when another run is at work and `wait` is false.
        """
        self.people.finish()
        return self._running.run(as_of, import_sources, progress, waiting, wait, known_at, as_believed, as_declared)

    def backfill(
        self,
        first: datetime | str,
        every: str = "1mo",
        last: datetime | str | None = None,
        progress: Progress | None = None,
        *,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Write the history of the time before the first recorded run: everyone evaluated at each instant.

        Instants that are in the log already are left out, so a backfill that died goes on where it was.

        Args:
            first: the first instant; a date means its end.
            every: the length of time between two.
            last: none is after it; by default up to the first recorded run, or now.
            progress: called with (step, done, total).
            wait: whether to wait for a run that is at work.
            waiting: called with a sentence that says who is waited for.

        Raises:
            BadRequest: when an instant is not before the first recorded run, or history was written after it.
        """
        return self._past.backfill(first, every, last, progress, waiting, wait)

    @property
    def facts(self) -> Decisions:
        """Return what can be decided by hand: pin, include, exclude, set, upload, revoke, list."""
        from tierwise.engine.as_of import read_as_of
        from tierwise.people.person import find_customer

        opened, zone = self._opened, Zone(self.definitions.settings.timezone)
        now = opened.now()
        at = now.replace(tzinfo=UTC)

        def read(asked: datetime | str) -> datetime:
            return read_as_of(asked, zone, now, lambda: None)

        find = partial(find_customer, opened.store, key_spaces=opened.definitions.key_spaces)
        return Decisions(opened.store.facts, opened.catalogue, find, read, at, opened.actor)

    def refresh(
        self,
        as_of: datetime | str | None = None,
        publish: bool = False,
        progress: Progress | None = None,
        import_sources: bool = True,
        *,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Import what is new, compute only the customers it or time touches, record who moved; return the report.

        The results are those of a run at the same instant that compares with the same published distributions: the
        newest ones, or those of now with `publish`. Everyone is computed where that is needed, and the report says why.

        Args:
            as_of: the instant of the answers, not before the newest results; by default what ``tierwise.yaml`` says.
            publish: whether to publish the distributions anew.
            progress: called with (step, done, total).
            import_sources: whether to read the sources first.
            wait: whether to wait for another run that is at work.
            waiting: called with a sentence that says who is waited for.

        Raises:
            DefinitionsInvalid: when something declared is wrong.
            SourceUnreadable: when a file cannot be read.
            BadRequest: when `as_of` cannot be understood, or is before the newest results.
            ProjectBusy: when another run is at work and `wait` is false.
        """
        self.people.finish()
        return self._running.refresh(as_of, import_sources, publish, progress, waiting, wait)

    def absorb(
        self,
        source: str,
        rows: pa.Table | Sequence[Mapping[str, Any]],
        position: str | int,
        *,
        compute: bool = True,
        as_of: datetime | str | None = None,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Take rows that were sent, compute the customers they touch; return what became of both.

        The rows are judged as a file's rows are: each is new, replaced, duplicate or quarantined (``new``,
        ``quarantined``, ``reasons`` … of the answer). They are safely in the lake before anything is computed.
        Sending them again at the same position does nothing and gives the same answer, ``state`` being ``known``.

        Args:
            source: the source that sends them; `live` or not.
            rows: a table or records, with the columns that the source maps.
            position: what tells these rows from all others that the source sends, such as an offset.
            compute: whether to compute at once; without it several batches are taken in and the next one that
                computes, or the next refresh, does it for all.
            as_of: the instant of the answers, not before the newest results; by default what ``tierwise.yaml`` says.
            wait: whether to wait for another run that is at work.
            waiting: called with a sentence that says who is waited for.

        Returns:
            The counts, ``lake_version``, ``run_id`` and ``changes``: who moved by that run, as rows of the membership
            log with their cause; of the whole group when several batches were computed together.

        Raises:
            UnknownName: when there is no such source.
            BadRequest: when other rows were sent at this position before, or the rows are no rows.
            DefinitionsInvalid: when the source does not fit the rows' columns.
            SourceUnreadable: when a column is nested or of a type that is not read.
            ProjectBusy: when another run is at work and `wait` is false.
        """
        from tierwise.sources.absorb import as_rows

        self.people.finish()
        return self._running.absorb(source, as_rows(rows), str(position), compute, as_of, None, waiting, wait)

    def compact(self, *, wait: bool = True, waiting: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Put the small files together that sent rows have left in the lake; return how many ``files`` there are fewer.

        It is done by itself while rows are sent. Nothing that is answered changes, also of what was known earlier, and
        whoever reads meanwhile is not disturbed.

        Args:
            wait: whether to wait for a run that is at work.
            waiting: called with a sentence that says who is waited for.

        Raises:
            ProjectBusy: when another run is at work and `wait` is false.
        """
        return self._running.compact(waiting, wait)

    # -- asking -----------------------------------------------------------------------------------------------------

    def show(self, what: str) -> pa.Table:
        """Return a table for people: ``tiers``, ``segments``, ``tags``, ``tables`` or ``runs``.

        Raises:
            UnknownName: when there is no such table, or no results yet.
            BadRequest: when the definitions have changed in a way the results do not show yet.
        """
        if what == "runs":
            listed = self.store.runs.list()
            alive = not any(run.state == "running" for run in listed) or self._door.held()
            return pa.Table.from_pylist([_run_row(run, alive) for run in listed])
        return self._asking.show(what)

    def table(self, name: str) -> pa.Table:
        """Return a whole table: ``customers`` (the results), a stream, ``memberships``, ``quarantine`` …

        Raises:
            UnknownName: when there is no such table.
        """
        from tierwise.verbs.asking import lake_table

        found = lake_table(self._opened, name)
        return self._asking.table(name) if found is None else found

    def evaluate(self, spine: Spine, names: Sequence[str]) -> pa.Table:
        """Return tags, tierings and segments for a spine (see `tierwise.engine.snapshot`): customer_id, as_of, names.

        Raises:
            UnknownName: when a name is not defined.
        """
        return self._asking.evaluate(spine.kind, spine.as_of, spine.table, list(names))

    def estimate(self, expression: str) -> dict[str, Any]:
        """Count the customers for whom a condition holds at the last run's as_of, condition by condition.

        Raises:
            DefinitionsInvalid: when the condition cannot be parsed or checked, or is none.
        """
        return self._asking.estimate(expression)

    def explain(self, customer: str) -> dict[str, Any]:
        """Say why one customer is in their tiers, what would move them up, and when time alone would move them.

        Args:
            customer: the brand's number, an identifier such as a telephone number, or ``id:42``.

        Raises:
            UnknownName: when nobody has this number.
            BadRequest: when several customers have it.
        """
        return self._asking.explain(customer)

    def export(self, table: str, to: Path) -> dict[str, Any]:
        """Write a table to a ``.csv``, ``.xlsx`` or ``.parquet`` file that no spreadsheet can be tricked by."""
        return self._export(self.table(table), table, to)

    def export_concerned(self, to: Path) -> dict[str, Any]:
        """Write every customer who would move by what was edited to a file, as `export` does."""
        return self._export(self.concerned(), "concerned", to)

    def _export(self, rows: pa.Table, table: str, to: Path) -> dict[str, Any]:
        from tierwise.engine.export import write_table
        from tierwise.people.files import digest_of

        write_table(rows, to)
        path = to.resolve()
        self.store.exports.record(str(path), table, digest_of(path), self._opened.actor, self._opened.clock())
        return {"table": table, "to": str(to), "rows": rows.num_rows}

    def sql(self, query: str, limit: int | None = None) -> pa.Table:
        """Answer one SELECT over the engine's tables; it can change nothing and reach no file.

        Raises:
            BadRequest: when it is anything else, or cannot be answered.
        """
        return self._asking.sql(query, limit)


def _run_row(run: Run, alive: bool) -> dict[str, Any]:
    """Return a run for people; one that is at work while nobody holds the project has died, though none has said so."""
    report = run.report or {}
    return {
        "run_id": run.run_id,
        "state": run.state if alive or run.state != "running" else "died",
        "kind": run.kind,
        "as_of": str(report.get("as_of", "")),
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "customers": report.get("customers"),
        "snapshot_id": run.snapshot_id or "",
        "error": run.error or "",
    }
