"""The checked tree: every node has a kind, every name is resolved, every window is read.

This is what engines compile, what the reference evaluator walks, and what explain shows. Nodes are frozen and compare
by what they say, so equal aggregates of different tags are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from tierwise.definitions.language.kinds import INSTANT, Kind
from tierwise.definitions.language.times import Duration

__all__ = [
    "Aggregate", "Apply", "AsOf", "AttributeOf", "BucketOf", "ColumnOf", "Const", "Expr", "Followed", "GroupOf",
    "HistoryOf", "ParameterOf", "Population", "RelatedOf", "SegmentOf", "StepOf", "TagOf", "TierOf", "Value", "Window",
    "parts", "walk_typed",
]  # fmt: skip

#: A value of the language as Python holds it; instants are naive UTC datetimes, None is missing.
Value = bool | int | Decimal | float | str | date | datetime | Duration | tuple["Value", ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expr:
    """Any checked node; `address` is its path in the written tree, equality ignores it."""

    kind: Kind
    address: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A value known at check time; its Python type follows its kind."""

    value: Value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and self.kind == other.kind and str(self.value) == str(other.value)

    def __hash__(self) -> int:
        return hash((self.kind, str(self.value)))


@dataclass(frozen=True, slots=True)
class ColumnOf(Expr):
    """A column of the row (of the stream around it, or of the file in a source)."""

    column: str


@dataclass(frozen=True, slots=True)
class AttributeOf(Expr):
    """An attribute of the customer, read at as_of."""

    name: str


@dataclass(frozen=True, slots=True)
class TagOf(Expr):
    """Another tag's value."""

    name: str


@dataclass(frozen=True, slots=True)
class TierOf(Expr):
    """The tier the customer is in: ``tier("grade")``; its value is the tier's name."""

    tiering: str


@dataclass(frozen=True, slots=True)
class SegmentOf(Expr):
    """Whether the customer is in a segment."""

    name: str


@dataclass(frozen=True, slots=True)
class ParameterOf(Expr):
    """A declared parameter; its value comes with the snapshot."""

    name: str


@dataclass(frozen=True, slots=True)
class BucketOf(Expr):
    """The number of the bucket that chance puts the customer into, for one `salt`; see `definitions.assignment`."""

    salt: str


@dataclass(frozen=True, slots=True)
class AsOf(Expr):
    """The instant of the answer."""

    kind: Kind = INSTANT


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows count, beside ``time <= as_of``: all given parts at once.

    ``within`` is (as_of - d, as_of]; ``ago`` (near, far) is (as_of - far, as_of - near]; ``since`` and ``until`` with
    an instant are (since, until], with a date whole local days, both included; ``on`` is a calendar word.
    """

    within: Duration | None = None
    ago: tuple[Duration, Duration] | None = None
    since: Expr | None = None
    until: Expr | None = None
    on: str = ""

    def bounds(self) -> Iterator[Expr]:
        """Yield the bounds that are expressions."""
        yield from (bound for bound in (self.since, self.until) if bound is not None)


@dataclass(frozen=True, slots=True)
class Aggregate(Expr):
    """A function over a stream: the rows that pass `where` and `window`, of these the `latest` n, aggregated.

    `column` is "" for functions over whole rows. `of` is the condition of ``share``, `by` the aggregate of ``top``
    (over the same rows; None means how many rows), `n` that of ``nth``, ``top`` and ``periods``, `length`
    ``half_life`` of ``score`` and ``every`` of ``streak`` and ``periods``.
    """

    function: str
    stream: str
    column: str = ""
    where: Expr | None = None
    window: Window = Window()
    latest: int | None = None
    of: Expr | None = None
    by: Aggregate | None = None
    n: int | None = None
    length: Duration | None = None


@dataclass(frozen=True, slots=True)
class Apply(Expr):
    """An operator or a scalar function on values.

    Operators: ``and or not + - * / neg == != < <= > >= in not_in missing present``. `in` has the list as second
    argument: a Const of a list kind, or an expression of a list kind. Conversions the checker writes in: ``local_date``
    (instant to date); `lunar_anniversary` is ``anniversary`` by the lunar calendar. Chains have become ``and`` of
    comparisons. ``+``/``*`` may have more than two arguments.
    """

    function: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Population(Expr):
    """A comparison with a published distribution of `x` (in each group of `by`, among whom `among` holds)."""

    function: str
    x: Expr
    n: int | None = None
    percent: Decimal | None = None
    by: Expr | None = None
    among: Expr | None = None
    best: str = "high"


@dataclass(frozen=True, slots=True)
class RelatedOf(Expr):
    """An aggregate over the rows that are part of the row it stands in: those with its value of the column `by`."""

    rows: Aggregate
    by: str


@dataclass(frozen=True, slots=True)
class GroupOf(Expr):
    """A function of `x` over all customers known at as_of with the same `by` value: ``group_sum`` and its like.

    Of ``group_count`` `x` is a condition, or None for everyone.
    """

    function: str
    x: Expr | None
    by: Expr


@dataclass(frozen=True, slots=True)
class HistoryOf(Expr):
    """What the membership log says strictly before as_of: ``was_tier tier_since entered left``.

    `of` is ``tier`` or ``segment``, `name` which one; `value` is the tier asked about, of a segment ``in``.
    """

    function: str
    of: str
    name: str
    value: str = ""
    within: Duration | None = None


@dataclass(frozen=True, slots=True)
class StepOf:
    """The rows of a stream that can be one step of a sequence."""

    stream: str
    where: Expr | None = None


@dataclass(frozen=True, slots=True)
class Followed(Expr):
    """Whether rows of the `steps` follow each other, each later than the one before.

    `within` bounds the time from the first to the last, `gap` that between neighbours; both are exact. `same` is a
    column that has one value in all of them. A row of `without` must not come: up to the end of `within` after the
    first step where that is given, else between the first and the last.
    """

    steps: tuple[StepOf, ...]
    within: Duration | None = None
    gap: Duration | None = None
    same: str = ""
    without: StepOf | None = None


def parts(node: Expr) -> Iterator[Expr]:
    """Yield the expressions directly inside a node, a window's bounds included."""
    match node:
        case Apply(args=args):
            yield from args
        case Aggregate(where=where, window=window, of=of, by=by):
            yield from (part for part in (where, of, by) if part is not None)
            yield from window.bounds()
        case Followed(steps=steps, without=without):
            yield from (step.where for step in steps if step.where is not None)
            if without is not None and without.where is not None:
                yield without.where
        case RelatedOf(rows=rows):
            yield from parts(rows)
        case GroupOf(x=x, by=by):
            yield from (part for part in (x, by) if part is not None)
        case Population(x=x, by=by, among=among):
            yield from (part for part in (x, by, among) if part is not None)


def walk_typed(node: Expr) -> Iterator[Expr]:
    """Yield the node and everything inside it, parents first.

    Example:
        >>> from tierwise.definitions.language.kinds import BOOLEAN
        >>> tree = Apply("not", (SegmentOf("vip", kind=BOOLEAN),), kind=BOOLEAN)
        >>> [type(part).__name__ for part in walk_typed(tree)]
        ['Apply', 'SegmentOf']
    """
    yield node
    for part in parts(node):
        yield from walk_typed(part)
