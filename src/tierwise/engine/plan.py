"""The physical plan: stages of passes over streams, each one conditional aggregation per stream and window bucket."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import BOOLEAN, INSTANT
from tierwise.definitions.language.typed import (
    Aggregate,
    AttributeOf,
    BucketOf,
    ColumnOf,
    Expr,
    Followed,
    GroupOf,
    HistoryOf,
    Population,
    RelatedOf,
    SegmentOf,
    TagOf,
    TierOf,
    Value,
    Window,
)
from tierwise.engine.aggregate import INLINE, of_nothing
from tierwise.engine.by_hand import by_rule, overruling
from tierwise.engine.cells import Apart, Cells, Named, customer_reads, row_reads
from tierwise.engine.chance import bucket_of
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.joins import Joins, Source
from tierwise.engine.membership import LogRows, history, membership_log
from tierwise.engine.ranked import counted_beside, own_pass
from tierwise.engine.rows import StreamRows, row_column, window_start
from tierwise.engine.sequences import StepRows, sequence
from tierwise.engine.sql import KEY, all_of, cast, col, equals, filtered, fn, literal, null, text, when

__all__ = ["Compiler"]

#: Windows of at most so many days share a pass; longer ones read all time.
_BUCKETS: Final = (35, 100, 400)
#: A pass over at least this part of the time of a longer one is done with it: reading rows twice would cost more.
_WORTH_APART: Final = 0.3


_Members = list[tuple[Aggregate, str]]


class Compiler:
    """Turns the cells of one evaluation into SELECTs.

    Args:
        cells: what to compute.
        source: where tables are.
        clock: as_of; for moments its `column` is ignored, each SELECT uses its own alias.
        parameters: values of parameters.
        spine_limits: whether the spine is a part of all customers (then passes join it).
    """

    def __init__(
        self, cells: Cells, source: Source, clock: Clock, parameters: Mapping[str, Value], spine_limits: bool
    ) -> None:
        self.cells, self.source, self.clock, self.parameters = cells, source, clock, parameters
        self.spine_limits = spine_limits or clock.fixed is None
        self.by_hand: frozenset[str] = frozenset()

    def emitter(self, alias: str, joins: Joins, stream: str = "", before: str = "", joined: bool = True) -> Emitter:
        """Return an emitter whose customer-level cells are columns of `alias`, whose row is that of `stream`.

        Args:
            alias: the table the cells are columns of.
            joins: collects the joins that turn out to be needed.
            stream: whose rows are read, in a pass.
            before: the table of the stage before, for the rows that are part of a row.
            joined: whether that table is joined.
        """
        clock = (
            self.clock
            if self.clock.fixed is not None
            else Clock(
                self.clock.zone,
                None,
                col("as_of", alias),
                self.clock.earliest,
                None if self.clock.refunds is None else col("refunds_as_of", alias),
            )
        )

        def resolve(expr: Expr) -> exp.Expression:
            if isinstance(expr, ColumnOf):
                return row_column(stream, expr.column, emitter)
            if isinstance(expr, BucketOf):
                return bucket_of(expr, col("customer_id", alias))
            if isinstance(expr, RelatedOf):
                key = col(KEY, "s") if joined else col("customer_id", "r")
                return joins.part(expr, self.parts_of_rows(expr, joined, before), key)
            return col(self.column_of(expr), alias)

        emitter = Emitter(clock, resolve, self.parameters, joins.lookup)
        return emitter

    def parts_of_rows(self, expr: RelatedOf, joined: bool, before: str) -> exp.Select:
        """Return (key, key_space, the column, answer) of an aggregate for each row that its rows are part of."""
        joins = Joins(self.source)
        rows = self.rows(expr.rows.stream, joined, joins, before)
        answer = INLINE[expr.rows.function](expr.rows, rows, all_of(rows.conditions(expr.rows)))
        keys = [rows.key, col("key_space", "r"), col(expr.by, "r")]
        select = self.from_stream(self.source.streams[expr.rows.stream], joined, before)
        select = select.where(exp.LTE(this=rows.time, expression=rows.emitter.clock.as_of), copy=False)
        select = select.select(
            keys[0].as_(KEY, quoted=True, copy=False), *keys[1:], answer.as_("answer", copy=False), copy=False
        )
        return joins.add_to(select).group_by(*(key.copy() for key in keys), copy=False)

    def column_of(self, expr: Expr) -> str:
        """Return the column that holds a customer-level cell."""
        match expr:
            case TagOf(name) | SegmentOf(name) | TierOf(name):
                return name
            case AttributeOf(name):
                return self.cells.attributes[name]
            case Followed() | HistoryOf():
                return self.cells.apart[expr]
            case Aggregate():
                return self.cells.aggregates[expr]
            case GroupOf():
                return self.cells.groups[expr]
            case Population():
                return self.cells.populations[expr]
        raise AssertionError(expr)

    # -- passes -----------------------------------------------------------------------------------------------------

    def passes(self, stage: int, before: str) -> list[tuple[exp.Select, list[str]]]:
        """Return (SELECT key, cells …; the cells) for each pass of a stage; `before` is the table it may join."""
        found: list[tuple[exp.Select, list[str]]] = []
        groups: dict[tuple[str, bool], dict[int | None, _Members]] = {}
        here = {expr: cell for expr, cell in self.cells.aggregates.items() if self.cells.stage_of[cell] == stage}
        beside = counted_beside(here)
        for expr, cell in here.items():
            joined = self.spine_limits or any(True for _ in row_reads(expr))
            if expr in beside:
                continue
            if expr.function in INLINE and expr.latest is None:
                buckets = groups.setdefault((expr.stream, joined), {})
                buckets.setdefault(self.bucket(expr.window), []).append((expr, cell))
            else:
                counts = [here[other] for other, top in beside.items() if top == expr]
                found.append((self.own(expr, cell, before, joined, counts), [cell, *counts]))
        for (stream, joined), buckets in groups.items():
            for bucket, members in self.combined(stream, buckets).items():
                found.append((self.shared(stream, bucket, joined, members, before), [cell for _, cell in members]))
        for aside, cell in self.cells.apart.items():
            if self.cells.stage_of[cell] == stage:
                found.append((self.aside(aside, cell, before), [cell]))
        if stage == 0 and self.cells.attributes:
            found.append((self.attributes(before), list(self.cells.attributes.values())))
        return found

    def bucket(self, window: Window) -> int | None:
        """Return the bucket of a window in days, or None for all time."""
        start = window_start(window, self.clock)
        if start is None or self.clock.fixed is None:
            return None
        days = (self.clock.fixed - start) / timedelta(days=1)
        return next((bucket for bucket in _BUCKETS if days <= bucket), None)

    def combined(self, stream: str, buckets: Mapping[int | None, _Members]) -> dict[int | None, _Members]:
        """Return the buckets of a stream's passes, those that read much of what a longer one reads put into it."""
        oldest, as_of = self.source.oldest.get(stream), self.clock.fixed
        if oldest is None or as_of is None:
            return dict(buckets)
        found: dict[int | None, _Members] = {}
        carried: _Members = []
        lengths = [*sorted(bucket for bucket in buckets if bucket is not None), *([None] if None in buckets else [])]
        for bucket, longer in itertools.zip_longest(lengths, lengths[1:], fillvalue=-1):
            carried = [*carried, *buckets[bucket]]
            if longer == -1 or self.since(carried, oldest) < _WORTH_APART * self.since(buckets[longer], oldest):
                found[bucket], carried = carried, []
        return found

    def since(self, members: _Members, oldest: datetime) -> timedelta:
        """Return how much of the time before as_of a pass reads."""
        assert self.clock.fixed is not None
        starts = [window_start(expr.window, self.clock) or oldest for expr, _ in members]
        return self.clock.fixed - max(oldest, min(starts))

    def rows(self, stream: str, joined: bool, joins: Joins, before: str) -> StreamRows:
        """Return how a pass writes the rows of a stream."""
        key = col(KEY, "s") if joined else col("customer_id", "r")
        return StreamRows(self.cells.catalogue.streams[stream], self.emitter("s", joins, stream, before, joined), key)

    def from_stream(self, table: str, joined: bool, before: str) -> exp.Select:
        """Return ``SELECT FROM stream r [JOIN spine s]``."""
        select = exp.Select().from_(exp.to_table(table).as_("r", copy=False), copy=False)
        if joined:
            select = select.join(
                exp.to_table(before).as_("s", copy=False),
                on=equals(col("customer_id", "s"), col("customer_id", "r")),
                copy=False,
            )
        return select

    def shared(
        self, stream: str, bucket: int | None, joined: bool, members: Sequence[tuple[Aggregate, str]], before: str
    ) -> exp.Select:
        """Return the pass that many aggregates share."""
        joins = Joins(self.source)
        rows = self.rows(stream, joined, joins, before)
        select = self.from_stream(self.source.streams[stream], joined, before)
        select = select.where(exp.LTE(this=rows.time, expression=rows.emitter.clock.as_of), copy=False)
        if bucket is not None and self.clock.fixed is not None:
            lowest = min(low for expr, _ in members if (low := window_start(expr.window, self.clock)) is not None)
            select = select.where(exp.GTE(this=rows.time, expression=literal(lowest, INSTANT)), copy=False)
        select = select.select(rows.key.as_(KEY, quoted=True, copy=False), copy=False)
        for expr, cell in members:
            conditions = rows.conditions(expr)
            condition = all_of(conditions)
            select = select.select(
                INLINE[expr.function](expr, rows, condition).as_(cell, quoted=True, copy=False), copy=False
            )
        return joins.add_to(select).group_by(rows.key, copy=False)

    def own(self, expr: Aggregate, cell: str, before: str, joined: bool, counts: Sequence[str] = ()) -> exp.Select:
        """Return the pass of an aggregate that needs one of its own; `counts`: cells of how many values it has."""
        joins = Joins(self.source)
        rows = self.rows(expr.stream, joined, joins, before)
        base = self.from_stream(self.source.streams[expr.stream], joined, before)
        base = base.where(exp.LTE(this=rows.time, expression=rows.emitter.clock.as_of), copy=False)
        # lookups of the conditions join the inner SELECT: make them known first, on a copy, which is added to
        probe = own_pass(expr, rows, base.copy())
        if joins.needed:
            probe = own_pass(expr, rows, joins.add_to(base))
        if counts:
            probe = probe.select(exp.Count(this=exp.Star()).as_("values", copy=False), copy=False)
        found = [("answer", cell), *(("values", count) for count in counts)]
        answers = [col(column).as_(name, quoted=True, copy=False) for column, name in found]
        return exp.select(col(KEY), *answers, copy=False).from_(probe.subquery("o", copy=False), copy=False)

    def aside(self, expr: Apart, cell: str, before: str) -> exp.Select:
        """Return the pass of what is neither an aggregate of one stream nor a population function."""
        joined = self.spine_limits or any(True for _ in customer_reads(expr))
        if isinstance(expr, HistoryOf):
            return self.history(expr, cell, before)
        needed: dict[str, Joins] = {}

        def read(stream: str) -> StepRows:
            joins = needed.setdefault(stream, Joins(self.source))
            rows = self.rows(stream, joined, joins, before)
            source = self.from_stream(self.source.streams[stream], joined, before)
            source = source.where(exp.LTE(this=rows.time, expression=rows.emitter.clock.as_of), copy=False)
            return StepRows(rows, joins.add_to(source))

        select = sequence(expr, read)
        if any(joins.needed for joins in needed.values()):  # the joins are known only once the conditions are written
            select = sequence(expr, read)
        return exp.select(col(KEY), col("answer").as_(cell, quoted=True, copy=False), copy=False).from_(
            select.subquery("o", copy=False), copy=False
        )

    def history(self, expr: HistoryOf, cell: str, before: str) -> exp.Select:
        """Return the pass over the membership log."""
        log = exp.Select().from_(membership_log(self.source.memberships, self.source.former), copy=False)
        key = col("customer_id", "r")
        if self.spine_limits:
            key = col(KEY, "s")
            on = equals(col("customer_id", "s"), col("customer_id", "r"))
            log = log.join(exp.to_table(before).as_("s", copy=False), on=on, copy=False)
        clock = self.emitter("s", Joins(self.source)).clock
        select = history(expr, LogRows(log, key, clock, bool(self.source.former and self.source.memberships)))
        return exp.select(col(KEY), col("answer").as_(cell, quoted=True, copy=False), copy=False).from_(
            select.subquery("o", copy=False), copy=False
        )

    def attributes(self, before: str) -> exp.Select:
        """Each attribute's newest known value at as_of, or its first known one."""
        joined = self.spine_limits
        select = self.from_stream(self.source.records, joined, before)
        key = col(KEY, "s") if joined else col("customer_id", "r")
        as_of = col("as_of", "s") if self.clock.fixed is None else self.clock.as_of
        select = select.select(key.as_(KEY, quoted=True, copy=False), copy=False)
        for name, cell in self.cells.attributes.items():
            value, pos = col(name, "r"), col("pos", "r")
            known = exp.Not(this=exp.Paren(this=exp.Is(this=value.copy(), expression=null())))
            by_now = exp.And(this=known, expression=exp.LTE(this=col("time", "r"), expression=as_of.copy()))
            newest = filtered(fn("arg_max", value, pos), by_now)
            first = filtered(fn("arg_min", value.copy(), pos.copy()), known.copy())
            select = select.select(
                exp.Coalesce(this=newest, expressions=[first]).as_(cell, quoted=True, copy=False), copy=False
            )
        return select.group_by(key, copy=False)

    # -- the stage's table ------------------------------------------------------------------------------------------

    def kept(self, stage: int, wanted: Sequence[str]) -> list[str]:
        """Return the columns of a stage's table that are read later: by later stages, or as the answer."""
        leaves = [leaf for leaf in self.cells.reads_after(stage) if not isinstance(leaf, BucketOf)]  # of the id alone
        read = [self.column_of(leaf) for leaf in leaves]
        known = self.cells.stage_of | dict.fromkeys(self.cells.attributes.values(), 0)
        overruled = [by_rule(name) for name in sorted(self.by_hand) if known[name] <= stage]
        return overruled + list(dict.fromkeys(name for name in (*wanted, *read) if known.get(name, -1) <= stage))

    def projection(
        self,
        stage: int,
        before: str,
        passes: Sequence[tuple[exp.Select, list[str]]],
        answers: Mapping[str, exp.Expression],
        kept: Sequence[str] | None = None,
    ) -> exp.Select:
        """Return the SELECT of a stage's table: what was there, the passes' cells, population answers, named cells.

        Args:
            stage: which stage.
            before: the table of the stage before (the spine for the first).
            passes: (SELECT, its cells) of each pass.
            answers: by population cell, the SELECT of its answers, or what it is in the columns that are there.
            kept: the columns the table is reduced to; all of them by default.
        """
        of_cell = {cell: expr for expr, cell in self.cells.aggregates.items()}
        aside = {cell for expr, cell in self.cells.apart.items() if expr.kind == BOOLEAN}
        kind_of = {cell: node.kind for node, cell in self.cells.populations.items()}
        select = exp.select("t.*", copy=False).from_(exp.to_table(before).as_("t", copy=False), copy=False)
        for index, (worked_out, cells) in enumerate(passes):
            alias = f"q{index}"
            select = select.join(
                worked_out.subquery(alias, copy=False),
                on=equals(col(KEY, alias), col(KEY, "t")),
                join_type="left",
                copy=False,
            )
            for cell in cells:
                value: exp.Expression = col(cell, alias)
                if cell in of_cell:
                    value = of_nothing(of_cell[cell], value, col(KEY, alias))
                if cell in aside:
                    value = exp.Coalesce(this=value, expressions=[exp.false()])
                select = select.select(value.as_(cell, quoted=True, copy=False), copy=False)
        for index, (cell, answer) in enumerate(answers.items()):
            found = answer
            if isinstance(answer, exp.Select):
                alias = f"d{index}"
                same_key = equals(col(KEY, alias), col(KEY, "t"))
                select = select.join(answer.subquery(alias, copy=False), on=same_key, join_type="left", copy=False)
                found = col("answer", alias)
            if kind_of.get(cell) == BOOLEAN:  # who is compared with nobody is not among the best
                found = exp.Coalesce(this=found, expressions=[exp.false()])
            select = select.select(found.as_(cell, quoted=True, copy=False), copy=False)
        for layer in self.cells.layers(stage):
            select = self.layer(layer, select)
        if kept is None:
            return select
        return exp.select(*(col(name, "t") for name in kept), copy=False).from_(
            select.subquery("t", copy=False), copy=False
        )

    def layer(self, named: Sequence[Named], inner: exp.Select) -> exp.Select:
        """Return the SELECT that adds one layer of named cells."""
        joins = Joins(self.source)
        emitter = self.emitter("t", joins)
        select = exp.select("t.*", copy=False).from_(inner.subquery("t", copy=False), copy=False)
        overruled = [cell for cell in named if cell.name in self.by_hand]
        for cell in named:
            column = by_rule(cell.name) if cell in overruled else cell.name
            select = select.select(self.named(cell, emitter).as_(column, quoted=True, copy=False), copy=False)
        select = joins.add_to(select)
        if not overruled:
            return select
        select = exp.select("t.*", copy=False).from_(select.subquery("t", copy=False), copy=False)
        for cell in overruled:
            select = select.select(overruling(cell).as_(cell.name, quoted=True, copy=False), copy=False)
        return select

    def named(self, cell: Named, emitter: Emitter) -> exp.Expression:
        """Return the value of a tag, segment or tiering."""
        if cell.expr is not None:
            return cast(emitter.certain(cell.expr), "BOOLEAN") if cell.condition else emitter.stored(cell.expr)
        branches = [(emitter.condition(rule), text(tier)) for tier, rule in cell.rules if rule is not None]
        otherwise = next(text(tier) for tier, rule in cell.rules if rule is None)
        return when(branches, otherwise) if branches else otherwise
