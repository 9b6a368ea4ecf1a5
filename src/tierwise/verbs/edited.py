"""What was edited since the newest recorded run: both states of the definitions, and who moves between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.differences import Difference, differences
from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.typed import SegmentOf, TagOf, TierOf, walk_typed
from tierwise.definitions.worth import value_tag
from tierwise.engine.build import RECORDS, source_of, stream_table
from tierwise.engine.cells import Cells, named_cell
from tierwise.engine.cluster import Cluster
from tierwise.engine.evaluate import Backend, Evaluator
from tierwise.engine.moving import Compared, Moves
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.engine.sql import col
from tierwise.engine.standing import RESULTS, Standing
from tierwise.errors import DefinitionsInvalid
from tierwise.verbs.asking import held
from tierwise.verbs.declared import declared_then
from tierwise.verbs.opened import Opened
from tierwise.verbs.received import facts_of
from tierwise.verbs.running import inputs_then

__all__ = ["Edit", "compared_of", "declared_before"]

_BEFORE, _AFTER, _BASE = "before$", "after$", "base$"


def declared_before(opened: Opened) -> Catalogue | None:
    """Return the checked definitions of the newest recorded run; nothing before one, or when they are now refused."""
    found = declared_then(opened.lake, opened.folder)
    try:
        return None if found is None else found.catalogue
    except DefinitionsInvalid:
        return None


def compared_of(found: list[Difference]) -> list[Compared]:
    """Return what is compared: tierings and segments that differ, and tags that were there before and are there now."""
    return [
        Compared(one.name, one.kind, one.change)
        for one in found
        if one.recomputes
        and (one.kind in ("tiering", "segment") or (one.kind == "tag" and one.change in ("changed", "affected")))
    ]


@dataclass
class Edit:
    """The definitions of the newest recorded run beside those of now, on the state that the last run left.

    Args:
        opened: what of the project is open.
        old: what was declared then.
        new: what is declared now.
        standing: which run the results are of.
        snapshot: gives the snapshot of an instant on that state, nothing published for it.
    """

    opened: Opened
    old: Catalogue
    new: Catalogue
    standing: Standing
    snapshot: Callable[[datetime], Snapshot]
    _cluster: Cluster | None = None

    @cached_property
    def differences(self) -> list[Difference]:
        """Return every definition that differs."""
        return differences(self.old, self.new)

    @property
    def value(self) -> str | None:
        """Return the tag that says what a customer is worth."""
        return value_tag(self.new)

    def why_not(self, compared: list[Compared]) -> str:
        """Return why the two cannot be compared on the state that is there; "" when they can."""
        for name in ("timezone", "earliest"):
            if any(one.kind == "setting" and one.name == name for one in self.differences):
                return f"`{name}` has changed, so the next run works out everything again"
        cells = Cells(self.new)
        for one in compared:
            if one.change != "deleted":
                cells.want_name(one.name)
        if self.opened.is_on_cluster:  # what the rows of its state have, no table here says
            read = [one for one in self.differences if one.kind not in ("tag", "tiering", "segment", "parameter")]
            return f"`{read[0].name}` has changed: run first, so that its rows are there" if read else ""
        engine = self.opened.engine
        for stream in sorted({part.stream for part in cells.parts() if hasattr(part, "stream")}):
            there = engine.columns(stream_table(stream))
            missing = [c.name for c in self.new.streams[stream].columns if not c.computed and c.name not in there]
            if missing:
                return f"`{stream}.{missing[0]}` is new: run first, so that its rows are there"
        there = engine.columns(RECORDS)
        for attribute in cells.attributes:
            if attribute not in there:
                return f"`{attribute}` of customers is new: run first, so that its rows are there"
        for name, columns in self.new.lookups.items():
            there = engine.columns(f"lookup_{name}")
            if any(column not in there for column in columns):
                return f"the lookup `{name}` is new or has other columns: run first, so that it is read"
        return ""

    @contextmanager
    def moves(self, compared: list[Compared]) -> Iterator[Moves]:
        """Give who moves, at the instant of the results; only what differs is evaluated."""
        as_of, is_old = self.standing.as_of, self.standing.definitions_hash == self.old.definitions.digest
        with self._rows():
            before = RESULTS if is_old else self.evaluated(self.old, as_of, compared, _BEFORE)
            base = self._base(compared) if is_old and self._cluster is None else None
            after = self.evaluated(self.new, as_of, compared, _AFTER, base)
        found = Moves(self.opened.engine, before, after, compared, self.value)
        yield found
        found.close()

    @contextmanager
    def moves_at(self, compared: Compared, as_of: datetime) -> Iterator[Moves]:
        """Give who is elsewhere at any instant, both states evaluated."""
        with self._rows():
            before = self.evaluated(self.old, as_of, [compared], _BEFORE)
            after = self.evaluated(self.new, as_of, [compared], _AFTER)
        found = Moves(self.opened.engine, before, after, [compared], self.value)
        yield found
        found.close()

    @contextmanager
    def _rows(self) -> Iterator[None]:
        """Have the rows of the last run's state at hand: on the cluster, when they are there."""
        with self.opened.cluster() as self._cluster:
            if self._cluster is not None:
                self._cluster.build(inputs_then(self.opened, self.standing), lambda step, done, total: None)
            yield
        self._cluster = None

    def evaluated(
        self,
        catalogue: Catalogue,
        as_of: datetime,
        compared: list[Compared],
        table: str,
        base: tuple[str, dict[str, Kind]] | None = None,
    ) -> str:
        """Evaluate what a state has of the compared names, and what a customer is worth by it, into a table."""
        engine, missing = self.opened.engine, "deleted" if catalogue is self.new else "new"
        names = [one.name for one in compared if one.change != missing]
        if catalogue is self.new and self.value is not None:
            names.append(self.value)
        cells = [named_cell(catalogue, name) for name in dict.fromkeys(names)]
        parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
        snapshot = replace(
            self.snapshot(as_of),
            definitions_hash=catalogue.definitions.digest,
            parameters=parameters,
            facts=facts_of(self.opened, catalogue=catalogue)[0],
        )
        cluster = self._cluster
        where: Backend = engine if cluster is None else cluster.engine
        evaluator = Evaluator(where, catalogue, source_of(catalogue), snapshot)
        try:
            found = evaluator.table(everyone(as_of), cells, base=base)
            columns = [col("customer_id"), *(col(cell.name) for cell in cells)]
            select = exp.select(*columns).from_(exp.to_table(found, quoted=True))
            if cluster is None:
                engine.create(table, select, temporary=True)
            else:
                with cluster.brought(select, "moves") as rows:
                    engine.create(table, exp.select("*").from_(rows), temporary=True)
        finally:
            evaluator.close()
        return table

    def _base(self, compared: list[Compared]) -> tuple[str, dict[str, Kind]]:
        """Return a table of the results that still hold and are read, with their kinds."""
        differing = {one.name for one in self.differences if one.recomputes}
        there = self.opened.engine.columns(RESULTS)
        kept = {name: kind for name, kind in held(self.new).items() if name not in differing and name in there}
        read = {self.value} if self.value is not None else set()
        for name in differing & {*self.new.order}:
            for expr in named_cell(self.new, name).expressions():
                for part in walk_typed(expr):
                    if isinstance(part, TagOf | SegmentOf):
                        read.add(part.name)
                    elif isinstance(part, TierOf):
                        read.add(part.tiering)
        known = {name: kind for name, kind in kept.items() if name in read}
        select = exp.select(col("customer_id"), *(col(name) for name in known))
        self.opened.engine.create(_BASE, select.from_(RESULTS), temporary=True)
        return _BASE, known
