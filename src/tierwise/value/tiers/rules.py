"""A tiering's rules with the numbers in them left open: what they compare with what, and who is where for others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tierwise.definitions.language.nodes import Chain, Literal, Node, Op, Parameter, Span
from tierwise.value.btyd.columns import FloatArray, IntArray

__all__ = ["Rules", "Threshold"]

_Holds = Callable[[Mapping[str, Any], Sequence[float]], NDArray[np.bool_]]
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_COMPARED: Final[Mapping[str, Callable[[FloatArray, float], NDArray[np.bool_]]]] = {
    "<": lambda measured, number: measured < number,
    "<=": lambda measured, number: measured <= number,
    ">": lambda measured, number: measured > number,
    ">=": lambda measured, number: measured >= number,
}


@dataclass(frozen=True)
class Threshold:
    """A number that rules compare something with; `at` says where it stands in each tier's rule.

    `parameter` names the parameter it is, "" for a number that is written out. `measured` is the column of what is
    compared with it.
    """

    number: int | Decimal
    measured: str
    parameter: str
    at: tuple[tuple[str, Span], ...]


@dataclass
class Rules:
    """The rules of a tiering, best tier first, the last one taking everybody who is left.

    `measured` are the expressions that are compared with a number, `given` the other conditions, both by the name of
    the column that `place` expects of them.

    Args:
        tiers: the rule of each tier, nothing for the last.
        parameters: the values of parameters.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> from tierwise.definitions.language.printer import print_tree
        >>> rules = Rules({"high": parse("spend >= 100 and n > 2"), "low": None}, {})
        >>> [threshold.number for threshold in rules.thresholds], [print_tree(node) for node in rules.measured.values()]
        ([100, 2], ['spend', 'n'])
        >>> columns = {"measured0$": np.array([150.0, 60.0, np.nan]), "measured1$": np.array([3.0, 3.0, 3.0])}
        >>> rules.place(columns, [100, 2]).tolist(), rules.place(columns, [50, 2]).tolist()
        ([0, 1, 1], [0, 0, 1])
    """

    tiers: Mapping[str, Node | None]
    parameters: Mapping[str, Any]
    measured: dict[str, Node] = field(default_factory=dict, init=False)
    given: dict[str, Node] = field(default_factory=dict, init=False)
    thresholds: list[Threshold] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._holds: list[_Holds] = []
        for tier, node in self.tiers.items():
            if node is not None:
                self._holds.append(self._condition(tier, node))

    def place(self, columns: Mapping[str, Any], numbers: Sequence[float]) -> IntArray:
        """Return the place of each customer's tier for other numbers.

        Args:
            columns: the values of `measured` (NaN where missing) and of `given`, by name.
            numbers: a number for each of the thresholds.
        """
        size = len(next(iter(columns.values()))) if columns else 0
        found = np.full(size, len(self._holds), np.int64)
        for place in reversed(range(len(self._holds))):
            found[self._holds[place](columns, numbers)] = place
        return found

    def text(self, tier: str, written: str, numbers: Sequence[int | Decimal], parameters: bool = True) -> str:
        """Return a tier's rule as it was written, but with other numbers.

        Args:
            tier: the tier.
            written: its rule.
            numbers: a number for each of the thresholds.
            parameters: whether a parameter is replaced by its number too.
        """
        spans = [
            (span, number)
            for threshold, number in zip(self.thresholds, numbers, strict=True)
            for own, span in threshold.at
            if own == tier and number != threshold.number and (parameters or not threshold.parameter)
        ]
        for span, number in sorted(spans, key=lambda pair: pair[0].start, reverse=True):
            written = f"{written[: span.start]}{_plain(number)}{written[span.end :]}"
        return written

    # -- reading the rules ------------------------------------------------------------------------------------------

    def _condition(self, tier: str, node: Node) -> _Holds:
        match node:
            case Op("and" | "or" as word, args):
                parts = [self._condition(tier, part) for part in args]
                joined = np.logical_and if word == "and" else np.logical_or
                return lambda columns, numbers: joined.reduce([part(columns, numbers) for part in parts])
            case Op("not", (inner,)):
                holds = self._condition(tier, inner)
                return lambda columns, numbers: ~holds(columns, numbers)
            case Op("<" | "<=" | ">" | ">=" as op, (left, right)):
                found = self._comparison(tier, left, op, right)
                if found is not None:
                    return found
            case Chain(ops, args):
                pairs = [self._comparison(tier, *pair) for pair in zip(args, ops, args[1:], strict=False)]
                known = [pair for pair in pairs if pair is not None]
                if len(known) == len(pairs):
                    return lambda columns, numbers: np.logical_and.reduce([pair(columns, numbers) for pair in known])
        name = _named(self.given, node, "given")
        return lambda columns, numbers: np.asarray(columns[name], bool)

    def _comparison(self, tier: str, left: Node, op: str, right: Node) -> _Holds | None:
        """Return a comparison of something with a number; nothing when it is another one."""
        if op not in _TURNED:
            return None
        if self._number(left) is not None:
            left, op, right = right, _TURNED[op], left
        number = self._number(right)
        if number is None or self._number(left) is not None:
            return None
        measured = _named(self.measured, left, "measured")
        at, compared = self._threshold(tier, right, number, measured), _COMPARED[op]
        return lambda columns, numbers: compared(columns[measured], numbers[at])

    def _number(self, node: Node) -> int | Decimal | None:
        value = node.value if isinstance(node, Literal) else None
        if isinstance(node, Parameter):
            value = self.parameters.get(node.name)
        return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None

    def _threshold(self, tier: str, node: Node, number: int | Decimal, measured: str) -> int:
        """Return the place of a threshold; a parameter is one and the same wherever it stands."""
        here = tier, node.at
        name = node.name if isinstance(node, Parameter) else ""
        for place, known in enumerate(self.thresholds):
            if name and known.parameter == name:
                self.thresholds[place] = Threshold(number, known.measured, name, (*known.at, here))
                return place
        self.thresholds.append(Threshold(number, measured, name, (here,)))
        return len(self.thresholds) - 1


def _plain(number: int | Decimal) -> str:
    """Return a number as a rule writes it.

    Example:
        >>> _plain(Decimal("1E+3")), _plain(12)
        ('1000', '12')
    """
    return str(number) if isinstance(number, int) else f"{number:f}"


def _named(known: dict[str, Node], node: Node, prefix: str) -> str:
    """Return the column of an expression; equal ones have one."""
    for name, other in known.items():
        if other == node:
            return name
    name = f"{prefix}{len(known)}$"
    known[name] = node
    return name
