"""What is missing to the next better tier: written as an expression over the rules of a tiering."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from tierwise.definitions.language.kinds import BOOLEAN, Kind
from tierwise.definitions.language.nodes import Call
from tierwise.definitions.language.typed import Apply, Const, Expr, TierOf

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker, TierNames

__all__ = ["to_next"]


def to_next(checker: Checker, node: Call, tier: TierOf, names: TierNames, address: str) -> Expr | None:
    """Return the distance as a ``case`` over the tiers, or None after reporting.

    For who is in a tier, the rule of the tier above is taken as the conditions that ``and`` joins. Where exactly one of
    them fails and it compares two numbers, the distance is the difference of its two sides; else it is missing.
    """
    if any(names.rules.get(name) is None for name in names.tiers[:-1]):
        return None  # what is wrong with the rule is reported where it stands
    cases: list[Expr] = []
    kind: Kind | None = None
    for better, own in pairwise(names.tiers):
        rule = names.rules[better]
        assert rule is not None
        conditions = list(_conditions(rule))
        here = Apply("==", (tier, Const(own, kind=tier.kind)), kind=BOOLEAN)
        for index, condition in enumerate(conditions):
            distance = _distance(condition)
            if distance is None:
                continue
            fails = Apply("not", (condition,), kind=BOOLEAN)
            others = conditions[:index] + conditions[index + 1 :]
            cases += [Apply("and", (here, fails, *others), kind=BOOLEAN), distance]
            kind = distance.kind if kind is None else _wider(kind, distance.kind)
    if kind is None:
        message = f"no rule of `{tier.tiering}` joins comparisons of numbers"
        checker.report(node, address, "kind", message, "to_next() says by how much a comparison of numbers fails")
        return None
    return Apply("case", tuple(cases), kind=kind, address=address)


def _conditions(rule: Expr) -> Iterator[Expr]:
    if isinstance(rule, Apply) and rule.function == "and":
        for arg in rule.args:
            yield from _conditions(arg)
    else:
        yield rule


def _distance(condition: Expr) -> Expr | None:
    if not isinstance(condition, Apply) or condition.function not in ("<", "<=", ">", ">="):
        return None
    left, right = condition.args
    if not (left.kind.is_number and right.kind.is_number):
        return None
    sides = (right, left) if condition.function in (">", ">=") else (left, right)
    return Apply("-", sides, kind=_wider(left.kind, right.kind))


def _wider(one: Kind, other: Kind) -> Kind:
    from tierwise.definitions.language.checker import wider

    found = wider(one, other)
    assert found is not None
    return found
