"""Operators and scalar functions: from evaluated operands with their kinds to a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import re2

from tierwise.definitions.language.kinds import EARTH_RADIUS_KM, Kind
from tierwise.definitions.language.reference import clock
from tierwise.definitions.language.reference.numbers import calculate, compare, fit, is_member
from tierwise.definitions.language.reference.world import Moment
from tierwise.definitions.language.times import Duration
from tierwise.definitions.language.typed import Value

__all__ = ["SCALARS", "Scalar", "Term"]

#: An evaluated operand and its kind.
Term = tuple[Value, Kind]
#: (operands, kind of the result, instant and zone) → value; the caller fits it to the kind of the result.
Scalar = Callable[[Sequence[Term], Kind, Moment], Any]


# -- logic -------------------------------------------------------------------------------------------------------------


def _and(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    return all(value is True for value, _ in terms)


def _or(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    return any(value is True for value, _ in terms)


def _not(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    return terms[0][0] is not True


def _comparison(operator: str) -> Scalar:
    def run(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
        return compare(operator, terms[0], terms[1], now.zone)

    return run


def _in(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    return is_member(terms[0], terms[1], now.zone)


def _not_in(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    return not is_member(terms[0], terms[1], now.zone)


def _missing(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    return terms[0][0] is None


def _present(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    return terms[0][0] is not None


# -- arithmetic --------------------------------------------------------------------------------------------------------


def _arithmetic(operator: str) -> Scalar:
    def run(terms: Sequence[Term], kind: Kind, now: Moment) -> Any:
        if any(k.is_time or k.name == "duration" for _, k in terms):
            return _time_arithmetic(operator, [value for value, _ in terms], now)
        return calculate(operator, terms)

    return run


def _time_arithmetic(operator: str, values: Sequence[Any], now: Moment) -> Any:
    """From the left, two at a time: time ± duration, or time − time in days."""
    result = values[0]
    for right in values[1:]:
        if result is None or right is None:
            return None
        if isinstance(right, Duration):
            result = clock.shifted(result, right, 1 if operator == "+" else -1, now.zone)
        elif isinstance(result, Duration):
            assert operator == "+"
            result = clock.shifted(right, result, 1, now.zone)
        else:
            assert operator == "-"
            result = clock.between(result, right, now.zone)
    return result


def _neg(terms: Sequence[Term], kind: Kind, now: Moment) -> Any:
    value: Any = terms[0][0]
    if value is None:
        return None
    return -value if isinstance(value, int | float) else value.copy_negate()  # exact, whatever the decimal context is


# -- times -------------------------------------------------------------------------------------------------------------


def _of_date(function: Callable[[date, Moment], Any]) -> Scalar:
    """A function of the local date of its first operand; missing when that is."""

    def run(terms: Sequence[Term], kind: Kind, now: Moment) -> Any:
        moment: Any = terms[0][0]
        day = None if moment is None else clock.date_of(moment, now.zone)
        return None if day is None else function(day, now)

    return run


def _hours_since(terms: Sequence[Term], kind: Kind, now: Moment) -> float | None:
    moment: Any = terms[0][0]
    return None if moment is None else clock.hours_since(moment, now)


def _hour(terms: Sequence[Term], kind: Kind, now: Moment) -> int | None:
    moment: Any = terms[0][0]
    local = None if moment is None else clock.wall(moment, now.zone)
    return None if local is None else local.hour


def _anniversary(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    moment: Any = terms[0][0]
    within = terms[1][0]
    assert isinstance(within, Duration)
    day = None if moment is None else clock.date_of(moment, now.zone)
    return day is not None and clock.anniversary(day, within, now.today, now.zone)


def _lunar_anniversary(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    moment: Any = terms[0][0]
    within = terms[1][0]
    assert isinstance(within, Duration)
    day = None if moment is None else clock.date_of(moment, now.zone)
    return day is not None and clock.lunar_anniversary(day, within, now.today, now.zone)


def _distance_km(terms: Sequence[Term], kind: Kind, now: Moment) -> float | None:
    """The haversine formula; missing where a point is none."""
    if any(value is None for value, _ in terms):
        return None
    one, along_one, two, along_two = (float(value) for value, _ in terms)  # type: ignore[arg-type]
    if not (abs(one) <= 90 and abs(two) <= 90 and abs(along_one) <= 180 and abs(along_two) <= 180):
        return None
    up = math.sin(math.radians(two - one) / 2) ** 2
    along = math.sin(math.radians(along_two - along_one) / 2) ** 2
    part = up + math.cos(math.radians(one)) * math.cos(math.radians(two)) * along
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(part, 1.0)))


# -- choosing ----------------------------------------------------------------------------------------------------------


def _known(terms: Sequence[Term], kind: Kind) -> list[Any]:
    fitted = [fit(value, kind) for value, _ in terms]
    return [value for value in fitted if value is not None]


def _coalesce(terms: Sequence[Term], kind: Kind, now: Moment) -> Any:
    return next(iter(_known(terms, kind)), None)


def _least(terms: Sequence[Term], kind: Kind, now: Moment) -> Any:
    return min(_known(terms, kind), default=None)


def _greatest(terms: Sequence[Term], kind: Kind, now: Moment) -> Any:
    return max(_known(terms, kind), default=None)


def _case(terms: Sequence[Term], kind: Kind, now: Moment) -> Any:
    for index in range(0, len(terms) - 1, 2):
        if terms[index][0] is True:
            return terms[index + 1][0]
    return terms[-1][0] if len(terms) % 2 else None


def _band(terms: Sequence[Term], kind: Kind, now: Moment) -> str | None:
    x, edges = terms[0], terms[1:]
    if x[0] is None:
        return None
    names = [_plainly(value) for value, _ in edges]
    below = [compare("<", x, edge, now.zone) for edge in edges]
    if below[0]:
        return f"<{names[0]}"
    for index in range(1, len(edges)):
        if below[index]:
            return f"{names[index - 1]}-{names[index]}"
    return f"{names[-1]}+"


def _plainly(edge: Any) -> str:
    """Write the number with its digits only: no trailing zeros, no exponent."""
    text = f"{Decimal(str(edge)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# -- text --------------------------------------------------------------------------------------------------------------


def _contains(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    whole: Any = terms[0][0]
    part: Any = terms[1][0]
    if terms[0][1].of is not None:
        return is_member(terms[1], terms[0], now.zone)
    return whole is not None and part is not None and part in whole


def _startswith(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    text, start = terms[0][0], terms[1][0]
    return isinstance(text, str) and isinstance(start, str) and text.startswith(start)


def _matches(terms: Sequence[Term], kind: Kind, now: Moment) -> bool:
    text, pattern = terms[0][0], terms[1][0]
    if text is None or pattern is None:
        return False
    return re2.fullmatch(pattern, text) is not None


def _lower(terms: Sequence[Term], kind: Kind, now: Moment) -> str | None:
    text = terms[0][0]
    # Character by character is the simple mapping: no final sigma; İ (U+0130) alone has a longer one, beginning with i.
    return "".join(char.lower()[0] for char in text) if isinstance(text, str) else None


SCALARS: Final[Mapping[str, Scalar]] = MappingProxyType(
    {
        "and": _and,
        "or": _or,
        "not": _not,
        **{operator: _comparison(operator) for operator in ("==", "!=", "<", "<=", ">", ">=")},
        "in": _in,
        "not_in": _not_in,
        "missing": _missing,
        "present": _present,
        **{operator: _arithmetic(operator) for operator in ("+", "-", "*", "/")},
        "neg": _neg,
        "local_date": _of_date(lambda day, now: day),
        "days_since": _of_date(lambda day, now: (now.today - day).days),
        "days_until": _of_date(lambda day, now: (day - now.today).days),
        "hours_since": _hours_since,
        "months_since": _of_date(lambda day, now: clock.months_since(day, now.today)),
        "year": _of_date(lambda day, now: day.year),
        "month": _of_date(lambda day, now: day.month),
        "day": _of_date(lambda day, now: day.day),
        "weekday": _of_date(lambda day, now: day.isoweekday()),
        "hour": _hour,
        "age": _of_date(lambda day, now: clock.age(day, now.today)),
        "anniversary": _anniversary,
        "lunar_anniversary": _lunar_anniversary,
        "distance_km": _distance_km,
        "band": _band,
        "coalesce": _coalesce,
        "case": _case,
        "least": _least,
        "greatest": _greatest,
        "contains": _contains,
        "startswith": _startswith,
        "matches": _matches,
        "lower": _lower,
    }
)
