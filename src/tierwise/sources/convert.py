"""Texts (and native values) of a file as typed values in SQL: numbers, dates, times, truth values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import (
    BOOLEAN,
    DATE,
    DECIMAL,
    FLOAT,
    INSTANT,
    INTEGER,
    MONEY,
    TEXT,
    Kind,
)
from tierwise.definitions.sources import NumbersForm
from tierwise.engine.clock import Clock
from tierwise.engine.sql import cast, fn, null, number, physical, text, try_cast, when

__all__ = ["DEFAULT_FORMATS", "EXCEL", "REASONS", "Converter", "kind_of_arrow"]

#: Why a row is quarantined, beside the names of a source's own exclusions and the reader's reasons.
REASONS: Final = {
    "missing_customer": "The row names no customer.",
    "unmatched": "No row received so far says whose row this is; it is tried again when there are others.",
    "missing": "A column that the stream needs is empty.",
    "not_a_number": "The value is not a number, or too large for one.",
    "not_a_date": "The value is not a date or a time in the declared formats, or does not exist.",
    "not_a_boolean": "The value is neither true nor false.",
    "future": "The time is more than a day after the import.",
    "before_earliest": "The time is before the project's `earliest` day.",
    "negative": "An order's or a refund's amount is below zero.",
    "unknown_currency": "The row's currency has no declared rate.",
    "no_stream": "No stream of the source takes the row.",
    "erased": "The row is about somebody who was erased; its text is not kept.",
    "changed": "A row with this key was read before with other content, and `on_change` is quarantine.",
}

_FULL_WIDTH: Final = ("０１２３４５６７８９．，－＋％\u3000", "0123456789.,-+% ")
_SYMBOLS: Final = {"CNY": "¥￥元", "JPY": "¥￥円", "USD": "$", "EUR": "€", "GBP": "£", "HKD": "$", "TWD": "$"}
_DATES: Final = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%Y年%m月%d日")
_TIMES: Final = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H时%M分%S秒", "%H时%M分")
#: No text is in two of these formats, so their order only says which are tried first: those that files mostly have.
DEFAULT_FORMATS: Final = tuple(
    dict.fromkeys(
        ["%Y-%m-%d %H:%M:%S", *_DATES[:3], "%Y-%m-%dT%H:%M:%S"]
        + [f"{day}{gap}{time}" for time in _TIMES for day in _DATES for gap in " T" if gap == " " or day == _DATES[0]]
        + ["%Y%m%d%H%M%S", "%Y年%m月%d日%H:%M:%S", "%Y年%m月%d日%H:%M", *_DATES]
    )
)
#: The last microsecond of the year 9999.
_LATEST_MICROS: Final = 253_402_300_799_999_999
#: The format that means days as a sheet numbers them, and its zeroth day before 1970 in milliseconds.
EXCEL: Final = "excel"
_SERIAL_MILLIS: Final = 25_569 * 86_400_000
_TRUE: Final = ("true", "t", "yes", "y", "1", "是", "真", "有")
_FALSE: Final = ("false", "f", "no", "n", "0", "否", "假", "无")


def kind_of_arrow(kind: pa.DataType) -> Kind:
    """Return the language's kind of a file's native type.

    Example:
        >>> str(kind_of_arrow(pa.float64()))
        'decimal'
    """
    if pa.types.is_boolean(kind):
        return BOOLEAN
    if pa.types.is_integer(kind):
        return INTEGER
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return DECIMAL
    if pa.types.is_date(kind):
        return DATE
    if pa.types.is_timestamp(kind):
        return INSTANT
    return TEXT


@dataclass(frozen=True)
class Converter:
    """How one source writes things.

    `clock` has the source's zone; `currency` is the project's, its signs are taken off amounts.
    """

    clock: Clock
    numbers: NumbersForm
    currency: str

    def reason(self, kind: Kind) -> str:
        """Return why a value that does not convert is quarantined."""
        if kind.is_time:
            return "not_a_date"
        return "not_a_boolean" if kind == BOOLEAN else "not_a_number"

    def convert(
        self, value: exp.Expression, native: pa.DataType, kind: Kind, formats: Sequence[str] = ()
    ) -> exp.Expression:
        """Return the value as `kind`, NULL where it is not one."""
        if pa.types.is_string(native) or pa.types.is_large_string(native):
            return self.from_text(value, kind, formats)
        if kind == TEXT:
            if pa.types.is_floating(native):
                whole = cast(try_cast(value.copy(), "BIGINT"), "VARCHAR")
                return when(
                    [(exp.EQ(this=value.copy(), expression=fn("floor", value.copy())), whole)], cast(value, "VARCHAR")
                )
            return cast(value, "VARCHAR")
        assert kind != INSTANT, "times are converted in two steps, see wall()"
        if kind == DATE and pa.types.is_timestamp(native):
            return cast(cast(value, "TIMESTAMP"), "DATE")
        if kind == FLOAT:
            double = cast(value, "DOUBLE")
            return when([(fn("isfinite", double.copy()), double)])
        return try_cast(value, physical(kind))

    def wall(
        self, value: exp.Expression, native: pa.DataType, formats: Sequence[str] = ()
    ) -> tuple[exp.Expression, exp.Expression]:
        """Return a time as (wall time in the source's zone, UTC instant where it says its offset).

        The second is asked only where the first is NULL. A bare date is its midnight.
        """
        nothing = cast(null(), "TIMESTAMP")
        scale = {"epoch": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}.get(formats[0]) if formats else None
        if pa.types.is_timestamp(native):
            instant = cast(value, "TIMESTAMP")
            return (instant, nothing) if native.tz is None else (nothing, instant)
        if pa.types.is_date(native):
            return cast(value, "TIMESTAMP"), nothing
        written = value if pa.types.is_string(native) else cast(value, "VARCHAR")
        if scale is not None:
            count = self.whole(written)
            credible = exp.Between(this=count.copy(), low=number(0), high=number(_LATEST_MICROS // scale))
            micros = exp.Mul(this=count, expression=number(scale))
            return nothing, when([(credible, fn("make_timestamp", exp.Paren(this=micros)))], nothing)
        parsed = self.moment(written, formats)
        if formats:
            return parsed, nothing
        offset = fn(
            "regexp_full_match",
            written.copy(),
            text("[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+ ?(?:Z|[-+][0-9]{2}:?[0-9]{2})"),
        )
        return parsed, when([(offset, cast(try_cast(written, "TIMESTAMPTZ"), "TIMESTAMP"))], nothing)

    # -- from text --------------------------------------------------------------------------------------------------

    def from_text(self, value: exp.Expression, kind: Kind, formats: Sequence[str] = ()) -> exp.Expression:
        """Return a text (already trimmed, never blank) as `kind`."""
        match kind.name:
            case "integer":
                return self.whole(value)
            case "decimal" | "money":
                return self.exact(value, physical(kind))
            case "float":
                double = try_cast(self.plain(value), "DOUBLE")
                other = when([(fn("isfinite", double.copy()), double)])
                if self.numbers.decimal != ".":
                    return other
                common = fn("regexp_full_match", value.copy(), text("[-+]?[0-9]{1,18}(?:\\.[0-9]{1,18})?"))
                return when([(common, try_cast(value.copy(), "DOUBLE"))], other)
            case "boolean":
                lower = fn("lower", value)
                yes = exp.In(this=lower, expressions=[text(word) for word in _TRUE])
                no = exp.In(this=lower.copy(), expressions=[text(word) for word in _FALSE])
                return when([(yes, exp.true()), (no, exp.false())])
            case "date":
                return cast(self.moment(value, formats), "DATE")
        return value

    def moment(self, value: exp.Expression, formats: Sequence[str]) -> exp.Expression:
        """A date or time in one of the formats; the engine's own words for instants (epoch, infinity) are none."""
        if EXCEL in formats:
            rest = [one for one in formats if one != EXCEL]
            serial = self.serial(value)
            return exp.Coalesce(this=serial, expressions=[self.moment(value.copy(), rest)]) if rest else serial
        parsed = fn("try_strptime", value.copy(), _list(formats or DEFAULT_FORMATS))
        # By default a year has four digits: of `1/2/26` nobody knows which part it is, the engine would take year 1.
        begins = text("[0-9]" if formats else "^[0-9]{4}")
        return when([(fn("regexp_matches", value, begins), parsed)], cast(null(), "TIMESTAMP"))

    def serial(self, value: exp.Expression) -> exp.Expression:
        """A day as a sheet numbers it (46025 is 3 January 2026), to the millisecond; its 60th day never was."""
        days = try_cast(self.plain(value), "DECIMAL(18, 10)")
        credible = exp.Between(this=days.copy(), low=number(61), high=number(2_958_465))
        millis = exp.Mul(this=cast(days, "DECIMAL(38, 10)"), expression=number(86_400_000))
        since = exp.Paren(this=exp.Sub(this=cast(fn("round", millis), "BIGINT"), expression=number(_SERIAL_MILLIS)))
        moment = fn("make_timestamp", exp.Mul(this=since, expression=number(1000)))
        return when([(credible, moment)], cast(null(), "TIMESTAMP"))

    def exact(self, value: exp.Expression, to: str) -> exp.Expression:
        """A number as an exact decimal; what has more places is rounded half away from zero."""
        if self.numbers.decimal == ".":
            direct = when([(exp.Not(this=fn("contains", value.copy(), text("_"))), try_cast(value.copy(), to))])
            return _first(direct, try_cast(self.plain(value), to))
        return try_cast(self.plain(value), to)

    def whole(self, value: exp.Expression) -> exp.Expression:
        """A whole number; ``3.0`` is one, ``3.5`` is not."""
        direct = when(
            [(fn("regexp_full_match", value.copy(), text("[-+]?[0-9]{1,18}")), try_cast(value.copy(), "BIGINT"))]
        )
        exact = try_cast(self.plain(value), "DECIMAL(38, 6)")
        same = exp.EQ(this=exact.copy(), expression=fn("floor", exact.copy()))
        return _first(direct, when([(same, try_cast(exact, "BIGINT"))]))

    def plain(self, value: exp.Expression) -> exp.Expression:
        """A number as the engine writes it, or NULL: separators, full-width digits and currency signs taken off."""
        narrow = fn("trim", fn("translate", value, text(_FULL_WIDTH[0]), text(_FULL_WIDTH[1])))
        signs = _SYMBOLS.get(self.currency, "")
        if signs:
            narrow = fn("regexp_replace", narrow, text(f"^([-+]?) *(?:[{signs}]|{self.currency}) *"), text("\\1"))
            narrow = fn("regexp_replace", narrow, text(f" *(?:[{signs}]|{self.currency})$"), text(""))
        point, comma = self.numbers.decimal, self.numbers.thousands
        grouped = f"[-+]?[0-9]{{1,3}}(?:{_escaped(comma)}[0-9]{{3}})+(?:{_escaped(point)}[0-9]+)?" if comma else "$^"
        bare = f"[-+]?(?:[0-9]+(?:{_escaped(point)}[0-9]*)?|{_escaped(point)}[0-9]+)(?:[eE][-+]?[0-9]{{1,2}})?"
        ungrouped = fn("replace", narrow.copy(), text(comma), text("")) if comma else narrow.copy()

        def pointed(part: exp.Expression) -> exp.Expression:
            return part if point == "." else fn("replace", part, text(point), text("."))

        return when(
            [
                (fn("regexp_full_match", narrow.copy(), text(bare)), pointed(narrow.copy())),
                (fn("regexp_full_match", narrow, text(grouped)), pointed(ungrouped)),
            ],
            cast(null(), "VARCHAR"),
        )

    def rate(self, amount: exp.Expression, currency: exp.Expression, rates: dict[str, str]) -> exp.Expression:
        """Return an amount in the project's currency; NULL when its currency has no rate."""
        branches = [(exp.EQ(this=currency.copy(), expression=text(self.currency)), amount)]
        for name, factor in rates.items():
            converted = exp.Mul(
                this=cast(amount.copy(), "DECIMAL(38, 6)"), expression=cast(text(factor), "DECIMAL(18, 6)")
            )
            branches.append(
                (
                    exp.EQ(this=currency.copy(), expression=text(name)),
                    try_cast(exp.Paren(this=converted), physical(MONEY)),
                )
            )
        return when(branches)


def _first(value: exp.Expression, otherwise: exp.Expression) -> exp.Expression:
    """Return the value, else the other one, which is worked out only for the rows that need it.

    Of a COALESCE the engine would work out what occurs in it twice for every row beforehand; of a CASE it does not.
    """
    return when([(exp.Not(this=exp.Is(this=exp.Paren(this=value.copy()), expression=null())), value)], otherwise)


def _list(formats: Sequence[str]) -> exp.Expression:
    return exp.Array(expressions=[text(one) for one in formats])


def _escaped(sign: str) -> str:
    return f"\\{sign}" if sign in ".'" else sign
