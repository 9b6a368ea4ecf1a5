"""Whether one condition implies another, as far as it can be seen from their form: for tiers that can never match."""

from __future__ import annotations

from decimal import Decimal

from tierwise.definitions.language.kinds import BOOLEAN
from tierwise.definitions.language.typed import Apply, Const, Expr

__all__ = ["implies"]

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


def implies(one: Expr, other: Expr) -> bool:
    """Return whether everyone who meets `one` surely meets `other`; False when it cannot be seen.

    Example:
        >>> from tierwise.definitions.language.kinds import INTEGER
        >>> from tierwise.definitions.language.typed import TagOf
        >>> def at_least(n: int) -> Expr:
        ...     return Apply(">=", (TagOf("x", kind=INTEGER), Const(n, kind=INTEGER)), kind=BOOLEAN)
        >>> implies(at_least(9), at_least(5)), implies(at_least(5), at_least(9))
        (True, False)
    """
    if isinstance(one, Const) and one.value is False:
        return True
    if isinstance(other, Apply) and other.function == "or":
        return any(implies(one, part) for part in other.args)
    if isinstance(one, Apply) and one.function == "or":
        return all(implies(part, other) for part in one.args)
    return all(any(_one_implies(part, wanted) for part in _conjuncts(one)) for wanted in _conjuncts(other))


def _conjuncts(expr: Expr) -> tuple[Expr, ...]:
    if isinstance(expr, Apply) and expr.function == "and":
        return tuple(part for arg in expr.args for part in _conjuncts(arg))
    return (expr,)


def _one_implies(one: Expr, other: Expr) -> bool:
    if one == other or (isinstance(other, Const) and other.kind == BOOLEAN and other.value is True):
        return True
    first, second = _threshold(one), _threshold(other)
    if first is None or second is None or first[0] != second[0]:
        return False
    (_, sign, at), (_, wanted, edge) = first, second
    if wanted in (">", ">="):
        return (sign in (">", ">=", "==") and at > edge) or (
            at == edge and (sign == ">" or (wanted == ">=" and sign in (">=", "==")))
        )
    if wanted in ("<", "<="):
        return (sign in ("<", "<=", "==") and at < edge) or (
            at == edge and (sign == "<" or (wanted == "<=" and sign in ("<=", "==")))
        )
    return False


def _threshold(expr: Expr) -> tuple[Expr, str, Decimal] | None:
    """Read ``x >= 5`` as (x, ">=", 5)."""
    if not isinstance(expr, Apply) or expr.function not in _MIRRORED or len(expr.args) != 2:
        return None
    left, right = expr.args
    if isinstance(right, Const) and isinstance(right.value, int | Decimal) and right.kind != BOOLEAN:
        return left, expr.function, Decimal(right.value)
    if isinstance(left, Const) and isinstance(left.value, int | Decimal) and left.kind != BOOLEAN:
        return right, _MIRRORED[expr.function], Decimal(left.value)
    return None
