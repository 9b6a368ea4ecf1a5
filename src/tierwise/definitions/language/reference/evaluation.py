"""The walk over the checked tree: one world, one as_of, any customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tierwise.definitions.assignment import bucket_number
from tierwise.definitions.language.keeping import State
from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.reference.aggregates import aggregate
from tierwise.definitions.language.reference.groups import of_group
from tierwise.definitions.language.reference.histories import history
from tierwise.definitions.language.reference.numbers import fit
from tierwise.definitions.language.reference.populations import Published, compare_with, nowhere
from tierwise.definitions.language.reference.remembering import Judge, Judgement, programme_state, staying_tier
from tierwise.definitions.language.reference.rows import attribute_at, in_window, interval, refunds_at, rows_at
from tierwise.definitions.language.reference.scalars import SCALARS
from tierwise.definitions.language.reference.sequences import followed
from tierwise.definitions.language.reference.world import CustomerId, Moment, Row, World
from tierwise.definitions.language.typed import (
    Aggregate,
    Apply,
    AsOf,
    AttributeOf,
    BucketOf,
    ColumnOf,
    Const,
    Expr,
    Followed,
    GroupOf,
    HistoryOf,
    ParameterOf,
    Population,
    RelatedOf,
    SegmentOf,
    StepOf,
    TagOf,
    TierOf,
    Value,
)

__all__ = ["Evaluation", "evaluate", "publish", "tier_of"]


def evaluate(
    expr: Expr,
    world: World,
    customer: CustomerId,
    as_of: datetime,
    published: Mapping[Population, Published] | None = None,
) -> Value:
    """Return the value of a checked expression for one customer at an as_of (naive UTC).

    Distributions that are not in `published` are those of the same world at the same as_of. For many customers make one
    `Evaluation` and ask it.

    Example:
        >>> from tierwise.definitions.language.kinds import INTEGER
        >>> orders = {7: [Row(datetime(2026, 1, 1), "a", {}), Row(datetime(2026, 3, 1), "b", {})]}
        >>> count = Aggregate("count", "orders", kind=INTEGER)
        >>> evaluate(count, World(streams={"orders": orders}), 7, datetime(2026, 2, 1))
        1
    """
    return Evaluation(world, as_of, published).value(expr, customer)


def publish(
    node: Population, world: World, as_of: datetime, published: Mapping[Population, Published] | None = None
) -> Published:
    """Return the distribution a population node is compared with, as of this instant.

    `published` are the distributions that its own operands read.
    """
    return Evaluation(world, as_of, published).publish(node)


def tier_of(
    tiering: str,
    world: World,
    customer: CustomerId,
    as_of: datetime,
    published: Mapping[Population, Published] | None = None,
) -> str:
    """Return the tier of the tiering the customer is in: the first whose rule holds."""
    return Evaluation(world, as_of, published).tier_of(tiering, customer)


class Evaluation:
    """A world at one as_of; what was worked out once for a customer is remembered.

    `refunds_as_of` is the instant up to which refunds are known, when it is another one.
    """

    def __init__(
        self,
        world: World,
        as_of: datetime,
        published: Mapping[Population, Published] | None = None,
        refunds_as_of: datetime | None = None,
    ) -> None:
        self.world = world
        self.now = Moment(as_of, world.zone)
        self._published = dict(published or {})
        self._values: dict[tuple[Expr, CustomerId], Value] = {}
        self._rows: dict[tuple[str, CustomerId], list[Row]] = {}
        self._refunds = refunds_at(world, refunds_as_of or as_of)

    def value(self, node: Expr, customer: CustomerId) -> Value:
        """Return the node's value for the customer, as its kind holds it."""
        key = (node, customer)
        if key not in self._values:
            self._values[key] = self._value(node, customer, None)
        return self._values[key]

    def tag(self, name: str, customer: CustomerId) -> Value:
        """Return the value of a tag: what was said by hand, or what its rule gives."""
        said = self._said(name, customer)
        return self.value(self.world.tags[name], customer) if said is None else said

    def segment(self, name: str, customer: CustomerId) -> bool:
        """Return whether the customer is in a segment, by hand or by its rule."""
        said = self._said(name, customer)
        return (self.value(self.world.segments[name], customer) if said is None else said) is True

    def tier_of(self, tiering: str, customer: CustomerId) -> str:
        """Return the customer's tier: the one they are pinned into, or what the tiering makes of them."""
        said = self._said(tiering, customer)
        return self._unpinned(tiering, customer) if said is None else str(said)

    def _said(self, name: str, customer: CustomerId) -> Value:
        """What holds by hand of a name: of several the newest."""
        holding = [s for s in self.world.said.get(customer, ()) if s.name == name and s.holds(self.now.as_of)]
        return max(holding, key=lambda said: said.number).value if holding else None

    def _unpinned(self, tiering: str, customer: CustomerId) -> str:
        """The first tier whose rule holds, or what a tiering that remembers makes of it."""
        if tiering in self.world.keeps:
            return self.state_of(tiering, customer).tier
        if tiering in self.world.stays:
            return staying_tier(tiering, self.world, customer, self.now.as_of, self._judge(tiering, customer))
        return self._first_match(tiering, customer)

    def state_of(self, tiering: str, customer: CustomerId) -> State:
        """Return where a programme has the customer."""
        return programme_state(tiering, self.world, customer, self.now.as_of, self._judge(tiering, customer))

    def _judge(self, tiering: str, customer: CustomerId) -> Judge:
        """Return what says how the rules of a tiering judge the customer at any instant."""
        tiers = [tier for tier, _ in self.world.tierings[tiering]]
        stays = self.world.stays.get(tiering, {})

        def judge(as_of: datetime, refunds_as_of: datetime) -> Judgement:
            at = Evaluation(self.world, as_of, self._published, refunds_as_of)
            held = frozenset(tiers.index(tier) for tier, rule in stays.items() if at.value(rule, customer) is True)
            return Judgement(tiers.index(at._first_match(tiering, customer)), held)

        return judge

    def _first_match(self, tiering: str, customer: CustomerId) -> str:
        """Return the first tier whose rule holds; the rule of `otherwise` is None."""
        for tier, rule in self.world.tierings[tiering]:
            if rule is None or self.value(rule, customer) is True:
                return tier
        raise AssertionError(f"the tiering {tiering} has no otherwise")

    def publish(self, node: Population) -> Published:
        """Return the distribution of the node: all customers whom `among` holds for and whose x and `by` are known."""
        groups: dict[Value, list[Value]] = {}
        for customer in self.world.customers:
            x = self.value(node.x, customer)
            group = None if node.by is None else self.value(node.by, customer)
            if x is None or (node.by is not None and group is None) or not self._among(node, customer):
                continue
            groups.setdefault(group, []).append(x)
        return Published(groups)

    # -- nodes ------------------------------------------------------------------------------------------------------

    def _value(self, node: Expr, customer: CustomerId, row: Row | None) -> Value:
        """The node's value about a row of the customer, or about the customer alone when there is no row."""
        world = self.world
        match node:
            case Const(value=value):
                return value
            case AsOf():
                return self.now.as_of
            case ColumnOf(column=column):
                assert row is not None, f"the column {column} outside of a row"
                return fit(row.values.get(column), node.kind)
            case Apply():
                return fit(self._apply(node, customer, row), node.kind)
            case BucketOf(salt=salt):
                return bucket_number(customer, salt)
            case AttributeOf(name=name):
                return fit(attribute_at(name, world.records.get(customer, ()), self.now.as_of), node.kind)
            case TagOf(name=name):
                return fit(self.tag(name, customer), node.kind)
            case ParameterOf(name=name):
                return fit(world.parameters[name], node.kind)
            case SegmentOf(name=name):
                return self.segment(name, customer)
            case TierOf(tiering=tiering):
                return self.tier_of(tiering, customer)
            case RelatedOf():
                assert row is not None
                return fit(self._aggregate(node.rows, customer, (node.by, row)), node.kind)
            case GroupOf():
                return fit(self._group(node, customer), node.kind)
            case HistoryOf():
                return history(node, world.changes.get(customer, ()), self.now)
            case Followed():
                return self._followed(node, customer)
            case Aggregate():
                return fit(self._aggregate(node, customer), node.kind)
            case Population():
                return fit(self._population(node, customer), node.kind)
        raise AssertionError(node)

    def _inside(self, node: Expr, customer: CustomerId, row: Row | None) -> Value:
        """The value of a part of a node, remembered where it is not about a row."""
        return self.value(node, customer) if row is None else self._value(node, customer, row)

    def _apply(self, node: Apply, customer: CustomerId, row: Row | None) -> Any:
        terms: Sequence[tuple[Value, Kind]] = [(self._inside(arg, customer, row), arg.kind) for arg in node.args]
        values: list[Any] = [value for value, _ in terms]
        if node.function == "lookup":
            table, key, column = values
            return self.world.lookups[table].get(key, {}).get(column)
        if node.function == "at_least":
            tier = node.args[0]
            assert isinstance(tier, TierOf)
            best_first = [name for name, _ in self.world.tierings[tier.tiering]]
            return best_first.index(values[0]) <= best_first.index(values[1])
        return SCALARS[node.function](terms, node.kind, self.now)

    # -- streams ----------------------------------------------------------------------------------------------------

    def _aggregate(self, node: Aggregate, customer: CustomerId, part_of: tuple[str, Row] | None = None) -> Any:
        if node.function == "time_avg":
            return self._time_avg(node, customer)
        rows = [row for row in self._counting(node, customer) if part_of is None or _is_part(row, *part_of)]
        if node.function == "share":
            assert node.of is not None
            met = [row for row in rows if self._value(node.of, customer, row) is True]
            return len(met) / len(rows) if rows else None
        return aggregate(node, rows, self.now)

    def _followed(self, node: Followed, customer: CustomerId) -> bool:
        def rows_of(step: StepOf | None) -> list[Row]:
            return [
                row
                for row in (self._stream(step.stream, customer) if step is not None else ())
                if step is not None and (step.where is None or self._value(step.where, customer, row) is True)
            ]

        steps = [rows_of(step) for step in node.steps]
        return followed(node, steps, rows_of(node.without), self.now.as_of)

    def _time_avg(self, node: Aggregate, customer: CustomerId) -> float | None:
        """Each value holds until the next one: their average over the part of the window in which one is known."""
        window = node.window
        since = None if window.since is None else self.value(window.since, customer)
        until = None if window.until is None else self.value(window.until, customer)
        span = interval(window, since, until, self.now)
        if span is None:
            return None
        held: list[tuple[datetime, Any]] = [
            (row.time, row.values[node.column])
            for row in self._stream(node.stream, customer)
            if row.values.get(node.column) is not None
            and (node.where is None or self._value(node.where, customer, row) is True)
        ]
        total, length = Fraction(0), Fraction(0)
        for (begins, value), (ends, _) in pairwise([*held, (self.now.as_of, None)]):
            micros = (min(ends, span[1]) - max(begins, span[0])) // timedelta(microseconds=1)
            if micros > 0:
                total += Fraction(value) * micros
                length += micros
        return float(total / length) if length else None

    def _counting(self, node: Aggregate, customer: CustomerId) -> list[Row]:
        """The rows that pass window and `where`, of these the `latest` n, by (time, row_key)."""
        window = node.window
        since = None if window.since is None else self.value(window.since, customer)
        until = None if window.until is None else self.value(window.until, customer)
        rows = [
            row
            for row in self._stream(node.stream, customer)
            if in_window(row.time, window, since, until, self.now)
            and (node.where is None or self._value(node.where, customer, row) is True)
        ]
        return rows if node.latest is None else rows[-node.latest :]

    def _stream(self, stream: str, customer: CustomerId) -> list[Row]:
        key = (stream, customer)
        if key not in self._rows:
            rows = self.world.streams.get(stream, {}).get(customer, ())
            self._rows[key] = rows_at(stream, rows, self._refunds, self.now.as_of)
        return self._rows[key]

    # -- groups and populations ---------------------------------------------------------------------------------------

    def _group(self, node: GroupOf, customer: CustomerId) -> Any:
        group = self.value(node.by, customer)
        if group is None:
            return None
        members = [one for one in self.world.customers if self.value(node.by, one) == group]
        return of_group(node, [None if node.x is None else self.value(node.x, one) for one in members])

    def _among(self, node: Population, customer: CustomerId) -> bool:
        return node.among is None or self.value(node.among, customer) is True

    def _population(self, node: Population, customer: CustomerId) -> Any:
        if node not in self._published:
            self._published[node] = self.publish(node)
        x = self.value(node.x, customer)
        group = None if node.by is None else self.value(node.by, customer)
        values = self._published[node].groups.get(group, ())
        if x is None or (node.by is not None and group is None) or not self._among(node, customer) or not values:
            return nowhere(node)
        return compare_with(node, x, values)


def _is_part(row: Row, by: str, whole: Row) -> bool:
    """Whether a row is part of another one of the same customer: of one key space, with one value of the column."""
    spaces = row.values.get("key_space"), whole.values.get("key_space")
    return spaces[0] == spaces[1] and row.values.get(by) is not None and row.values.get(by) == whole.values.get(by)
