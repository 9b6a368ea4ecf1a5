"""What has to be computed for the names wanted: cells, each in the earliest stage in which all it reads is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import BOOLEAN, TEXT, Kind
from tierwise.definitions.language.typed import (
    Aggregate,
    Apply,
    AttributeOf,
    BucketOf,
    Expr,
    Followed,
    GroupOf,
    HistoryOf,
    Population,
    SegmentOf,
    TagOf,
    TierOf,
    parts,
    walk_typed,
)

__all__ = [
    "CUSTOMER_LEVEL",
    "Apart",
    "Cells",
    "Named",
    "customer_reads",
    "named_cell",
    "row_reads",
]


#: What stands for one value of a customer, wherever it is written.
CUSTOMER_LEVEL: Final = (
    TagOf,
    AttributeOf,
    SegmentOf,
    TierOf,
    BucketOf,
    Population,
    Aggregate,
    Followed,
    HistoryOf,
    GroupOf,
)
#: What a pass of its own answers, beside the aggregates of one stream.
Apart = Followed | HistoryOf


@dataclass(frozen=True)
class Named:
    """A tag, segment, tiering or asked expression: one column of the answer.

    `rules` is given for a tiering: (tier, rule) in order, the last rule None. One that is `remembered` is worked out
    before the stages, see `tierwise.engine.remembering`. Of a `condition`, as a segment's rule is, what is missing is
    false.
    """

    name: str
    kind: Kind
    expr: Expr | None = None
    rules: tuple[tuple[str, Expr | None], ...] = ()
    remembered: bool = False
    condition: bool = False

    def expressions(self) -> Iterator[Expr]:
        """Yield what it is computed from."""
        if self.expr is not None:
            yield self.expr
        yield from (rule for _, rule in self.rules if rule is not None)


def customer_reads(expr: Expr) -> Iterator[Expr]:
    """Yield the customer-level leaves inside an aggregate's row conditions and bounds."""
    for part in parts(expr):
        if isinstance(part, CUSTOMER_LEVEL):
            yield part
        else:
            yield from customer_reads(part)


def row_reads(expr: Aggregate) -> Iterator[Expr]:
    """Yield the customer-level leaves that an aggregate's rows are compared with."""
    for bound in (expr.where, expr.of, *expr.window.bounds()):
        if bound is not None:
            yield from _customer_level(bound)


