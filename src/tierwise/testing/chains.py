"""A world that comes piece by piece: received, refreshed, received again; then asked as of every instant it had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.reference import Change, Evaluation, Published, Row
from tierwise.definitions.language.typed import Population, Value
from tierwise.definitions.streams import CUSTOMERS
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.cells import named_cell
from tierwise.engine.complete import Completion
from tierwise.engine.distributions import fingerprint, newest
from tierwise.engine.history import recorded
from tierwise.engine.refresh import Refresh, rebuild_because
from tierwise.engine.run import Inputs, derived, sources_of
from tierwise.engine.snapshot import Snapshot
from tierwise.engine.sql import col
from tierwise.engine.standing import RESULTS
from tierwise.lake import Lake
from tierwise.testing.worlds import (
    SOURCE,
    Case,
    catalogue_of,
    lake_rows,
    named,
    populations,
    reference_of,
    said_of,
    same,
)

__all__ = ["Chain", "State", "Step"]

#: (customer, name) → answer.
_Answers = Mapping[tuple[int, str], Value]
#: Whoever is touched is evaluated apart, however few customers there are.
_NEVER_EVERYONE: Final = 2.0
#: When products and stores are received; they are as they are now at every as_of.
_EARLY: Final = datetime(2000, 1, 1)
#: Why somebody moves of whom no row has changed.
_UNASKED: Final = ("time", "distribution")


@dataclass(frozen=True)
class State:
    """Everything as it is known before one refresh, and the instant of the refresh (`case.as_of`).

    What differs from the state before is what comes: rows that are new, rows that say something else, rows that are
    gone; and definitions, lookups and what is said by hand are those of the case.

    Args:
        case: rows and definitions.
        how: ``refresh``, ``publish`` (a refresh that publishes anew) or ``run``.
        checked: the definitions, where they are not those of the case.
    """

    case: Case
    how: str = "refresh"
    checked: Catalogue | None = field(default=None, repr=False)

    @property
    def catalogue(self) -> Catalogue:
        """Return the checked definitions; streams that nothing comes of are left out, which is quicker."""
        if self.checked is not None:
            return self.checked
        catalogue, wanted = catalogue_of(self.case), {*self.case.streams, "orders", "refunds"}
        streams = {name: stream for name, stream in catalogue.streams.items() if name in wanted}
        return replace(catalogue, streams=streams, reference={CUSTOMERS.name: catalogue.reference[CUSTOMERS.name]})


@dataclass(frozen=True)
class Step:
    """One refresh that was done: on what, what it answered, and what the reference says instead."""

    state: State
    catalogue: Catalogue
    inputs: Inputs
    manifest: int
    facts: int
    answers: _Answers
    report: Mapping[str, Any]
    published: Mapping[str, Published] = field(repr=False)

    @property
    def case(self) -> Case:
        """The world it was of."""
        return self.state.case


class Chain:
    """A project in memory, without its files and its store; every step is compared with the reference evaluator.

    Args:
        folder: an empty folder for its lake.
        at_once: of how many customers everything is worked out at once; of all of them by default.

    Example:
        >>> import tempfile
        >>> from tierwise.testing.worlds import at, row
        >>> monday = Case({"n": "count(s)"}, at("2026-06-01"), streams={"s": {1: [row("2026-05-30", "a")]}})
        >>> tuesday = replace(monday, as_of=at("2026-06-02"), streams={"s": {1: [row("2026-05-20", "b")]}})
        >>> with tempfile.TemporaryDirectory() as folder, Chain(Path(folder)) as chain:
        ...     found = chain.advance(State(monday)) + chain.advance(State(tuesday)) + chain.whole()
        >>> found, chain.steps[1].answers
        ([], {(1, 'n'): 1})
    """

    def __init__(self, folder: Path, at_once: int | None = None) -> None:
        self.lake, self.at_once = Lake(folder), at_once
        self.engine = self._opened()
        self.apart: DuckEngine | None = None
        self.steps: list[Step] = []
        self.log: list[tuple[int, Change]] = []
        self._rows: dict[tuple[str, str], tuple[int, Row]] = {}
        self._came: dict[tuple[str, str], tuple[int, int]] = {}
        self._rows_changed: dict[int, str] = {}

    def __enter__(self) -> Chain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for engine in (self.engine, self.apart):
            if engine is not None:
                engine.close()

    def advance(self, state: State) -> list[str]:
        """Receive what a state brings and refresh; say where the answers or the log are not the reference's."""
        case, catalogue = state.case, state.catalogue
        self._receive(case, catalogue)
        inputs = self._inputs(case, catalogue)
        facts = max((said.number for own in case.said.values() for said in own), default=0)
        number = len(self.steps) + 1
        believed = newest(self.lake, case.as_of) if self.steps and state.how == "refresh" else None
        snapshot = self._snapshot(case, catalogue, inputs, believed)
        report = self._refreshed(state, inputs, number, snapshot)
        known = self._known(case)
        evaluation, published = self._reference(state, catalogue, known)
        answers = _answers(self.engine, case)
        self.steps.append(Step(state, catalogue, inputs, self.lake.version, facts, answers, report, published))
        found = _differ(f"step {number}", case, catalogue, evaluation, known, answers)
        return found + self._log_differs(case, catalogue, evaluation, known)

    def whole(self) -> list[str]:
        """Compute the newest step again in an engine that has nothing; say where it answers otherwise."""
        return self.believed(len(self.steps) - 1)

    def believed(self, index: int) -> list[str]:
        """Ask again as of a step, by what was known and believed then; say where the answer is another."""
        step = self.steps[index]
        before = newest(self.lake, step.case.as_of, step.manifest)
        snapshot = self._snapshot(step.case, step.catalogue, step.inputs, before, step.manifest)
        answers = self._apart(step.case, step.inputs, snapshot)
        kinds = {name: named_cell(step.catalogue, name).kind for name in step.case.names}
        asked = sorted({*answers, *step.answers})
        return [
            f"step {index + 1} again: customer {customer}: {name} was {step.answers.get((customer, name))!r}, is "
            f"{answers.get((customer, name))!r}: {_text(step.case, name)}"
            for customer, name in asked
            if ((customer, name) in answers) != ((customer, name) in step.answers)
            or not same(kinds[name], answers[customer, name], step.answers[customer, name])
        ]

    def as_of(self, instant: datetime) -> list[str]:
        """Ask as of any instant, by what is known now; say where the answer is not the reference's."""
        step = self.steps[-1]
        case = replace(step.case, as_of=instant)
        inputs = step.inputs
        answers = self._apart(case, inputs, self._snapshot(case, step.catalogue, inputs, None))
        known = self._known(case)
        evaluation = Evaluation(self._world(case, step.catalogue, known), instant)
        return _differ(f"as of {instant}", case, step.catalogue, evaluation, known, answers)

    # -- receiving --------------------------------------------------------------------------------------------------

    def _receive(self, case: Case, catalogue: Catalogue) -> None:
        """Append what a case says otherwise than what was received before to the lake."""
        now = {
            (stream, _key(stream, customer, one)): (customer, one)
            for stream, rows in {**case.streams, CUSTOMERS.name: case.records}.items()
            for customer, own in rows.items()
            for one in own
        } | {
            (table, key): (0, Row(_EARLY, key, {catalogue.reference[table].key: key, **values}))
            for table, rows in case.reference.items()
            for key, values in rows.items()
        }
        number, brought = self.lake.version + 1, dict[str, list[tuple[int, Row, dict[str, Any]]]]()
        replaced, came, corrected = set(), set[int](), set[int]()
        for line, (place, (customer, one)) in enumerate(now.items(), 1):
            before = self._rows.get(place)
            if before == (customer, one):
                continue
            fate = "new" if place not in self._came else "replaced"
            (came if fate == "new" else corrected).add(customer)
            corrected |= {before[0]} if before is not None else set()
            self._came[place] = (number, line)
            more = {"import_id": number, "line": line, "fate": fate, "row_key": place[1]}
            more["source"] = sources_of(catalogue, place[0])[0]
            brought.setdefault(place[0], []).append((customer, one, more))
            replaced |= {place[0]} if fate == "replaced" else set()
        for stream, key in self._rows.keys() - now.keys():
            customer, one = self._rows[stream, key]
            gone = {"import_id": number, "fate": "replaced", "op": "delete", "row_key": key}
            gone["source"] = sources_of(catalogue, stream)[0]
            brought.setdefault(stream, []).append((customer, Row(one.time, key, {}), gone))
            replaced.add(stream)
            corrected.add(customer)
        self._rows = now
        self._rows_changed = dict.fromkeys(came, "event") | dict.fromkeys(corrected, "correction")
        streams = {**catalogue.streams, **catalogue.reference}
        tables = {name: lake_rows(streams[name].columns, rows) for name, rows in sorted(brought.items())}
        about = {"source": SOURCE, "file": "crm.csv", "replaced": sorted(replaced)}
        self.lake.append("rows", tables, f"import-{number:08d}", about)

    def _inputs(self, case: Case, catalogue: Catalogue) -> Inputs:
        ids = pa.array(case.customers, pa.int64())
        keys = pa.array([str(customer) for customer in case.customers], pa.string())
        table = pa.table({"source_record_id": ids, "customer_id": ids, "customer_key": keys})
        lookups = {
            name: pa.Table.from_pylist([{"key": key, **values} for key, values in rows.items()])
            for name, rows in case.lookups.items()
        }
        return Inputs(catalogue, self.lake, self.lake.version, table, 1, lookups)

    def _snapshot(
        self,
        case: Case,
        catalogue: Catalogue,
        inputs: Inputs,
        believed: Mapping[str, Any] | None,
        up_to: int | None = None,
    ) -> Snapshot:
        parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
        log, position = recorded(self.lake, case.as_of, up_to)
        numbers = [said.number for own in case.said.values() for said in own]
        digest, facts = catalogue.definitions.digest, said_of(case)
        return Snapshot(
            case.as_of,
            digest,
            parameters,
            inputs.lake_version,
            1,
            believed,
            log,
            position,
            facts,
            max(numbers, default=0),
        )

    # -- computing --------------------------------------------------------------------------------------------------

    def _opened(self) -> DuckEngine:
        engine = DuckEngine(None, threads=1)
        engine.at_once = self.at_once
        return engine

    def _refreshed(self, state: State, inputs: Inputs, number: int, snapshot: Snapshot) -> Mapping[str, Any]:
        """Do what the verbs of a project do after an import."""
        as_of = state.case.as_of
        common = (self.engine, inputs, number, as_of, _silent, _silent)
        if self.steps and state.how != "run" and not rebuild_because(self.engine, inputs):
            refresh = Refresh(*common, everyone_beyond=_NEVER_EVERYONE)
            return refresh.refresh(snapshot, state.how == "publish")
        return Completion(*common).run(lambda: as_of, lambda _: snapshot)

    def _apart(self, case: Case, inputs: Inputs, snapshot: Snapshot) -> _Answers:
        """Answer in another engine, which records nothing; its tables are built anew where they are of other rows."""
        if self.apart is None:
            self.apart = self._opened()
        completion = Completion(self.apart, inputs, len(self.steps) + 1, case.as_of, _silent, _silent, records=False)
        completion.run(lambda: case.as_of, lambda _: snapshot)
        return _answers(self.apart, case)

    # -- the reference ----------------------------------------------------------------------------------------------

    def _known(self, case: Case) -> list[int]:
        """Return who is known by the case's as_of: by a row, or by a record from when they registered, else its time."""
        registered = [
            (customer, one.values.get("registered_at") or one.time)
            for customer, own in case.records.items()
            for one in own
        ]
        first: dict[int, Any] = {}
        times = [
            (customer, one.time) for rows in case.streams.values() for customer, own in rows.items() for one in own
        ]
        for customer, time in (*registered, *times):
            first[customer] = min(time, first.get(customer, time))
        return sorted(customer for customer, time in first.items() if time <= case.as_of)

    def _world(self, case: Case, catalogue: Catalogue, known: Sequence[int]) -> Any:
        """Return the reference's world; of a customer's records of one time the one that came later is the later."""
        records = {
            customer: [
                replace(
                    one, row_key="{:08d}{:08d}".format(*self._came[CUSTOMERS.name, _key(CUSTOMERS.name, customer, one)])
                )
                for one in own
            ]
            for customer, own in case.records.items()
        }
        changes: dict[int, list[Change]] = {}
        for customer, change in self.log:
            changes.setdefault(customer, []).append(change)
        streams = {name: _with_reference(case, catalogue, name, rows) for name, rows in case.streams.items()}
        of_items = derived(catalogue)
        if of_items is not None:
            streams["orders"] = {c: _orders(own, of_items[0]) for c, own in streams.get("items", {}).items()}
        known_by_now = replace(case, customers=known, records=records, changes=changes, streams=streams)
        return reference_of(known_by_now, catalogue)

    def _reference(
        self, state: State, catalogue: Catalogue, known: Sequence[int]
    ) -> tuple[Evaluation, Mapping[str, Published]]:
        """Return the reference at a state, which compares with what was published before or publishes now."""
        world = self._world(state.case, catalogue, known)
        before = self.steps[-1].published if self.steps and state.how == "refresh" else {}
        nodes = {node: fingerprint(node, catalogue) for node in populations(world)}
        given: dict[Population, Published] = {node: before[id_] for node, id_ in nodes.items() if id_ in before}
        evaluation = Evaluation(world, state.case.as_of, given)
        published = dict(self.steps[-1].published) if self.steps else {}
        for node, id_ in nodes.items():
            made = given.get(node) or evaluation.publish(node)
            if made.groups:  # what nobody is in leaves nothing to compare with later
                published[id_] = made
            else:
                published.pop(id_, None)
        return evaluation, published

    def _log_differs(self, case: Case, catalogue: Catalogue, evaluation: Evaluation, known: Sequence[int]) -> list[str]:
        """Say what the log should hold since the step before and does not, or the other way round; go on from it."""
        expected = list(self._changes(case, catalogue, evaluation, known))
        written: dict[tuple[Any, ...], str] = {}
        paths = self.lake.paths("memberships", since=self.steps[-2].manifest if len(self.steps) > 1 else 0)
        if paths:
            table = self.lake.read("memberships")
            assert table is not None
            run = len(self.steps)
            written = {
                tuple(line[name] for name in ("customer_id", "kind", "name", "was", "is", "at")): line["cause"]
                for line in table.to_pylist()
                if line["run_id"] == run
            }
        of_rows = {c: (cause,) for c, cause in self._rows_changed.items()}
        wanted = {
            (customer, c.kind, c.name, c.was, c.into, c.at): (c.cause,) if c.cause else of_rows.get(customer, _UNASKED)
            for customer, c in expected
        }
        self.log += expected
        found = [f"step {len(self.steps)} did not record {line}" for line in wanted.keys() - written.keys()]
        found += [f"step {len(self.steps)} recorded {line}" for line in written.keys() - wanted.keys()]
        found += [
            f"step {len(self.steps)} recorded {line} because of {written[line]}, not {' or '.join(wanted[line])}"
            for line in wanted.keys() & written.keys()
            if written[line] not in wanted[line]
        ]
        return found

    def _changes(
        self, case: Case, catalogue: Catalogue, evaluation: Evaluation, known: Sequence[int]
    ) -> Iterator[tuple[int, Change]]:
        """Yield who is in another tier or segment than the log says, with the cause where it is none of the rows'."""
        last: dict[tuple[int, str, str], str] = {(c, change.kind, change.name): change.into for c, change in self.log}
        seq = len(self.log)
        before = self.steps[-2] if len(self.steps) > 1 else None
        digests = before.catalogue.digests if before is not None else {}
        for customer in case.customers:
            for name in (*case.tierings, *case.segments):
                kind = "tier" if name in case.tierings else "segment"
                was = last.get((customer, kind, name))
                if customer in known:
                    value = named(evaluation, name, customer)
                    into = str(value) if kind == "tier" else "in" if value is True else "out"
                else:
                    into = was if kind == "tier" and was is not None else "out"
                if into == was or (was is None and into == "out"):
                    continue
                seq += 1
                cause = ""
                if _moved_by_hand(case, before, customer, name):
                    cause = "manual"
                elif digests.get(name) != catalogue.digests[name]:
                    cause = "definition" if name in digests else "first_run"
                yield customer, Change(seq, kind, name, was, into, case.as_of, cause)


