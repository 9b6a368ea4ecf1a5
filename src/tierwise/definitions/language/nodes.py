"""The tree of an expression as it was written: frozen nodes, each knowing where it stands in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

__all__ = [
    "COMPARISONS", "NOWHERE", "Call", "Chain", "Column", "CustomerValue", "Items", "Literal", "Name", "Node", "Op",
    "Parameter", "Span", "Step", "children",
    "walk",
]  # fmt: skip

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands: 0-based character offsets into the expression text, the end excluded."""

    start: int = 0
    end: int = 0


NOWHERE: Final = Span()


@dataclass(frozen=True, slots=True)
class Node:
    """Any node; two trees are equal when they say the same, wherever they stand."""

    at: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value written out: true/false, a whole number, a decimal or a text (durations and dates are texts here)."""

    value: bool | int | Decimal | str

    def __eq__(self, other: object) -> bool:
        # True == 1 and Decimal("1.0") == 1 in Python; as written they are different things.
        return (
            isinstance(other, Literal) and type(self.value) is type(other.value) and str(self.value) == str(other.value)
        )

    def __hash__(self) -> int:
        return hash((type(self.value), str(self.value)))


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list of values, on the right side of ``in``."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A bare name about a customer: a tag or an attribute; or ``as_of``."""

    name: str


@dataclass(frozen=True, slots=True)
class Column(Node):
    """A bare name about a row: a column of the stream (inside ``where=``) or of the file (in a source)."""

    name: str


@dataclass(frozen=True, slots=True)
class CustomerValue(Node):
    """``customer.x`` inside ``where=``: a tag or attribute of the row's customer."""

    name: str


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """``param.x``: a declared parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Step(Node):
    """A row of a stream that meets a condition, as a step of ``followed``: ``events(type == "add_to_cart")``."""

    stream: str
    where: Node | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call; functions over a stream carry the stream and, for ``sum(orders.amount)``, the column."""

    function: str
    args: tuple[Node, ...] = ()
    named: tuple[tuple[str, Node], ...] = ()
    stream: str = ""
    column: str = ""

    def option(self, name: str) -> Node | None:
        """Return the named argument, or None."""
        return next((node for key, node in self.named if key == name), None)


@dataclass(frozen=True, slots=True)
class Op(Node):
    """An operator: ``and or not + - * / neg == != < <= > >= in not_in missing present``."""

    op: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """A chained comparison such as ``a <= x < b``; `ops` stand between the `args`."""

    ops: tuple[str, ...]
    args: tuple[Node, ...]


def children(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield (step, child) for each child; steps joined by dots make a node's address.

    Example:
        >>> [step for step, _ in children(Op("and", (Name("a"), Name("b"))))]
        ['args.0', 'args.1']
    """
    match node:
        case Items(items):
            yield from ((f"items.{i}", item) for i, item in enumerate(items))
        case Op(_, args) | Chain(_, args):
            yield from ((f"args.{i}", arg) for i, arg in enumerate(args))
        case Step(_, where) if where is not None:
            yield "where", where
        case Call(_, args, named):
            yield from ((f"args.{i}", arg) for i, arg in enumerate(args))
            yield from named


def walk(node: Node, address: str = "") -> Iterator[tuple[str, Node]]:
    """Yield (address, node) for the node and everything below it, parents first."""
    yield address, node
    for step, child in children(node):
        yield from walk(child, f"{address}.{step}" if address else step)