@dataclass
class Cells:
    """All cells of one evaluation.

    `available` names columns that the spine's table already holds. `stage_of` and the lists are filled by `want`.
    """

    catalogue: Catalogue
    available: Mapping[str, Kind] = field(default_factory=dict)
    aggregates: dict[Aggregate, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    populations: dict[Population, str] = field(default_factory=dict)
    groups: dict[GroupOf, str] = field(default_factory=dict)
    apart: dict[Apart, str] = field(default_factory=dict)
    named: dict[str, Named] = field(default_factory=dict)
    stage_of: dict[str, int] = field(default_factory=dict)
    remembered: list[str] = field(default_factory=list)

    def want(self, named: Named) -> int:
        """Add a named cell and all it reads; return the stage it is known in."""
        if named.name in self.stage_of:
            return self.stage_of[named.name]
        if named.remembered:
            self.remembered.append(named.name)
            self.stage_of[named.name] = 0
            return 0
        stage = max((self.visit(expr) for expr in named.expressions()), default=0)
        self.named[named.name] = named
        self.stage_of[named.name] = stage
        return stage

    def want_name(self, name: str) -> int:
        """Add a tag, segment or tiering by name."""
        if name in self.available:
            return 0
        if name in self.stage_of:
            return self.stage_of[name]
        return self.want(named_cell(self.catalogue, name))

    def visit(self, expr: Expr) -> int:
        """Add the cells an expression reads; return the stage in which its value can be computed."""
        match expr:
            case TagOf(name) | SegmentOf(name) | TierOf(name):
                return self.want_name(name)
            case AttributeOf(name):
                self.attributes.setdefault(name, f"c{len(self.attributes)}$")
                return 0
            case Aggregate():
                return self.aggregate(expr)
            case Followed() | HistoryOf():
                return self.aside(expr)
            case GroupOf():
                before = max((self.visit(part) for part in parts(expr)), default=0)
                cell = self.groups.setdefault(expr, f"g{len(self.groups)}$")
                self.stage_of[cell] = before + 1
                return before + 1
            case Population():
                before = max((self.visit(part) for part in parts(expr)), default=0)
                cell = self.populations.setdefault(expr, f"p{len(self.populations)}$")
                self.stage_of[cell] = before + 1
                return before + 1
            case Apply(_, args):
                return max((self.visit(arg) for arg in args), default=0)
        return 0

    def aggregate(self, expr: Aggregate) -> int:
        """Add an aggregate and what its conditions read; return its stage."""
        stage = 1 + max((self.visit(part) for part in row_reads(expr)), default=-1)
        cell = self.aggregates.setdefault(expr, f"a{len(self.aggregates)}$")
        self.stage_of[cell] = stage
        return stage

    def aside(self, expr: Apart) -> int:
        """Add what a pass of its own answers; return its stage."""
        reads = [read for part in parts(expr) for read in _customer_level(part)]
        stage = 1 + max((self.visit(read) for read in reads), default=-1)
        cell = self.apart.setdefault(expr, f"e{len(self.apart)}$")
        self.stage_of[cell] = stage
        return stage

    def parts(self) -> Iterator[Expr]:
        """Yield every part of every expression that is computed."""
        for named in self.named.values():
            for expr in named.expressions():
                yield from walk_typed(expr)

    @property
    def last_stage(self) -> int:
        """Return the last stage there is something to compute in."""
        return max(self.stage_of.values(), default=0)

    def reads_after(self, stage: int) -> Iterator[Expr]:
        """Yield the customer-level leaves that anything of a later stage reads."""
        for aggregate, cell in self.aggregates.items():
            if self.stage_of[cell] > stage:
                yield from row_reads(aggregate)
        for others in (self.populations, self.groups, self.apart):
            for node, cell in others.items():
                if self.stage_of[cell] > stage:
                    yield from customer_reads(node)
        for name, named in self.named.items():
            if self.stage_of[name] > stage:
                for expr in named.expressions():
                    yield from _customer_level(expr)

    def layers(self, stage: int) -> list[list[Named]]:
        """Return the named cells of a stage in layers, each reading only earlier layers."""
        level: dict[str, int] = {}
        found: list[list[Named]] = []
        for name, cell in self.named.items():  # insertion order is dependency order
            if self.stage_of[name] != stage:
                continue
            reads = [read for expr in cell.expressions() for read in _names_read(expr)]
            level[name] = 1 + max((level[read] for read in reads if read in level), default=-1)
            while len(found) <= level[name]:
                found.append([])
            found[level[name]].append(cell)
        return found


def named_cell(catalogue: Catalogue, name: str) -> Named:
    """Return the cell of a definition.

    Raises:
        KeyError: when there is no such definition.
    """
    if name in catalogue.tags:
        expr = catalogue.tags[name].expr
        assert expr is not None
        return Named(name, expr.kind, expr)
    if name in catalogue.segments:
        return Named(name, BOOLEAN, catalogue.segments[name].expr, condition=True)
    if catalogue.definitions.tierings[name].remembers:
        return Named(name, TEXT, remembered=True)
    return Named(name, TEXT, rules=tuple((tier, rule.expr) for tier, rule in catalogue.tierings[name].items()))


def _customer_level(expr: Expr) -> Iterator[Expr]:
    if isinstance(expr, CUSTOMER_LEVEL):
        yield expr
    else:
        yield from customer_reads(expr)


def _names_read(expr: Expr) -> Iterator[str]:
    """Yield the named cells an expression reads directly; those inside aggregates are of earlier stages."""
    match expr:
        case TagOf(name) | SegmentOf(name) | TierOf(name):
            yield name
        case Aggregate() | Population() | Followed() | HistoryOf() | GroupOf():
            return
        case _:
            for part in parts(expr):
                yield from _names_read(part)
