"""The physical plan: stages of passes over streams, each one conditional aggregation per stream and window bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import BOOLEAN, INSTANT, Kind
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
from tierwise.engine.membership import LogRows, history, membership_log
from tierwise.engine.placing import place, plain, scaled, spread
from tierwise.engine.ranked import own_pass
from tierwise.engine.rows import StreamRows, row_column, window_start
from tierwise.engine.sequences import StepRows, sequence
from tierwise.engine.sql import KEY, all_of, cast, col, equals, filtered, fn, literal, null, text, when

__all__ = ["Compiler", "Joins", "Source"]

#: Windows of at most so many days share a pass; longer ones read all time.
_BUCKETS: Final = (35, 100, 400)


@dataclass(frozen=True)
class Source:
    """Where the compiler finds tables: names of the streams', the records', the lookups'; the files of the log.

    `former` is the table that says which customers of the log are now part of others, "" where none are.
    """

    streams: Mapping[str, str]
    records: str
    lookups: Mapping[str, str]
    memberships: tuple[str, ...] = ()
    former: str = ""


@dataclass
class Joins:
    """The joins that the expressions of one SELECT turned out to need: lookups, and rows that are part of a row."""

    source: Source
    found: list[tuple[str, exp.Expression, str]] = field(default_factory=list)
    parts: dict[str, tuple[RelatedOf, exp.Select, exp.Expression]] = field(default_factory=dict)

    def lookup(self, table: str, key: exp.Expression, column: str, kind: Kind) -> exp.Expression:
        """Return a column of a lookup's row with this key."""
        for name, known, alias in self.found:
            if name == table and known == key:
                return col(column, alias)
        alias = f"l{len(self.found)}"
        self.found.append((table, key, alias))
        return col(column, alias)

    def part(self, expr: RelatedOf, rows: exp.Select, key: exp.Expression) -> exp.Expression:
        """Return the column that holds what an aggregate says of the rows that are part of a row."""
        alias = next((known for known, (other, _, _) in self.parts.items() if other == expr), f"w{len(self.parts)}")
        same = [equals(col(KEY, alias), key)]
        same += [equals(col(name, alias), col(name, "r")) for name in ("key_space", expr.by)]
        on = all_of(same)
        assert on is not None
        self.parts.setdefault(alias, (expr, rows, on))
        return of_nothing(expr.rows, col("answer", alias), col(KEY, alias))

    @property
    def needed(self) -> bool:
        """Whether there is something to join."""
        return bool(self.found or self.parts)

    def add_to(self, select: exp.Select) -> exp.Select:
        """Join what was found to a SELECT."""
        for alias, (_, rows, on) in self.parts.items():
            select = select.join(rows.copy().subquery(alias, copy=False), on=on.copy(), join_type="left", copy=False)
        for name, key, alias in self.found:
            table = _table(self.source.lookups.get(name, name)).as_(alias, copy=False)
            select = select.join(table, on=equals(col("key", alias), key), join_type="left", copy=False)
        return select


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))


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
        groups: dict[tuple[str, int | None, bool], list[tuple[Aggregate, str]]] = {}
        for expr, cell in self.cells.aggregates.items():
            if self.cells.stage_of[cell] != stage:
                continue
            joined = self.spine_limits or any(True for _ in row_reads(expr))
            if expr.function in INLINE and expr.latest is None:
                groups.setdefault((expr.stream, self.bucket(expr.window), joined), []).append((expr, cell))
            else:
                found.append((self.own(expr, cell, before, joined), [cell]))
        for (stream, bucket, joined), members in groups.items():
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

    def own(self, expr: Aggregate, cell: str, before: str, joined: bool) -> exp.Select:
        """Return the pass of an aggregate that needs one of its own."""
        joins = Joins(self.source)
        rows = self.rows(expr.stream, joined, joins, before)
        base = self.from_stream(self.source.streams[expr.stream], joined, before)
        base = base.where(exp.LTE(this=rows.time, expression=rows.emitter.clock.as_of), copy=False)
        # lookups of the conditions join the inner SELECT: make them known first
        probe = own_pass(expr, rows, base)
        if joins.needed:
            probe = own_pass(expr, rows, joins.add_to(base))
        return exp.select(col(KEY), col("answer").as_(cell, quoted=True, copy=False), copy=False).from_(
            probe.subquery("o", copy=False), copy=False
        )

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
        answers: Mapping[str, exp.Select],
        kept: Sequence[str] | None = None,
    ) -> exp.Select:
        """Return the SELECT of a stage's table: what was there, the passes' cells, population answers, named cells.

        Args:
            stage: which stage.
            before: the table of the stage before (the spine for the first).
            passes: (SELECT, its cells) of each pass.
            answers: the SELECT of each population cell's answers, by cell.
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
            alias = f"d{index}"
            select = select.join(
                answer.subquery(alias, copy=False),
                on=equals(col(KEY, alias), col(KEY, "t")),
                join_type="left",
                copy=False,
            )
            found: exp.Expression = col("answer", alias)
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

    # -- groups and population functions ------------------------------------------------------------------------------

    def grouped(self, node: GroupOf, table: str) -> exp.Select:
        """Return ``SELECT key, x, by_value`` of a function over groups, over a stage's table."""
        joins = Joins(self.source)
        emitter = self.emitter("t", joins)
        x = null() if node.x is None else emitter.stored(node.x)
        select = exp.select(
            col(KEY, "t").as_(KEY, quoted=True, copy=False),
            x.as_("x", copy=False),
            emitter.stored(node.by).as_("by_value", copy=False),
            copy=False,
        ).from_(exp.to_table(table).as_("t", copy=False), copy=False)
        if self.clock.fixed is None:
            select = select.select(col("as_of", "t").as_("as_of", copy=False), copy=False)
        return joins.add_to(select)

    def measured(self, node: Population, table: str) -> exp.Select:
        """Return ``SELECT key, x, plain, by_value, inside`` of a population function over a stage's table."""
        joins = Joins(self.source)
        emitter = self.emitter("t", joins)
        x = emitter.value(node.x)
        inside = emitter.certain(node.among) if node.among is not None else exp.true()
        by = cast(emitter.value(node.by), "VARCHAR") if node.by is not None else cast(null(), "VARCHAR")
        select = exp.select(
            col(KEY, "t").as_(KEY, quoted=True, copy=False),
            scaled(x, node.x.kind).as_("x", copy=False),
            plain(x.copy(), node.x.kind).as_("plain", copy=False),
            by.as_("by_value", copy=False),
            inside.as_("inside", copy=False),
            copy=False,
        ).from_(exp.to_table(table).as_("t", copy=False), copy=False)
        if self.clock.fixed is None:
            select = select.select(col("as_of", "t").as_("as_of", copy=False), copy=False)
        return joins.add_to(select)

    def published(self, node: Population, table: str) -> exp.Select:
        """Return ``SELECT by_value, x, n`` : the distinct values of the population and how often each occurs."""
        known = [exp.column("inside"), exp.Not(this=exp.Paren(this=exp.Is(this=col("x"), expression=null())))]
        if node.by is not None:
            known.append(exp.Not(this=exp.Paren(this=exp.Is(this=col("by_value"), expression=null()))))
        return (
            exp.select(col("by_value"), col("x"), exp.Count(this=exp.Star()).as_("n", copy=False), copy=False)
            .from_(self.measured(node, table).subquery("m", copy=False), copy=False)
            .where(exp.and_(*known, copy=False), copy=False)
            .group_by(col("by_value"), col("x"), copy=False)
            .order_by(col("by_value"), col("x"), copy=False)
        )

    def answer(self, node: Population, table: str, steps: str, groups: str) -> exp.Select:
        """Return ``SELECT key, answer``: each customer's x placed among the published steps.

        Args:
            node: the population function.
            table: the stage's table.
            steps: table (version, by_value, value, position), see `Distribution`.
            groups: table (version, by_value, size, mean, deviation, lowest).
        """
        moments = self.clock.fixed is None
        inner = exp.select(
            "m.*", *(col(c, "g").as_(c, copy=False) for c in ("version", "size", "mean", "deviation")), copy=False
        )
        inner = inner.from_(self.measured(node, table).subquery("m", copy=False), copy=False)
        same_group: exp.Expression = fn("coalesce", col("by_value", "m"), text(""))
        same_group = equals(same_group, col("by_value", "g"))
        if moments:
            version = exp.GTE(this=col("as_of", "m"), expression=col("version", "g"))
            inner = inner.join(
                exp.to_table(groups).as_("g", copy=False),
                on=exp.And(this=same_group, expression=version),
                join_type="asof left",
                copy=False,
            )
        else:
            inner = inner.join(exp.to_table(groups).as_("g", copy=False), on=same_group, join_type="left", copy=False)
        needs_step = node.function in ("ntile", "percent_rank", "rank", "in_top")
        outer = exp.select(col(KEY, "m").as_(KEY, quoted=True, copy=False), copy=False)
        value = place(node) if needs_step else spread(node)
        met = [
            col("inside", "m"),
            exp.Not(this=exp.Paren(this=exp.Is(this=col("x", "m"), expression=null()))),
            exp.Not(this=exp.Paren(this=exp.Is(this=col("size", "m"), expression=null()))),
            *(
                [exp.Not(this=exp.Paren(this=exp.Is(this=col("by_value", "m"), expression=null())))]
                if node.by is not None
                else []
            ),
        ]
        usable = all_of(met)
        assert usable is not None
        outer = outer.select(when([(usable, value)]).as_("answer", copy=False), copy=False).from_(
            inner.subquery("m", copy=False), copy=False
        )
        if needs_step:
            ranked = node.function in ("rank", "in_top")
            at_or_below = ranked if node.best == "high" else node.function == "percent_rank"
            compare = exp.GTE if at_or_below else exp.GT
            on = exp.and_(
                equals(fn("coalesce", col("by_value", "m"), text("")), col("by_value", "p")),
                equals(col("version", "m"), col("version", "p")),
                compare(this=col("x", "m"), expression=col("value", "p")),
                copy=False,
            )
            outer = outer.join(exp.to_table(steps).as_("p", copy=False), on=on, join_type="asof left", copy=False)
        return outer
