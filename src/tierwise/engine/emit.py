"""Values and conditions in SQL: one emitter per operator and scalar function of the language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import BOOLEAN, DATE, FLOAT, INSTANT, INTEGER, MONEY, Kind
from tierwise.definitions.language.times import Duration
from tierwise.definitions.language.typed import Aggregate, Apply, AsOf, ColumnOf, Const, Expr, ParameterOf, Value
from tierwise.engine.clock import Clock
from tierwise.engine.scalars import SCALARS
from tierwise.engine.sql import all_of, cast, coalesce, fn, literal, null, physical, text, try_cast, when
from tierwise.engine.values import WIDTH, days_step, finite, in_calendar, round9, widened

__all__ = ["Emitter"]

_COMPARE: Final[Mapping[str, Callable[..., exp.Expression]]] = {
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
    "==": exp.EQ,
}
_EXACT: Final = "DECIMAL(38, 6)"
#: A comparison may be written twice while its sides have at most so many nodes.
_SHORT: Final = 600


class Emitter:
    """Turns checked expressions into SQL.

    Args:
        clock: as_of and the calendar.
        resolve: gives the SQL of a leaf that is not a constant (a column, a tag, an aggregate …).
        parameters: values of the parameters.
        lookup: gives the SQL of ``lookup(table, key, column)``, its key already in SQL.
    """

    def __init__(
        self,
        clock: Clock,
        resolve: Callable[[Expr], exp.Expression],
        parameters: Mapping[str, Value],
        lookup: Callable[[str, exp.Expression, str, Kind], exp.Expression],
    ) -> None:
        self.clock, self.resolve, self.parameters, self.lookup = clock, resolve, parameters, lookup

    def reading(self, resolve: Callable[[Expr], exp.Expression]) -> Emitter:
        """Return the same emitter with other leaves."""
        return Emitter(self.clock, resolve, self.parameters, self.lookup)

    def value(self, expr: Expr) -> exp.Expression:
        """Return the value; comparisons and logic are never NULL."""
        match expr:
            case Const(value):
                return literal(value, expr.kind)
            case AsOf():
                return self.clock.as_of
            case ParameterOf(name):
                return literal(self.parameters[name], expr.kind)
            case Apply(function, args):
                if expr.kind == BOOLEAN:
                    return self.boolean(expr)
                if function in _ARITHMETIC:
                    return finite(self.arithmetic(expr)) if expr.kind == FLOAT else self.arithmetic(expr)
                return SCALARS[function](self, args, expr.kind)
        return self.resolve(expr)

    def unchecked(self, expr: Expr) -> exp.Expression:
        """Return the value, of which float arithmetic may have made one that is not finite."""
        if expr.kind == FLOAT and isinstance(expr, Apply) and expr.function in _ARITHMETIC:
            return self.arithmetic(expr)
        return self.value(expr)

    def stored(self, expr: Expr) -> exp.Expression:
        """Return the value as a column keeps it: of its kind's type, a float that is not finite missing."""
        value = self.unchecked(expr)
        if expr.kind == FLOAT:
            value = cast(value, "DOUBLE")
            return when([(fn("isfinite", value.copy()), value)])
        return cast(value, physical(expr.kind))

    # -- conditions -------------------------------------------------------------------------------------------------

    def condition(self, expr: Expr) -> exp.Expression:
        """Return a condition whose NULL means false: for FILTER, WHERE and CASE."""
        match expr:
            case Apply("and", args):
                found = all_of([self.condition(arg) for arg in args])
                assert found is not None
                return found
            case Apply("or", args):
                parts = [self.condition(arg) for arg in args]
                either = parts[0]
                for part in parts[1:]:
                    either = exp.Or(this=either, expression=part)
                return exp.Paren(this=either)
            case Apply("not", (arg,)):
                return exp.Not(this=exp.Paren(this=self.certain(arg)))
            case Apply("!=", args):
                return exp.Not(this=coalesce(self.comparison("==", *args), exp.false()))
            case Apply("not_in", args):
                return exp.Not(this=coalesce(self.contained(*args), exp.false()))
            case Apply("in", args):
                return self.contained(*args)
            case Apply("missing", (arg,)):
                return exp.Paren(this=exp.Is(this=exp.Paren(this=self.value(arg)), expression=null()))
            case Apply("present", (arg,)):
                return exp.Not(this=exp.Paren(this=exp.Is(this=exp.Paren(this=self.value(arg)), expression=null())))
            case Apply(function, (left, right)) if function in _COMPARE:
                return self.comparison(function, left, right)
            case Apply(function, args):
                return SCALARS[function](self, args, BOOLEAN)
        return self.value(expr)

    def certain(self, expr: Expr) -> exp.Expression:
        """Return a condition that is never NULL."""
        if isinstance(expr, Const) or (
            isinstance(expr, Apply) and expr.function in ("not", "!=", "not_in", "missing", "present")
        ):
            return self.condition(expr)
        return coalesce(self.condition(expr), exp.false())

    def boolean(self, expr: Apply) -> exp.Expression:
        """Return a boolean value."""
        if expr.function in ("case", "coalesce", "lookup"):  # these hand on a missing value
            return SCALARS[expr.function](self, expr.args, BOOLEAN)
        return self.certain(expr)

    def comparison(self, function: str, left: Expr, right: Expr) -> exp.Expression:
        """Return a comparison, NULL where a side is missing."""
        if FLOAT in (left.kind, right.kind):
            return self.of_floats(_COMPARE[function], left, right)
        one, two = self.comparable(left, right)
        return _COMPARE[function](this=one, expression=two)

    def of_floats(self, compare: Callable[..., exp.Expression], left: Expr, right: Expr) -> exp.Expression:
        """Return a comparison of numbers one of which is a float: to 9 digits.

        Rounding writes a number out and reads it again, which costs more than all else in a rule; so it is only done
        where it can decide: two values further apart than a tenth of a millionth stand as they stood.
        """
        rounded = compare(this=self.rounded(left), expression=self.rounded(right))
        one, two = (cast(self.unchecked(side), "DOUBLE") for side in (left, right))
        if sum(1 for side in (one, two) for _ in side.walk()) > _SHORT:
            return rounded
        gap = fn("abs", exp.Sub(this=one, expression=two))
        larger = fn("greatest", fn("abs", one.copy()), fn("abs", two.copy()))
        apart = exp.GT(this=gap, expression=exp.Mul(this=literal(1e-7, FLOAT), expression=larger))
        return when([(apart, compare(this=one.copy(), expression=two.copy()))], rounded)

    def comparable(self, left: Expr, right: Expr) -> tuple[exp.Expression, exp.Expression]:
        """Bring two values to types that compare as the language says: exactly, or floats to 9 digits."""
        if not (left.kind.is_number and right.kind.is_number):
            return self.value(left), self.value(right)
        if FLOAT in (left.kind, right.kind):
            return self.rounded(left), self.rounded(right)
        if left.kind == right.kind:
            return self.value(left), self.value(right)
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Const) and other.kind in (MONEY, INTEGER):
                assert isinstance(one.value, int | Decimal)
                fits = _fits(one.value, other.kind)
                if fits is not None:
                    constant = literal(fits, other.kind)
                    return (constant, self.value(right)) if one is left else (self.value(left), constant)
        return cast(self.value(left), _EXACT), cast(self.value(right), _EXACT)

    def rounded(self, expr: Expr) -> exp.Expression:
        """Return a number as binary64 of 9 significant digits."""
        if isinstance(expr, Const):
            assert isinstance(expr.value, int | float | Decimal)
            return literal(float(f"{float(expr.value):.8e}"), FLOAT)
        return round9(cast(self.unchecked(expr), "DOUBLE"))

    def contained(self, value: Expr, listed: Expr) -> exp.Expression:
        """Return `in`, NULL where the value is missing."""
        if isinstance(listed, Const) and isinstance(listed.value, tuple):
            assert listed.kind.of is not None
            items = [Const(item, kind=listed.kind.of) for item in listed.value]
            if value.kind.is_number and any(item.kind != value.kind for item in items):
                either: exp.Expression | None = None
                for item in items:
                    test = self.comparison("==", value, item)
                    either = test if either is None else exp.Or(this=either, expression=test)
                assert either is not None
                return exp.Paren(this=either)
            return exp.In(this=self.value(value), expressions=[self.value(item) for item in items])
        found = self.value(listed)
        if value.kind == FLOAT:
            rounded = exp.Lambda(this=round9(exp.column("v")), expressions=[exp.to_identifier("v")])
            return fn("list_contains", fn("list_transform", found, rounded), self.rounded(value))
        return fn("list_contains", found, self.value(value))

    # -- arithmetic -------------------------------------------------------------------------------------------------

    def arithmetic(self, expr: Apply) -> exp.Expression:
        """Return an operation on numbers, NULL where its result is out of range."""
        args, kind = expr.args, expr.kind
        if kind.is_time or any(arg.kind.is_time for arg in args):
            return self.time_arithmetic(expr)
        if expr.function == "neg":
            negative = exp.Paren(this=exp.Neg(this=exp.Paren(this=self.wide(args[0], kind))))
            return negative if kind == FLOAT else try_cast(negative, physical(kind))
        if expr.function == "/":  # by 0 it is not finite, hence missing
            left, right = (cast(self.value(arg), "DOUBLE") for arg in args)
            return exp.Paren(this=exp.Div(this=left, expression=right, typed=False, safe=False))
        if expr.function == "+":
            return self.added(args, kind)
        operator = {"-": exp.Sub, "*": exp.Mul}[expr.function]
        found, so_far = self.value(args[0]), args[0].kind
        for operand in args[1:]:  # from the left, each result of the kind of its two operands
            both = max(so_far, operand.kind, key=lambda one: WIDTH[one.name])
            result = exp.Paren(this=operator(this=widened(found, so_far, both), expression=self.wide(operand, both)))
            found, so_far = result if both == FLOAT else try_cast(result, physical(both)), both
        return found

    def added(self, args: Sequence[Expr], kind: Kind) -> exp.Expression:
        """Return a sum: exact operands at its beginning exactly, from the first float on from the left."""
        floats = next((index for index, arg in enumerate(args) if arg.kind == FLOAT), len(args))
        exact, rest = list(args[:floats]), args[floats:]
        found: exp.Expression | None = None
        if exact:
            of = max((arg.kind for arg in exact), key=lambda one: WIDTH[one.name])
            found = _sum_of([self.wide(arg, of) for arg in exact])
            if len(exact) > 1:
                found = try_cast(found, physical(of))
            if not rest:
                return found
            found = cast(found, "DOUBLE")
        return _sum_of([*([found] if found is not None else []), *(self.wide(arg, FLOAT) for arg in rest)])

    def wide(self, operand: Expr, kind: Kind) -> exp.Expression:
        """Return an operand in a type in which the operation cannot overflow."""
        return widened(self.value(operand), operand.kind, kind)

    def time_arithmetic(self, expr: Apply) -> exp.Expression:
        """Return an operation on dates and instants."""
        left, right = expr.args
        if left.kind.is_time and right.kind.is_time:
            one, two = self.value(left), self.value(right)
            if expr.kind == INTEGER:
                return cast(fn("date_diff", text("day"), two, one), "BIGINT")
            micros = exp.Paren(this=exp.Sub(this=fn("epoch_us", one), expression=fn("epoch_us", two)))
            return _per_day(micros)
        duration = self.duration(right)
        sign = 1 if expr.function == "+" else -1
        if left.kind == INSTANT:
            moved = self.clock.add(self.value(left), duration, sign)
            return moved if _far_from_ends(left) else in_calendar(moved, INSTANT)
        step = days_step(duration, sign)
        return in_calendar(cast(exp.Paren(this=exp.Add(this=self.value(left), expression=step)), "DATE"), DATE)

    def duration(self, expr: Expr) -> Duration:
        """Return the duration of a constant or parameter."""
        value = (
            self.parameters[expr.name]
            if isinstance(expr, ParameterOf)
            else expr.value
            if isinstance(expr, Const)
            else None
        )
        assert isinstance(value, Duration)
        return value

    def local_wall(self, expr: Expr) -> exp.Expression:
        """Return the wall time of an instant, or the date itself."""
        if expr.kind == DATE:
            return self.value(expr)
        return self.clock.local(self.value(expr), of_row=isinstance(expr, ColumnOf) and expr.column == "time")

    def day(self, expr: Expr) -> exp.Expression:
        """Return the local date of a date or an instant."""
        return self.value(expr) if expr.kind == DATE else cast(self.local_wall(expr), "DATE")


def _far_from_ends(expr: Expr) -> bool:
    """Whether an instant is that of a row or of the answer, which a duration cannot take out of the calendar."""
    match expr:
        case AsOf() | ColumnOf("time") | Aggregate(column="time"):
            return True
    return False


def _per_day(micros: exp.Expression) -> exp.Expression:
    return exp.Paren(
        this=exp.Div(this=cast(micros, "DOUBLE"), expression=literal(86_400_000_000.0, FLOAT), typed=False, safe=False)
    )


def _fits(value: int | Decimal, kind: Kind) -> Value:
    """Return a constant as a value of a narrower kind, when it is one exactly."""
    number_ = Decimal(value)
    if kind == INTEGER:
        return int(number_) if number_ == number_.to_integral_value() and abs(number_) < 2**62 else None
    quantized = number_.quantize(Decimal("0.01")) if abs(number_) < 10**14 else number_
    return quantized if number_ == quantized and abs(number_) < 10**14 else None


def _sum_of(operands: Sequence[exp.Expression]) -> exp.Expression:
    found = operands[0]
    for operand in operands[1:]:
        found = exp.Add(this=found, expression=operand)
    return exp.Paren(this=found)


_ARITHMETIC: Final = ("+", "-", "*", "/", "neg")
