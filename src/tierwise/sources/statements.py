"""The SQL of one file's rows: what each column becomes, what is wrong with a row, what it is in a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import DECIMAL, INSTANT, MONEY, TEXT, Kind
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import Apply, ColumnOf, Expr, walk_typed
from tierwise.definitions.model import Settings
from tierwise.definitions.sources import Source
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.sql import all_of, cast, col, fn, literal, null, number, physical, text, try_cast, when
from tierwise.sources.convert import Converter
from tierwise.sources.mapping import MappedStream, Mapping_, Through
from tierwise.sources.related import RECORD, TIME, UNMATCHED, join_related

__all__ = [
    "RAW", "SEPARATOR", "STAGED", "RowStatements", "StagedStream", "columns_read", "missing", "named", "present",
    "subquery",
]  # fmt: skip

SEPARATOR: Final = "\x1f"
#: The tables of an import: the rows at hand as Arrow has them, and all rows of the file so far.
RAW: Final = "raw$"
STAGED: Final = "staged$"


@dataclass(frozen=True)
class StagedStream:
    """Where the table ``staged$`` has the columns of one stream.

    `takes` is the condition under which a row is the stream's, if there is one; `key` is the row's key, as a UUID of
    its content when there is no declared one (`keyless`); `values` are customer_key, time and the stream's columns.
    """

    mapped: MappedStream
    takes: str | None
    key: str
    keyless: bool
    values: Mapping[str, exp.Expression]


class RowStatements:
    """Writes the SELECTs over the rows of one file: table ``raw$`` with columns f0$ … and line$, o0$ … untrimmed.

    Everything that a row can become is worked out once, layer on layer: the values without blanks, their conversions
    (`prepared`), what expressions make of them (`derived`), amounts in the project's currency (`exchanged`), and last
    the first thing that is wrong with the row. No layer has a WHERE: the engine would work out twice what one reads.

    Args:
        source: how the file is declared.
        mapping: what its columns are mapped to.
        settings: the project's zone, currency and earliest day.
        received_at: when the file is read, naive UTC.
    """

    def __init__(self, source: Source, mapping: Mapping_, settings: Settings, received_at: datetime) -> None:
        self.source, self.mapping = source, mapping
        zone = Zone(source.zone or settings.timezone)
        self.clock = Clock(zone, received_at)
        self.converter = Converter(self.clock, source.numbers, settings.currency)
        self.earliest = zone.midnight(datetime.fromisoformat(settings.earliest).date())
        self.latest = received_at + timedelta(days=1)
        self.columns = {column: f"f{i}$" for i, column in enumerate(mapping.native)}
        self.untrimmed = {column: f"o{i}$" for i, column in enumerate(mapping.native)}
        self.prepared: dict[tuple[str, Kind, tuple[str, ...]], str] = {}
        self.derived: dict[exp.Expression, str] = {}
        self.exchanged: dict[exp.Expression, str] = {}
        self.related: dict[tuple[Through, exp.Expression], str] = {}
        self.excluded = [
            (name, self.named(self.emitter().certain(rule))) for name, rule in self.mapping.exclude.items()
        ]
        self.streams = [self.stream(mapped) for mapped in mapping.streams]
        self.problem = self.judge()

    # -- values -----------------------------------------------------------------------------------------------------

    def raw(self, column: str) -> exp.Expression:
        """A file's value, blank ones missing."""
        return col(self.columns[column], "r")

    def named(self, value: exp.Expression) -> exp.Expression:
        """An expression over conversions as a column of the next layer; the same one is worked out once."""
        if isinstance(value, exp.Column):
            return value
        return col(self.derived.setdefault(value, f"x{len(self.derived)}$"), "r")

    def typed(self, column: str, kind: Kind, formats: Sequence[str] = ()) -> exp.Expression:
        """A file's value as a kind: a column of the conversions, converted once for all its uses."""
        formats = tuple(formats or self.source.formats.get(column, ()))
        name = self.prepared.setdefault((column, kind, formats), f"v{len(self.prepared)}$")
        return col(name, "r")

    def emitter(self) -> Emitter:
        """Return an emitter whose leaves are the file's columns."""

        def resolve(expr: Expr) -> exp.Expression:
            if isinstance(expr, Apply):  # to_number(column)
                return self.number(expr.args[0], emitter)
            assert isinstance(expr, ColumnOf)
            native = self.mapping.native[expr.column]
            if expr.kind == TEXT and pa.types.is_string(native):
                return self.raw(expr.column)
            return self.typed(expr.column, expr.kind)

        def lookup(table: str, key: exp.Expression, column: str, kind: Kind) -> exp.Expression:
            raise AssertionError("a source's scope has no lookups")

        emitter = Emitter(self.clock, resolve, {}, lookup)
        return emitter

    def number(self, expr: Expr, emitter: Emitter) -> exp.Expression:
        """Return a text that meets a number, read as one."""
        if isinstance(expr, ColumnOf):
            return self.typed(expr.column, DECIMAL)
        return self.converter.from_text(emitter.value(expr), DECIMAL)

    def value(self, expr: Expr, kind: Kind, formats: Sequence[str] = ()) -> exp.Expression:
        """A mapped value as its column's kind."""
        if isinstance(expr, ColumnOf):
            return self.typed(expr.column, kind, formats)
        return self.named(try_cast(self.emitter().value(expr), physical(kind)))

    def money(self, value: exp.Expression, kind: Kind) -> exp.Expression:
        """An amount in the project's currency."""
        currency = self.mapping.currency
        if kind != MONEY or currency is None or self.source.currency is None:
            return value
        rates = {name: str(rate) for name, rate in self.source.currency.rates.items()}
        amount = self.converter.rate(value, fn("upper", self.raw(currency)), rates)
        return col(self.exchanged.setdefault(amount, f"m{len(self.exchanged)}$"), "r")

    # -- streams ----------------------------------------------------------------------------------------------------

    def stream(self, mapped: MappedStream) -> StagedStream:
        """Return where a stream's values are, every one of them asked for."""
        takes = self.named(self.emitter().certain(mapped.where)) if mapped.where is not None else None
        values: dict[str, exp.Expression] = {}
        if mapped.customer is not None:
            values["customer_key"] = self.customer_key(mapped)
        if mapped.time is not None:
            values["time"] = self.value(mapped.time, INSTANT, mapped.time_formats)
        else:
            values["time"] = self.of_related(mapped, TIME) if mapped.through else cast(null(), "TIMESTAMP")
        for target, (expr, kind, formats) in mapped.columns.items():
            values[target] = self.money(self.value(expr, kind, formats), kind)
        key = self.named(self.key(mapped))
        assert isinstance(key, exp.Column)
        assert takes is None or isinstance(takes, exp.Column)
        return StagedStream(mapped, takes.name if takes is not None else None, key.name, not mapped.row_key, values)

    def customer_key(self, mapped: MappedStream) -> exp.Expression:
        """Return the customer's number as text; where another stream says whose the row is, the source record's."""
        assert mapped.customer is not None
        return self.of_related(mapped, RECORD) if mapped.through else self.value(mapped.customer, TEXT)

    def of_related(self, mapped: MappedStream, what: str) -> exp.Expression:
        """Return the source record, or the time, of the row of another stream by which a row finds its customer."""
        assert mapped.customer is not None
        assert mapped.through is not None
        value = self.value(mapped.customer, TEXT)
        return col(self.related.setdefault((mapped.through, value), f"t{len(self.related)}$") + what, "r")

    def key(self, mapped: MappedStream) -> exp.Expression:
        """Return a row's key: the declared columns, or a hash of all that is read, as 16 bytes."""
        if mapped.row_key:
            return fn("concat_ws", text("|"), *(_or_empty(self.raw(column)) for column in mapped.row_key))
        parts = [_or_empty(col(self.untrimmed[name], "r")) for name in self.mapping.native]
        return cast(fn("md5", fn("concat_ws", text(SEPARATOR), *parts)), "UUID")

    # -- judging ----------------------------------------------------------------------------------------------------

    def judge(self) -> exp.Expression:
        """Return the first thing that is wrong with a row (``column<US>reason``), or NULL."""
        branches = [(rule, text(SEPARATOR + name)) for name, rule in self.excluded]
        for stream in self.streams:
            takes = col(stream.takes, "r") if stream.takes is not None else exp.true()
            for condition, column, reason in self.checks(stream.mapped):
                both = exp.And(this=takes.copy(), expression=exp.Paren(this=condition))
                branches.append((both, text(f"{column}{SEPARATOR}{reason}")))
        taken = [col(stream.takes, "r") for stream in self.streams if stream.takes is not None]
        if taken and len(taken) == len(self.streams):
            nobody = exp.Not(this=exp.Paren(this=exp.or_(*taken)))
            branches.append((nobody, text(f"{SEPARATOR}no_stream")))
        return when(branches) if branches else cast(null(), "VARCHAR")

    def checks(self, mapped: MappedStream) -> Iterator[tuple[exp.Expression, str, str]]:
        """Yield (condition that is wrong, the file's column, reason) of a stream, in the order they are judged."""
        if mapped.customer is not None:
            yield missing(self.value(mapped.customer, TEXT)), _column_of(mapped.customer), "missing_customer"
            if mapped.through is not None:
                yield missing(self.customer_key(mapped)), _column_of(mapped.customer), UNMATCHED
        if mapped.time is not None:
            time = self.value(mapped.time, INSTANT, mapped.time_formats)
            column = _column_of(mapped.time)
            if isinstance(mapped.time, ColumnOf):
                yield missing(self.raw(mapped.time.column)), column, "missing"
            yield missing(time), column, "not_a_date"
            yield exp.GT(this=time.copy(), expression=literal(self.latest, INSTANT)), column, "future"
            yield exp.LT(this=time.copy(), expression=literal(self.earliest, INSTANT)), column, "before_earliest"
        for target, (expr, kind, formats) in mapped.columns.items():
            column = _column_of(expr)
            value = self.value(expr, kind, formats)
            needed = target in mapped.stream.required
            for read in columns_read(expr):
                if needed:
                    yield missing(self.raw(read)), read, "missing"
            if kind != TEXT:
                filled = all_of([present(self.raw(read)) for read in columns_read(expr)])
                wrong = exp.And(this=filled, expression=missing(value)) if filled is not None else missing(value)
                if isinstance(expr, ColumnOf) or kind.is_number:
                    yield wrong, column, self.converter.reason(kind)
            if kind == MONEY and self.mapping.currency is not None:
                yield (
                    exp.And(this=present(value.copy()), expression=missing(self.money(value.copy(), kind))),
                    self.mapping.currency,
                    "unknown_currency",
                )
            if target == "amount" and mapped.stream.name in ("orders", "refunds"):
                yield exp.LT(this=value.copy(), expression=number(0)), column, "negative"
        keyless = all_of([missing(self.raw(column)) for column in mapped.row_key])
        if keyless is not None:
            yield keyless, ", ".join(mapped.row_key), "missing"

    # -- the layers -------------------------------------------------------------------------------------------------

    def staged(self) -> exp.Select:
        """Return every raw row as a row of ``staged$``: line$, problem$ and what the streams need of it."""
        select = self.cleaned()
        for layer in (self.converted(), self.resolved(), _layer(self.derived), _layer(self.exchanged)):
            select = layer.from_(select.subquery("r"))
        select = join_related(select, self.related)
        kept: dict[str, None] = {}
        for stream in self.streams:
            kept |= dict.fromkeys(value.name for value in stream.values.values() if isinstance(value, exp.Column))
            kept |= dict.fromkeys(name for name in (stream.takes, stream.key) if name is not None)
        last = exp.select(col("line$", "r"), self.problem.copy().as_("problem$", quoted=True))
        return last.select(*(col(name, "r") for name in kept)).from_(select.subquery("r"))

    def cleaned(self) -> exp.Select:
        """Return the raw rows, blank texts and words that stand for nothing missing."""
        select = exp.select(col("line$", "r")).from_(named(RAW, "r"))
        if any(stream.keyless for stream in self.streams):
            select = select.select(*(col(name, "r") for name in self.untrimmed.values()))
        for column, name in self.columns.items():
            value: exp.Expression = col(name, "r")
            if pa.types.is_string(self.mapping.native[column]):
                for word in ("", *self.source.missing):
                    value = fn("nullif", value, text(word))
            select = select.select(value.as_(name, quoted=True))
        return select

    def converted(self) -> exp.Select:
        """Return the layer of conversions; of a time only the wall time in the source's zone."""
        layer = exp.select("r.*")
        for (column, kind, formats), name in self.prepared.items():
            native, raw = self.mapping.native[column], self.raw(column)
            if kind == INSTANT:
                wall, _ = self.converter.wall(raw, native, formats)
                layer = layer.select(wall.as_(f"w{name}", quoted=True))
            else:
                layer = layer.select(self.converter.convert(raw, native, kind, formats).as_(name, quoted=True))
        return layer

    def resolved(self) -> exp.Select:
        """Return the layer that makes instants of wall times, or takes those that say their offset."""
        layer = exp.select("r.*")
        for (column, kind, formats), name in self.prepared.items():
            if kind == INSTANT:
                _, instant = self.converter.wall(self.raw(column), self.mapping.native[column], formats)
                wall = col(f"w{name}", "r")
                local = self.clock.to_utc(wall.copy(), inline=True)
                layer = layer.select(when([(present(wall), local)], instant).as_(name, quoted=True))
        return layer


def named(name: str, alias: str = "") -> exp.Table:
    """Return a table by its name."""
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )


def subquery(query: exp.Expression) -> exp.Subquery:
    """Return a query as a table."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("u")))


def missing(value: exp.Expression) -> exp.Expression:
    """Return that a value is NULL."""
    return exp.Paren(this=exp.Is(this=exp.Paren(this=value), expression=null()))


def present(value: exp.Expression) -> exp.Expression:
    """Return that a value is not NULL."""
    return exp.Not(this=missing(value))


def columns_read(expr: Expr) -> list[str]:
    """Return the file's columns an expression reads."""
    return list(dict.fromkeys(part.column for part in walk_typed(expr) if isinstance(part, ColumnOf)))


def _layer(made: Mapping[exp.Expression, str]) -> exp.Select:
    """Return the rows with what is made of them."""
    return exp.select("r.*", *(value.copy().as_(name, quoted=True) for value, name in made.items()))


def _column_of(expr: Expr) -> str:
    return ", ".join(columns_read(expr))


def _or_empty(value: exp.Expression) -> exp.Expression:
    return exp.Coalesce(this=cast(value, "VARCHAR"), expressions=[text("")])
