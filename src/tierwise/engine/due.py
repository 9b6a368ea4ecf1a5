"""Whose answers time alone may change: the customers due between two instants, nobody of them left out.

A customer is due when one of their rows crosses an edge of a window, when something they did becomes visible, when the
calendar moves a period on, or when an expression over their unchanged values gives another answer at the later instant:
that one is worked out at both. Who is not due has every answer unchanged, as long as no row, definition or distribution
has changed; a customer too many does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.functions import FUNCTIONS
from tierwise.definitions.language.times import Duration, calendar_days
from tierwise.definitions.language.typed import (
    Aggregate,
    Apply,
    AsOf,
    AttributeOf,
    BucketOf,
    ColumnOf,
    Expr,
    Followed,
    GroupOf,
    HistoryOf,
    Population,
    RelatedOf,
    StepOf,
    parts,
)
from tierwise.definitions.remembering import Reads, read_by
from tierwise.engine.cells import CUSTOMER_LEVEL, Cells, Named
from tierwise.engine.chance import bucket_of
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.evaluate import KNOWN_CUSTOMERS, Evaluator
from tierwise.engine.joins import Joins
from tierwise.engine.lunar import lunar_tables
from tierwise.engine.membership import membership_log
from tierwise.engine.snapshot import everyone
from tierwise.engine.sql import col, null, text, timestamp, when

__all__ = ["WHY", "changes_between"]

#: Why a customer can be due.
WHY: Final = ("new", "visible", "window", "expression", "attribute", "history", "group", "memory", "manual")
_MICRO: Final = timedelta(microseconds=1)
#: Columns that exist only at an as_of, by stream: from the list of refunds, from the time of leaving.
_COMPUTED: Final = {"orders": ("kept", "kept_amount"), "visits": ("dwell_minutes",)}


@dataclass
class _Rows:
    """Which rows of one stream make their customer due: (after, until] intervals of their time; `all_` of them."""

    edges: set[tuple[datetime, datetime]] = field(default_factory=set)
    all_: bool = False


def changes_between(
    evaluator: Evaluator,
    names: Sequence[str],
    until: datetime,
    *,
    base: tuple[str, Mapping[str, object]] | None = None,
    programmes: str = "",
    by_time: Mapping[str, str] | None = None,
) -> str:
    """Return a temporary table (customer_id, why, stream) of everyone whose answers may differ between two instants.

    It lives until the evaluator is closed. A customer stands in it once for each reason; `stream` is the one whose rows
    cross an edge or become visible, and empty where the reason is another.

    Args:
        evaluator: over the tables, at the earlier instant.
        names: the tags, segments and tierings that are asked for.
        until: the later instant, naive UTC.
        base: (a table of the answers at the earlier instant, the names it holds): those are not worked out again.
        programmes: the table of where the programmes had everyone at the earlier instant.
        by_time: for large streams a table (time, customer_id) of all their rows, sorted by time.
    """
    return evaluator.temporary("due", _Sweep(evaluator, names, until, base, programmes, by_time or {}).select())


class _Sweep:
    def __init__(
        self,
        evaluator: Evaluator,
        names: Sequence[str],
        until: datetime,
        base: tuple[str, Mapping[str, object]] | None,
        programmes: str,
        by_time: Mapping[str, str],
    ) -> None:
        self.evaluator, self.base, self.programmes, self.by_time = evaluator, base, programmes, by_time
        self.after, self.until = evaluator.snapshot.as_of, until
        self.zone = evaluator.catalogue.zone
        self.is_one_day = self.zone.day_of(self.after) == self.zone.day_of(self.until)
        self.cells = Cells(evaluator.catalogue)
        for name in names:
            self.cells.want_name(name)

    def select(self) -> exp.Expression:
        found = [self.newly_known(), *self.of_rows(), *self.of_expressions()]
        if self.cells.groups:  # whoever is due, their group is
            found.append(_who("group").from_(_t(KNOWN_CUSTOMERS)))
        found += self.remembered()
        facts = self.evaluator.snapshot.facts
        if facts is not None and facts.num_rows:
            said = self.evaluator.registered("said", facts.select(["customer_id"]))
            found.append(_who("manual").from_(_t(said)))
        union: exp.Expression = found[0]
        for part in found[1:]:
            union = exp.Union(this=union, expression=part, distinct=False)
        alias = exp.TableAlias(this=exp.to_identifier("d"))
        return exp.select("*").from_(exp.Subquery(this=union, alias=alias)).distinct()

    def newly_known(self) -> exp.Select:
        """Customers who become known."""
        return _who("new").from_(_t(KNOWN_CUSTOMERS)).where(_between(col("known_since"), self.after, self.until))

    # -- rows -------------------------------------------------------------------------------------------------------

    def of_rows(self) -> Iterator[exp.Select]:
        streams: dict[str, _Rows] = {}
        computed: set[str] = set()
        history: list[HistoryOf] = []
        attributes = False
        for node in self.cells.parts():
            match node:
                case Aggregate() | RelatedOf(rows=Aggregate()):
                    rows = node.rows if isinstance(node, RelatedOf) else node
                    self.aggregate(rows, streams.setdefault(rows.stream, _Rows()))
                case Followed(steps=steps, without=without):
                    for step in (*steps, *([without] if without is not None else [])):
                        self.step(step, node, streams.setdefault(step.stream, _Rows()))
                case HistoryOf():
                    history.append(node)
                case AttributeOf():
                    attributes = True
            computed |= {stream for stream, columns in _COMPUTED.items() if _reads_column(node, columns)}
        reads = self.read_by_remembered()
        computed |= reads.streams & {"orders"}  # a refund is one of the instants
        attributes = attributes or bool(reads.attributes)
        for stream in reads.streams:
            streams.setdefault(stream, _Rows())
        for stream, found in streams.items():
            yield from self.rows(stream, found)
        source = self.evaluator.source
        if "orders" in computed and "orders" in streams:
            yield self.refunded()
        if "visits" in computed and "visits" in streams:
            left = _between(col("left_at"), self.after, self.until)
            yield _who("visible", "visits").from_(_t(source.streams["visits"])).where(left)
        if attributes:
            yield _who("attribute").from_(_t(source.records)).where(_between(col("time"), self.after, self.until))
        if history:
            yield self.history(history)

    def rows(self, stream: str, rows: _Rows) -> Iterator[exp.Select]:
        """Yield the customers of the rows of a stream that matter."""
        time, table = col("time"), _t(self.by_time.get(stream, self.evaluator.source.streams[stream]))
        if rows.all_:
            by_then = exp.LTE(this=time, expression=timestamp(self.until))
            yield _who("window", stream).from_(table).where(by_then).distinct()
            return
        seen = _between(time, self.after, self.until)
        crossing = [_between(time, low, high) for low, high in sorted(rows.edges)]
        if stream in self.by_time:  # each of them reads only the few rows between its ends
            yield _who("visible", stream).from_(table).where(seen)
            yield from (_who("window", stream).from_(table).where(edge) for edge in crossing)
            return
        why = when([(seen, text("visible"))], text("window"))
        select = exp.select(col("customer_id"), why.as_("why"), text(stream).as_("stream")).from_(table)
        yield select.where(exp.or_(seen, *crossing)).distinct()

    def refunded(self) -> exp.Select:
        """The customers of the orders that a refund between the two instants is for."""
        source, key = self.evaluator.source, ("order_id", "key_space")
        refunds = exp.select(*(col(name) for name in key)).from_(_t(source.streams["refunds"]))
        between = refunds.where(_between(col("time"), self.after, self.until)).subquery()
        named = exp.In(this=exp.Tuple(expressions=[col(name) for name in key]), query=between)
        return _who("visible", "orders").from_(_t(source.streams["orders"])).where(named)

    def aggregate(self, expr: Aggregate, rows: _Rows) -> None:
        """Note which rows can change what an aggregate gives."""
        boundaries = {FUNCTIONS[part.function].boundary for part in (expr, expr.by) if part is not None}
        conditions = [part for part in (expr.where, expr.of, *expr.window.bounds()) if part is not None]
        if "threshold" in boundaries or any(self.is_timed(condition) for condition in conditions):
            rows.all_ = True
            return
        window = expr.window
        for length in (window.within, *(window.ago or ())):
            if length is not None:
                self.edge(rows, length)
        if window.on:
            for before, then in zip(*(self.period(window.on, at) for at in (self.after, self.until)), strict=True):
                rows.edges.add((min(before, then) - _MICRO, max(before, then) - _MICRO))
        if "calendar" in boundaries and not self.is_one_day:
            assert expr.length is not None
            days = ((expr.n or 1) + 1) * expr.length.longest_days + 2  # periods, streaks: no older row is in them
            rows.edges.add((self.after - timedelta(days=days), self.until))

    def step(self, step: StepOf, expr: Followed, rows: _Rows) -> None:
        """Note which rows can change whether a step is followed."""
        if step.where is not None and self.is_timed(step.where):
            rows.all_ = True
        for length in (expr.within, expr.gap):
            if length is not None:
                self.edge(rows, length)

    def edge(self, rows: _Rows, length: Duration) -> None:
        """Note the rows that are a length before one of the instants between the two."""
        low, high = sorted(self.zone.add(at, length, -1) for at in (self.after, self.until))
        rows.edges.add((low, high))

    def period(self, word: str, at: datetime) -> tuple[datetime, datetime]:
        """Return the instants at which a calendar word's period begins and ends."""
        first, after = calendar_days(word, self.zone.day_of(at))
        return self.zone.midnight(first), self.zone.midnight(after)

    def history(self, read: Sequence[HistoryOf]) -> exp.Select:
        """The customers of log entries that become visible or whose time crosses an edge; both ends included."""
        edges = [(self.after, self.until)]
        for expr in read:
            if expr.within is not None:
                low, high = sorted(self.zone.add(at, expr.within, -1) for at in (self.after, self.until))
                edges.append((low, high))
        crossing = [_between(col("at", "r"), low - _MICRO, high) for low, high in edges]
        select = exp.select(col("customer_id", "r"), text("history").as_("why"), text("").as_("stream"))
        return (
            select.from_(membership_log(self.evaluator.source.memberships, self.evaluator.source.former))
            .where(exp.or_(*crossing))
            .distinct()
        )

    # -- tierings that remember -------------------------------------------------------------------------------------

    def read_by_remembered(self) -> Reads:
        """Return what the tierings that remember read: they change only at the times of these rows, and at ends."""
        written = self.evaluator.catalogue.written
        return read_by(written, [expr for name in self.cells.remembered for expr in written[name]])

    def remembered(self) -> Iterator[exp.Select]:
        """The customers whose term or grace ends, and those whom no row has placed yet; of `stay` everyone."""
        tierings = self.evaluator.catalogue.definitions.tierings
        for name in self.cells.remembered:
            if tierings[name].keep is None or not self.programmes:
                yield _who("memory").from_(_t(KNOWN_CUSTOMERS))
                continue
            ends = [_between(col(end), self.after, self.until) for end in ("term_ends", "grace_ends")]
            unplaced = exp.Is(this=col("since"), expression=null())
            of_it = exp.EQ(this=col("tiering"), expression=text(name))
            yield _who("memory").from_(_t(self.programmes)).where(of_it).where(exp.or_(unplaced, *ends))

    # -- expressions ------------------------------------------------------------------------------------------------

    def of_expressions(self) -> Iterator[exp.Select]:
        """The customers for whom an expression over values that stay gives another answer at the later instant."""
        timed = list(dict.fromkeys(expr for expr in self.expressions() if self.is_timed(expr)))
        if not timed:
            return
        if any(isinstance(part, Apply) and part.function == "lunar_anniversary" for part in self.cells.parts()):
            for name, calendar in lunar_tables().items():
                self.evaluator.backend.register(name, calendar)
        leaves = list(dict.fromkeys(leaf for expr in timed for leaf in _leaves(expr)))
        of_leaf = {leaf: f"x{index}$" for index, leaf in enumerate(leaves)}
        wanted = [Named(name, leaf.kind, leaf) for leaf, name in of_leaf.items()]
        table = self.evaluator.table(everyone(self.after), wanted, base=self.base)
        joins = Joins(self.evaluator.source)

        def resolve(expr: Expr) -> exp.Expression:
            if isinstance(expr, BucketOf):
                return bucket_of(expr, col("customer_id", "t"))
            return col(of_leaf[expr], "t")

        snapshot = self.evaluator.snapshot
        before, then = (
            Emitter(Clock(self.zone, at), resolve, snapshot.parameters, joins.lookup) for at in (self.after, self.until)
        )
        differs = [exp.NullSafeNEQ(this=before.stored(expr), expression=then.stored(expr)) for expr in timed]
        why = text("expression").as_("why")
        select = exp.select(col("customer_id", "t"), why, text("").as_("stream")).from_(_t(table).as_("t"))
        yield joins.add_to(select).where(exp.or_(*differs))

    def is_timed(self, expr: Expr) -> bool:
        """Whether an expression over values that stay can give another answer at the later instant."""
        return any(
            isinstance(part, AsOf) or (isinstance(part, Apply) and self.moves(part.function)) for part in _own(expr)
        )

    def moves(self, function: str) -> bool:
        """Whether a function of a value that stays can; those that count days and dates cannot on one local day."""
        name = {"lunar_anniversary": "anniversary"}.get(function, function)
        boundary = FUNCTIONS[name].boundary if name in FUNCTIONS else "none"
        return boundary != "none" and not (self.is_one_day and boundary in ("daily", "calendar"))

    def expressions(self) -> Iterator[Expr]:
        """Yield what is worked out from a customer's values: rules, tags, what is compared with others."""
        for named in self.cells.named.values():
            yield from named.expressions()
        for node in self.cells.parts():
            if isinstance(node, Population | GroupOf):
                yield from parts(node)


def _own(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and its parts, down to the values of the customer."""
    yield expr
    if not isinstance(expr, CUSTOMER_LEVEL):
        for part in parts(expr):
            yield from _own(part)


def _leaves(expr: Expr) -> Iterator[Expr]:
    return (part for part in _own(expr) if isinstance(part, CUSTOMER_LEVEL) and not isinstance(part, BucketOf))


def _reads_column(node: Expr, columns: Sequence[str]) -> bool:
    rows = node.rows if isinstance(node, RelatedOf) else node
    return isinstance(rows, ColumnOf | Aggregate) and rows.column in columns


def _between(time: exp.Expression, after: datetime, until: datetime) -> exp.Expression:
    """Return ``after < time <= until``."""
    low = exp.GT(this=time, expression=timestamp(after))
    return exp.Paren(this=exp.And(this=low, expression=exp.LTE(this=time.copy(), expression=timestamp(until))))


def _who(why: str, stream: str = "") -> exp.Select:
    return exp.select(col("customer_id"), text(why).as_("why"), text(stream).as_("stream"))


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
