"""How calls of functions over groups of customers are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tierwise.definitions.language.functions import FUNCTIONS
from tierwise.definitions.language.kinds import BOOLEAN, FLOAT, Kind
from tierwise.definitions.language.nodes import Call
from tierwise.definitions.language.typed import Expr, GroupOf
from tierwise.definitions.language.written import under

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker

__all__ = ["check_group"]


def check_group(checker: Checker, node: Call, address: str) -> Expr | None:
    """Return the checked call of a function over a group, or None after reporting."""
    before = len(checker.problems)
    x = checker.visit(node.args[0], under(address, "args.0"), None) if node.args else None
    option = node.option("by")
    assert option is not None
    by = checker.visit(option, under(address, "by"), None)
    if by is not None and (by.kind == FLOAT or by.kind.of is not None):
        checker.report(option, by.address, "kind", f"`by=` groups by {by.kind}, which has no groups")
    if x is not None and (wanted := _wanted(node.function, x.kind)):
        checker.report(node.args[0], x.address, "kind", f"{node.function}() needs {wanted}, this is {x.kind}")
    if len(checker.problems) > before or by is None:
        return None
    result = FUNCTIONS[node.function].result
    if isinstance(result, Kind):
        kind = result
    else:
        assert x is not None
        kind = x.kind
    return GroupOf(node.function, x, by, kind=kind, address=address)


def _wanted(function: str, kind: Kind) -> str:
    """Return what a function needs, or "" when the kind is that."""
    if function in ("group_sum", "group_avg"):
        return "" if kind.is_number else "a number"
    if function == "group_count":
        return "" if kind == BOOLEAN else "a condition"
    return "" if kind.is_number or kind.is_time or kind.name == "text" else "something with an order"
