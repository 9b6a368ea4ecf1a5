"""Evaluation: runs the compiled stages for a spine and a snapshot, publishing distributions where asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import FLOAT, INSTANT
from tierwise.definitions.language.typed import Apply, GroupOf, Population
from tierwise.engine.by_hand import by_hand, with_by_hand
from tierwise.engine.cells import Cells, Named, named_cell
from tierwise.engine.clock import Clock
from tierwise.engine.compared import Compared, answer, answered_in_place, group_rows, grouped, published, step_rows
from tierwise.engine.distributions import SCALE, Distribution, Group, fingerprint, measure
from tierwise.engine.groups import group_answer
from tierwise.engine.joins import Source
from tierwise.engine.lunar import lunar_tables
from tierwise.engine.plan import Compiler
from tierwise.engine.portions import Portions, ranges_of
from tierwise.engine.remembering import STATE_COLUMNS, remember
from tierwise.engine.snapshot import Snapshot, Spine, everyone, moments
from tierwise.engine.sql import KEY, col, literal, null

__all__ = ["KNOWN_CUSTOMERS", "Backend", "Evaluator"]

#: The engine's table of customers: customer_id, customer_key, known_since.
KNOWN_CUSTOMERS: Final = "known_customers"


class Backend(Protocol):
    """What an engine's tables are worked with.

    `at_once` is of how many customers everything is worked out at once, None of any number.
    """

    at_once: int | None

    def create(self, name: str, select: exp.Expression, *, temporary: bool = False) -> int:
        """Make (or remake) a table of a SELECT; return how many rows it has."""
        ...

    def view(self, name: str, select: exp.Expression) -> None:
        """Make a temporary view of a SELECT: nothing is copied."""
        ...

    def insert(self, name: str, select: exp.Expression) -> int:
        """Add the rows of a SELECT to a table; return how many there were."""
        ...

    def register(self, name: str, table: pa.Table) -> None:
        """Make a temporary table of Arrow rows."""
        ...

    def define(self, name: str, body: exp.Expression) -> None:
        """Define a function of one argument ``w``."""
        ...

    def drop(self, name: str) -> None:
        """Drop a table or a temporary view, if it is there."""
        ...

    def arrow(self, select: exp.Expression) -> pa.Table:
        """Return the rows of a SELECT."""
        ...


class Evaluator:
    """Evaluates names for spines over one state of the engine's tables.

    Args:
        backend: where tables are and SELECTs run.
        catalogue: the checked definitions.
        source: names of the tables.
        snapshot: what is frozen.
        progress: called with (step, steps done, steps in all).
        groups_of_now: whether moments are compared with their groups as of the snapshot, not of each moment.
    """

    def __init__(
        self,
        backend: Backend,
        catalogue: Catalogue,
        source: Source,
        snapshot: Snapshot,
        progress: Callable[[str, int, int], None] = lambda step, done, total: None,
        groups_of_now: bool = False,
    ) -> None:
        self.groups_of_now = groups_of_now
        self.backend, self.catalogue, self.source, self.snapshot, self.progress = (
            backend,
            catalogue,
            replace(source, memberships=snapshot.memberships, former=snapshot.former),
            snapshot,
            progress,
        )
        self.published: dict[str, list[Distribution]] = {k: list(v) for k, v in (snapshot.distributions or {}).items()}
        self._of_everyone: set[str] = set()
        self._count = 0
        self._temporary: list[str] = []
        earliest = datetime.fromisoformat(catalogue.definitions.settings.earliest)
        self._earliest = catalogue.zone.midnight(earliest.date())
        for name, body in Clock(catalogue.zone, snapshot.as_of).macros().items():
            backend.define(name, body)

    def table(
        self, spine: Spine, wanted: Sequence[Named], *, base: tuple[str, Mapping[str, object]] | None = None
    ) -> str:
        """Compute the wanted cells; return the name of a temporary table (key, customer_id, …, names).

        Args:
            spine: who and when.
            wanted: the cells.
            base: (a table with customer_id, the names it already holds): those are not computed again.
        """
        return self.temporary("stage", self.relation(spine, wanted, base=base))

    def relation(
        self,
        spine: Spine,
        wanted: Sequence[Named],
        *,
        base: tuple[str, Mapping[str, object]] | None = None,
        whole: bool = False,
    ) -> exp.Select:
        """Do what the wanted cells need; return the SELECT that gives them, which holds until `close`.

        Args:
            spine: who and when.
            wanted: the cells.
            base: (a table with customer_id, the names it already holds): those are not computed again.
            whole: whether the SELECT also gives every cell that was computed on the way.
        """
        known = dict(base[1]) if base else {}
        cells = Cells(self.catalogue, available=known)  # type: ignore[arg-type]
        for named in wanted:
            if named.name not in known:
                cells.want(named)
        if any(isinstance(part, Apply) and part.function == "lunar_anniversary" for part in cells.parts()):
            for name, calendar in lunar_tables().items():
                self.backend.register(name, calendar)
        apart = spine.table is not None and "refunds_as_of" in spine.table.column_names
        known_refunds = col("refunds_as_of", "t") if apart else None
        clock = Clock(self.catalogue.zone, spine.as_of, col("as_of", "t"), self._earliest, known_refunds)
        limited = spine.kind != "everyone"
        compiler = Compiler(cells, self.source, clock, self.snapshot.parameters, limited)
        names = [named.name for named in wanted]
        before, about = self.spine_table(spine, (base[0], compiler.kept(-1, names)) if base else None)
        about = [*about, *(["refunds_as_of"] if apart else [])]
        for name in cells.remembered:
            before, state = self.with_remembered(name, spine, before)
            about += state
        compiler.by_hand = self.said_by_hand(cells)
        if compiler.by_hand:
            before = with_by_hand(self, cells, compiler.by_hand, spine, before)
            about += [by_hand(name) for name in sorted(compiler.by_hand)]
        portions = self.portions(before) if spine.kind == "everyone" else None
        if portions is not None:
            compiler.source = portions.source
        shown, last = portions.before if portions else "", cells.last_stage
        for stage in range(last + 1):
            self.progress(f"stage {stage + 1}", stage, last + 1)
            kept = None if whole else list(dict.fromkeys([*about, *compiler.kept(stage, names)]))
            answers = self.answers(cells, compiler, spine, stage, before, shown or before)
            passes = compiler.passes(stage, shown or before)
            select = compiler.projection(stage, shown or before, passes, answers, kept)
            if portions is not None:
                made = self.filled(portions, before, select)
            elif stage < last:
                made = self.temporary("stage", select)
            else:
                return select
            self.backend.drop(before)
            before = made
        return exp.select("*", copy=False).from_(_t(before), copy=False)

    def evaluate(self, spine: Spine, names: Sequence[str]) -> pa.Table:
        """Return customer_id, as_of and the names, one row a customer (or moment, in their order)."""
        relation = self.relation(spine, [named_cell(self.catalogue, name) for name in names])
        as_of = col("as_of") if spine.kind == "moments" else self.fixed_as_of(spine).as_("as_of", copy=False)
        select = (
            exp.select(col("customer_id"), as_of, *(col(name) for name in names), copy=False)
            .from_(relation.subquery("t", copy=False), copy=False)
            .order_by(col(KEY), copy=False)
        )
        found = self.backend.arrow(select)
        self.close()
        return found

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Drop at the end what was made since."""
        before = len(self._temporary)
        yield
        for name in self._temporary[before:]:
            self.backend.drop(name)
        del self._temporary[before:]

    def close(self) -> None:
        """Drop what was only needed on the way."""
        for name in self._temporary:
            self.backend.drop(name)
        self._temporary.clear()

    def fixed_as_of(self, spine: Spine) -> exp.Expression:
        """Return a spine's as_of."""
        assert spine.as_of is not None
        return literal(spine.as_of, INSTANT)

    def temporary(self, prefix: str, select: exp.Expression) -> str:
        """Make a table that lives until `close`."""
        self._count += 1
        name = f"{prefix}{self._count}$"
        self.backend.create(name, select, temporary=True)
        self._temporary.append(name)
        return name

    def viewed(self, prefix: str, select: exp.Expression) -> str:
        """Make a view that lives until `close`."""
        self._count += 1
        name = f"{prefix}{self._count}$"
        self.backend.view(name, select)
        self._temporary.append(name)
        return name

    def registered(self, prefix: str, table: pa.Table) -> str:
        """Make a table of Arrow rows that lives until `close`."""
        self._count += 1
        name = f"{prefix}{self._count}$"
        self.backend.register(name, table)
        self._temporary.append(name)
        return name

    # -- spines -----------------------------------------------------------------------------------------------------

    def spine_table(self, spine: Spine, base: tuple[str, Sequence[str]] | None) -> tuple[str, Sequence[str]]:
        """Return the table an evaluation starts from, and its columns that say who and when (the key first).

        Args:
            spine: who and when.
            base: (a table of results, its columns that are needed), instead of the spine's own.
        """
        if base is not None:
            name, columns = base
            who = [col("customer_id").as_(KEY, quoted=True, copy=False), col("customer_id")]
            select = exp.select(*who, *(col(column) for column in columns), copy=False).from_(_t(name), copy=False)
            return self.viewed("spine", select), (KEY, "customer_id")
        if spine.kind == "moments":
            return self.spine_rows(spine), (KEY, "customer_id", "as_of")
        return self.spine_rows(spine), (KEY, "customer_id", "customer_key")

    def spine_rows(self, spine: Spine) -> str:
        """Return the table (key, customer_id, …) of who is asked about."""
        if spine.kind == "moments":
            assert spine.table is not None
            keyed = spine.table.append_column(KEY, pa.array(np.arange(spine.table.num_rows, dtype=np.int64)))
            return self.registered("spine", keyed)
        known = exp.select(
            col("customer_id").as_(KEY, quoted=True, copy=False), col("customer_id"), col("customer_key"), copy=False
        ).from_(_t(KNOWN_CUSTOMERS), copy=False)
        if spine.kind == "everyone":
            never = exp.Is(this=col("known_since"), expression=null())
            return self.temporary(
                "spine",
                known.where(
                    exp.Or(this=never, expression=exp.LTE(this=col("known_since"), expression=self.fixed_as_of(spine))),
                    copy=False,
                ),
            )
        assert spine.table is not None
        asked = self.registered("asked", spine.table)
        return self.temporary(
            "spine",
            known.where(
                exp.In(
                    this=col("customer_id"),
                    query=exp.select(col("customer_id"), copy=False).from_(_t(asked), copy=False).subquery(),
                ),
                copy=False,
            ),
        )

    def said_by_hand(self, cells: Cells) -> frozenset[str]:
        """Return which of the names to compute somebody has said something of by hand."""
        facts = self.snapshot.facts
        if facts is None or not facts.num_rows:
            return frozenset()
        return frozenset(facts["name"].unique().to_pylist()) & {*cells.named, *cells.remembered}

    def with_remembered(self, name: str, spine: Spine, before: str) -> tuple[str, list[str]]:
        """Return a spine's table with the column of a tiering that remembers, and the columns of its state."""
        found = remember(self, name, spine, before)
        form = self.catalogue.definitions.tierings[name]
        state = [f"{name}.{suffix}" for suffix in STATE_COLUMNS] if form.keep is not None else []
        select = exp.select("t.*", *(col(column, "m") for column in (name, *state)), copy=False)
        select = select.from_(exp.to_table(before).as_("t", copy=False), copy=False)
        on = exp.EQ(this=col(KEY, "m"), expression=col(KEY, "t"))
        select = select.join(exp.to_table(found).as_("m", copy=False), on=on, copy=False)
        return self.temporary("spine", select), state

    # -- stages -----------------------------------------------------------------------------------------------------

    def portions(self, before: str) -> Portions | None:
        """Return the portions everyone of a table is evaluated in, None when they are evaluated at once."""
        ranges = ranges_of(self.backend, before)
        if not ranges:
            return None
        found = Portions(self.backend, self.source, ranges, lambda done, total: self.progress("customers", done, total))
        self._temporary += found.views
        return found

    def filled(self, portions: Portions, before: str, select: exp.Select) -> str:
        """Return the table of a stage that is made portion by portion."""
        self._count += 1
        name = f"stage{self._count}$"
        self._temporary.append(name)
        portions.fill(name, before, select)
        return name

    def answers(
        self, cells: Cells, compiler: Compiler, spine: Spine, stage: int, before: str, shown: str
    ) -> dict[str, exp.Expression]:
        """Publish what a stage compares with; return what answers each of its population cells.

        Args:
            cells: what is computed.
            compiler: writes the SELECTs.
            spine: who and when.
            stage: which stage.
            before: the table of the stage before.
            shown: the same, or the view of a portion of it, for whose rows the answers are.
        """
        found: dict[str, exp.Expression] = {}
        for node, cell in cells.populations.items():
            if cells.stage_of[cell] == stage:
                versions = self.versions(node, spine, compiler, before)
                in_place = answered_in_place(compiler, node, versions)
                if in_place is None:
                    in_place = answer(compiler, node, shown, self.compared(node, versions, spine))
                found[cell] = in_place
        for cell, table in self.group_answers(cells, compiler, spine, stage, before).items():
            found[cell] = exp.select("*", copy=False).from_(_t(table), copy=False)
        return found

    # -- groups -----------------------------------------------------------------------------------------------------

    def group_answers(
        self, cells: Cells, compiler: Compiler, spine: Spine, stage: int, before: str
    ) -> Mapping[str, str]:
        """Return the table of each group function's answers, by cell."""
        nodes = [node for node, cell in cells.groups.items() if cells.stage_of[cell] == stage]
        if not nodes:
            return {}
        by_moment = spine.kind == "moments" and not self.groups_of_now
        is_whole = spine.kind == "everyone" or spine.is_whole
        whole = before if is_whole else self.everyone_grouped(nodes, spine, by_moment)
        found = {}
        for index, node in enumerate(nodes):
            own = grouped(compiler, node, before)
            if is_whole:
                everyone_ = own.copy()
            else:
                as_of = [col("as_of")] if by_moment else []
                x = null() if node.x is None else col(f"x{index}$")
                everyone_ = exp.select(
                    x.as_("x", copy=False), col(f"b{index}$").as_("by_value", copy=False), *as_of, copy=False
                ).from_(_t(whole), copy=False)
            found[cells.groups[node]] = self.temporary("group", group_answer(node, own, everyone_, by_moment))
        return found

    def everyone_grouped(self, nodes: Sequence[GroupOf], spine: Spine, by_moment: bool) -> str:
        """Return a table of everyone's values and groups, at the one as_of or at each moment of the spine."""
        wanted = []
        for index, node in enumerate(nodes):
            wanted.append(Named(f"b{index}$", node.by.kind, node.by))
            if node.x is not None:
                wanted.append(Named(f"x{index}$", node.x.kind, node.x))
        if not by_moment:
            return self.table(everyone(spine.as_of or self.snapshot.as_of), wanted)
        assert spine.table is not None
        instants = self.registered("instants", spine.table.select(["as_of"]).group_by("as_of").aggregate([]))
        never = exp.Is(this=col("known_since", "k"), expression=null())
        by_then = exp.LTE(this=col("known_since", "k"), expression=col("as_of", "i"))
        all_moments = (
            exp.select(col("customer_id", "k"), col("as_of", "i"), copy=False)
            .from_(_t(KNOWN_CUSTOMERS).as_("k", copy=False), copy=False)
            .join(_t(instants).as_("i", copy=False), on=exp.Or(this=never, expression=by_then), copy=False)
        )
        return self.table(replace(moments(self.backend.arrow(all_moments)), is_whole=True), wanted)

    # -- population -------------------------------------------------------------------------------------------------

    def versions(self, node: Population, spine: Spine, compiler: Compiler, before: str) -> list[Distribution]:
        """Return the published versions of a node's distribution, publishing for this as_of where none is frozen."""
        known = fingerprint(node, self.catalogue)
        if known in self.published:
            return self.published[known]
        if self.snapshot.distributions is not None and spine.kind == "moments":
            return []
        if spine.kind == "everyone":
            found = self.publish(node, known, self.backend.arrow(published(compiler, node, before)), spine.as_of)
            self._of_everyone.add(known)
        else:
            found = self.publish_apart(node, known)
        self.published[known] = [found]
        return [found]

    def compared(self, node: Population, versions: Sequence[Distribution], spine: Spine) -> Compared:
        """Register what an answer joins.

        Where everybody was just published for the same instant, each value finds its own; floats, of which two of the
        same value could be written otherwise, are placed between steps like the values of those who came later.
        """
        here = spine.kind == "everyone" and all(version.as_of == spine.as_of for version in versions)
        of_each = here and node.x.kind != FLOAT and fingerprint(node, self.catalogue) in self._of_everyone
        steps = self.registered("steps", step_rows(node, versions, of_each))
        return Compared(steps, self.registered("groups", group_rows(versions)), of_each)

    def publish(self, node: Population, known: str, counted: pa.Table, as_of: datetime | None) -> Distribution:
        """Return the distribution of counted values."""
        groups: dict[str | None, Group] = {}
        by = counted.column("by_value").combine_chunks()
        x = counted.column("x").to_numpy(zero_copy_only=False).astype(_number_type(node))
        n = counted.column("n").to_numpy(zero_copy_only=False).astype(np.int64)
        codes = pc.fill_null(by.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
        edges = np.flatnonzero(np.diff(codes, prepend=-2, append=-2)) if len(codes) else np.array([], np.int64)
        scale = SCALE[node.x.kind.name]
        for start, end in itertools.pairwise(edges.tolist()):
            groups[by[start].as_py()] = measure(x[start:end], n[start:end], scale)
        return Distribution(known, _describe(node), node.function, as_of or self.snapshot.as_of, groups)

    def publish_apart(self, node: Population, known: str) -> Distribution:
        """Publish from everyone at the snapshot's as_of, when the spine is only a part."""
        whole = everyone(self.snapshot.as_of)
        cells = Cells(self.catalogue)
        wanted = [
            Named(f"x{i}$", part.kind, part) for i, part in enumerate((node.x, node.by, node.among)) if part is not None
        ]
        table = self.temporary("stage", self.relation(whole, wanted, whole=True))
        for named in wanted:
            cells.want(named)
        clock = Clock(self.catalogue.zone, self.snapshot.as_of, None, self._earliest)
        compiler = Compiler(cells, self.source, clock, self.snapshot.parameters, False)
        return self.publish(node, known, self.backend.arrow(published(compiler, node, table)), self.snapshot.as_of)


def _number_type(node: Population) -> type[np.generic]:
    """What the values a population is placed by are held in."""
    return np.float64 if node.x.kind == FLOAT else np.int64


def _describe(node: Population) -> str:
    """Return a short text of what a distribution is of, for people who look into the lake."""
    shown = repr(node.x)
    return f"{node.function} of {shown[:200]}" if len(shown) <= 200 else f"{node.function} of {shown[:200]}…"


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