def _key(stream: str, customer: int, one: Row) -> str:
    """Return a row's key; that of a record is unique only among those of its customer."""
    return f"{customer}|{one.row_key}" if stream == CUSTOMERS.name else one.row_key


def _with_reference(
    case: Case, catalogue: Catalogue, stream: str, rows: Mapping[int, Sequence[Row]]
) -> Mapping[int, Sequence[Row]]:
    """Give rows the columns of the products and stores that they name."""
    columns = [(column.name, column.origin) for column in catalogue.streams[stream].columns if column.origin]
    if not columns or not case.reference:
        return rows

    def whole(one: Row) -> Row:
        more = {
            name: case.reference.get(origin, {}).get(str(one.values.get(catalogue.reference[origin].key)), {}).get(name)
            for name, origin in columns
        }
        return replace(one, values={**one.values, **more})

    return {customer: [whole(one) for one in own] for customer, own in rows.items()}


def _orders(items: Sequence[Row], by: str) -> list[Row]:
    """Return the orders that items make: known with their last line, worth their sum, with its last known values."""
    lines: dict[str, list[Row]] = {}
    for one in sorted(items, key=lambda one: (one.time, one.row_key)):
        if one.values.get(by) is not None:
            lines.setdefault(str(one.values[by]), []).append(one)
    orders = []
    for order_id, own in lines.items():
        values: dict[str, Any] = {}
        for one in own:
            values |= {name: value for name, value in one.values.items() if value is not None}
        amounts = [one.values["amount"] for one in own if one.values.get("amount") is not None]
        worth = {"order_id": order_id, "amount": sum(amounts) if amounts else None}  # type: ignore[arg-type]
        orders.append(Row(max(one.time for one in own), order_id, {**values, **worth}))
    return orders


