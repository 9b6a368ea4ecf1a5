"""Reads the arguments of a call that are written out: whole numbers, lengths of time, names of what is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tierwise.definitions.language.kinds import DURATION
from tierwise.definitions.language.nodes import Call, Literal, Node
from tierwise.definitions.language.times import Duration, parse_duration
from tierwise.definitions.language.typed import ParameterOf
from tierwise.errors import near_name

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker

__all__ = ["duration", "integer", "name_argument", "under"]


def under(address: str, step: str) -> str:
    """Return the address one step further down."""
    return f"{address}.{step}" if address else step


def integer(
    checker: Checker, node: Node | None, address: str, name: str, least: int = 1, most: int = 10_000
) -> int | None:
    """Read a literal whole number in [least, most], or report and return None."""
    if node is None:
        return None
    value = node.value if isinstance(node, Literal) else None
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    checker.report(node, address, "argument", f"`{name}` is a whole number from {least} to {most:,}, written out")
    return None


def duration(checker: Checker, node: Node | None, address: str, name: str) -> Duration | None:
    """Read a literal length of time (or a parameter that is one), or report and return None."""
    if node is None:
        return None
    if isinstance(node, Literal) and isinstance(node.value, str):
        found = parse_duration(node.value)
        if found is not None and (found.months or found.micros):
            return found
    else:
        expr = checker.visit(node, address, None)
        if expr is None:
            return None
        if isinstance(expr, ParameterOf) and expr.kind == DURATION:
            value = checker.scope.parameters[expr.name][1]
            assert isinstance(value, Duration)
            return value
    hint = 'a whole number with m, h, d, w, mo or y: "30d"'
    checker.report(node, address, "argument", f"`{name}=` is a length of time, longer than nothing", hint)
    return None


def name_argument(
    checker: Checker, node: Call, index: int, address: str, known: Mapping[str, object] | tuple[str, ...], what: str
) -> str | None:
    """Read the quoted name of something declared, or report and return None."""
    argument = node.args[index]
    if not (isinstance(argument, Literal) and isinstance(argument.value, str)):
        checker.report(argument, address, "argument", f"the name of a {what} is written in quotes")
        return None
    if argument.value not in known:
        checker.report(
            argument,
            address,
            "unknown-name",
            f"there is no {what} `{argument.value}`",
            near_name(argument.value, known),
        )
        return None
    return argument.value
