"""Kinds as Python values: fitting a value to its kind, exact arithmetic, and comparison."""

from __future__ import annotations

import math
import operator as operators
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from tierwise.definitions.language.kinds import DATE, DECIMAL, FLOAT, INSTANT, INTEGER, MONEY, Kind
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import Value

__all__ = ["calculate", "compare", "exact_sum", "fit", "is_member", "mean", "nine_digits", "sortable"]

_PLACES: Final = {DECIMAL: 6, MONEY: 2}
_LIMIT: Final = {DECIMAL: 10**12, MONEY: 10**16}


def fit(value: Any, kind: Kind) -> Value:
    """Return the value as its kind holds it: rounded half away from zero; missing when it is out of range.

    Example:
        >>> from tierwise.definitions.language.kinds import MONEY
        >>> fit(Fraction(-1005, 1000), MONEY), fit(10**16, MONEY)
        (Decimal('-1.01'), None)
    """
    if value is None:
        return None
    if kind.of is not None:
        return tuple(fit(element, kind.of) for element in value)
    if kind == FLOAT:
        return _fit_float(value)
    if kind == INTEGER:
        whole = int(_rounded(value, 0))
        return whole if -(2**63) <= whole < 2**63 else None
    if kind in _PLACES:
        rounded = _rounded(value, _PLACES[kind])
        return rounded if abs(rounded) < _LIMIT[kind] else None
    result: Value = value
    return result


def _fit_float(value: Any) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _rounded(value: Any, places: int) -> Decimal:
    scaled = Fraction(value) * 10**places
    whole = math.floor(abs(scaled) + Fraction(1, 2))
    return Decimal(f"{-whole if scaled < 0 else whole}E-{places}")


def nine_digits(number: float) -> float:
    """Return the float rounded to 9 significant digits, as every float is before it meets a threshold.

    Example:
        >>> nine_digits(0.1 + 0.2)
        0.3
    """
    return float(f"{number:.8e}")


# -- arithmetic --------------------------------------------------------------------------------------------------------


def calculate(operator: str, terms: Sequence[tuple[Value, Kind]]) -> Value:
    """Return ``+ - * /`` of numbers, from the left, two at a time, each result fitted to the kind of its two operands.

    Of a sum the exact operands at its beginning are added exactly, and only their sum is fitted.

    Example:
        >>> calculate("*", [(Decimal("19.99"), MONEY), (Decimal("0.5"), DECIMAL)])
        Decimal('9.995000')
        >>> calculate("+", [(2**63 - 1, INTEGER), (1, INTEGER), (-1, INTEGER)])
        9223372036854775807
    """
    if any(value is None for value, _ in terms):
        return None
    value: Any = terms[0][0]
    kind = terms[0][1]
    for right, right_kind in terms[1:]:
        result = _result_kind(operator, kind, right_kind)
        if operator == "+" and result != FLOAT:
            value = Fraction(value) + Fraction(right)  # type: ignore[arg-type]
        else:
            value = fit(value, kind)
            value = None if value is None else fit(_two(operator, value, right, result), result)
        kind = result
    return fit(value, kind)


def _result_kind(operator: str, left: Kind, right: Kind) -> Kind:
    if operator == "/":
        return FLOAT
    return next(kind for kind in (FLOAT, DECIMAL, MONEY, INTEGER) if kind in (left, right))


def _two(operator: str, left: Any, right: Any, kind: Kind) -> float | Fraction | None:
    a: Any = float(left) if kind == FLOAT else Fraction(left)
    b: Any = float(right) if kind == FLOAT else Fraction(right)
    result: float | Fraction
    match operator:
        case "+":
            result = a + b
        case "-":
            result = a - b
        case "*":
            result = a * b
        case _:
            if b == 0:
                return None
            result = a / b
    return result


def exact_sum(values: Sequence[Any], kind: Kind) -> Value:
    """Return the sum fitted to the kind; of nothing it is 0."""
    return fit(_total(values), kind)


def mean(values: Sequence[Any]) -> float | None:
    """Return the exact sum as binary64, divided by the count; of nothing it is missing."""
    if not values:
        return None
    total = _fit_float(_total(values))
    return None if total is None else total / len(values)


def _total(values: Sequence[Any]) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction())


# -- comparison --------------------------------------------------------------------------------------------------------


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operators.eq,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


def compare(operator: str, left: tuple[Value, Kind], right: tuple[Value, Kind], zone: Zone) -> bool:
    """Return the answer of ``== != < <= > >=``; with a missing operand false, and ``!=`` is not ``==``.

    Example:
        >>> compare("!=", (None, INTEGER), (1, INTEGER), Zone("UTC"))
        True
    """
    if operator == "!=":
        return not compare("==", left, right, zone)
    if left[0] is None or right[0] is None:
        return False
    a, b = _comparable(left, right[1], zone), _comparable(right, left[1], zone)
    return _COMPARISONS[operator](a, b)


def _comparable(term: tuple[Any, Kind], other: Kind, zone: Zone) -> Any:
    """Return the value as it is compared with one of the `other` kind."""
    value, kind = term
    if FLOAT in (kind, other):
        return nine_digits(float(value))
    if kind == INSTANT and other == DATE:
        return zone.day_of(value)
    return sortable(value, kind)


def sortable(value: Any, kind: Kind) -> Any:
    """Return what stands for the value where it is compared with others of its kind: floats are rounded."""
    return nine_digits(value) if kind == FLOAT else value


def is_member(value: tuple[Value, Kind], members: tuple[Value, Kind], zone: Zone) -> bool:
    """Return whether the value equals one of the list's; missing elements are skipped."""
    listed, kind = members
    if not isinstance(listed, tuple) or kind.of is None:
        return False
    return any(compare("==", value, (member, kind.of), zone) for member in listed)