def _moved_by_hand(case: Case, before: Step | None, customer: int, name: str) -> bool:
    """Whether something said by hand of a customer and name began or ended since the step before."""
    until, since = case.as_of, before.case.as_of if before is not None else datetime.min
    known = before.facts if before is not None else 0
    for said in case.said.get(customer, ()):
        if said.name != name:
            continue
        began = said.since <= until and (said.since > since or said.number > known)
        ended = said.until is not None and since < said.until <= until
        if began or ended:
            return True
    return False


def _answers(engine: DuckEngine, case: Case) -> _Answers:
    table = exp.select(col("customer_id"), *(col(name) for name in case.names)).from_(RESULTS)
    return {(line["customer_id"], name): line[name] for line in engine.arrow(table).to_pylist() for name in case.names}


def _text(case: Case, name: str) -> Any:
    return case.tags.get(name) or case.segments.get(name) or case.tierings.get(name)


def _differ(
    where: str, case: Case, catalogue: Catalogue, evaluation: Evaluation, known: Sequence[int], answers: _Answers
) -> list[str]:
    """Say where answers are not the reference's, one line each."""
    found = []
    there = {customer for customer, _ in answers}
    if there != set(known) and case.names:
        found.append(f"{where}: {sorted(there)} are there, {sorted(known)} are known")
    for name in case.names:
        kind = named_cell(catalogue, name).kind
        for customer in sorted(there & set(known)):
            value, wanted = answers[customer, name], named(evaluation, name, customer)
            if not same(kind, value, wanted):
                found.append(
                    f"{where}, customer {customer}: {name} ({kind}) engine {value!r} reference {wanted!r}: {_text(case, name)}"
                )
    return found


def _silent(*_: object) -> None:
    """Show no progress."""
