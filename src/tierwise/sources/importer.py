"""Importing one file: every row becomes new, replaced, duplicate or quarantined, and all of it is committed at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.language.kinds import DECIMAL, INSTANT, MONEY, TEXT, Kind
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import Apply, ColumnOf, Expr, walk_typed
from tierwise.definitions.load import Definitions
from tierwise.definitions.sources import Source
from tierwise.definitions.streams import CUSTOMERS
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.sql import all_of, cast, col, equals, fn, literal, null, number, physical, text, try_cast, when
from tierwise.lake import Lake
from tierwise.sources.convert import Converter
from tierwise.sources.mapping import MappedStream, Mapping_
from tierwise.sources.records import CsvReader, ParquetReader, RawBatch
from tierwise.sources.withdraw import REMOVED, gone, withdrawn

__all__ = ["FileImport", "ImportReport", "import_file"]

_SEPARATOR: Final = "\x1f"
_QUARANTINE: Final = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("original", pa.string()),
        ("import_id", pa.int64()),
        ("received_at", pa.timestamp("us")),
    ]
)


@dataclass
class ImportReport:
    """What became of a file's rows; ``rows_read = new + replaced + duplicate + quarantined``, always.

    `withdrawn` rows are none of the file's: rows it brought when its source was declared otherwise, and no longer does.
    """

    source: str
    file: str
    rows_read: int = 0
    new: int = 0
    replaced: int = 0
    duplicate: int = 0
    quarantined: int = 0
    kept_first: int = 0
    withdrawn: int = 0
    blank_lines: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    encoding: str = ""
    personal_columns_not_loaded: list[str] = field(default_factory=list)
    state: str = "imported"

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class FileImport:
    """Everything an import of one file needs beside the file.

    `file` is what the lake calls it; `earlier` are the imports of this file before, `superseded` those whose rows this
    one replaces as a whole (see `tierwise.sources.withdraw`); `remapped` says that the source is declared otherwise.
    """

    name: str
    file: str
    source: Source
    definitions: Definitions
    mapping: Mapping_
    fingerprint: str
    source_hash: str
    received_at: datetime
    remapped: bool = False
    earlier: tuple[int, ...] = ()
    superseded: tuple[int, ...] = ()


def import_file(
    work: FileImport,
    path: Path,
    reader: CsvReader | ParquetReader,
    lake: Lake,
    quarantine: Path,
    assign: Callable[[pa.Table], pa.Table],
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Read a file into the lake.

    Args:
        work: the source, its mapping and what is known of the file.
        path: the file, for reports.
        reader: the open file.
        lake: where accepted rows go.
        quarantine: folder of the quarantine files.
        assign: gives (key_space, source_key) their source_record_id, see the store.
        progress: called with the rows read so far.

    Raises:
        SourceUnreadable: when the file turns out to be unreadable half-way; nothing of it has been imported then.
    """
    number_ = lake.version + 1
    draft = lake.draft(f"import-{number_}")
    with DuckEngine(draft / "staging.duckdb") as engine:
        return _Import(work, path, reader, lake, quarantine, assign, progress, engine, number_, draft).run()


class _Import:
    def __init__(
        self,
        work: FileImport,
        path: Path,
        reader: CsvReader | ParquetReader,
        lake: Lake,
        quarantine: Path,
        assign: Callable[[pa.Table], pa.Table],
        progress: Callable[[int], None],
        engine: DuckEngine,
        import_id: int,
        draft: Path,
    ) -> None:
        self.work, self.path, self.reader, self.lake, self.quarantine = work, path, reader, lake, quarantine
        self.assign, self.progress, self.engine, self.import_id, self.draft = assign, progress, engine, import_id, draft
        source, settings = work.source, work.definitions.settings
        zone = Zone(source.zone or settings.timezone)
        self.clock = Clock(zone, work.received_at)
        self.converter = Converter(self.clock, source.numbers, settings.currency)
        for name, body in self.clock.macros().items():
            engine.define(name, body)
        self.earliest = zone.midnight(datetime.fromisoformat(settings.earliest).date())
        self.latest = work.received_at + timedelta(days=1)
        self.columns = {column: f"f{i}$" for i, column in enumerate(work.mapping.native)}
        self.report = ImportReport(work.name, path.name, personal_columns_not_loaded=sorted(work.mapping.personal))
        self.prepared: dict[tuple[str, Kind, tuple[str, ...]], str] = {}
        self.reasons: Counter[str] = Counter()
        self.bad: list[dict[str, Any]] = []
        self.bad_files: list[pa.Table] = []

    def run(self) -> ImportReport:
        self.stage_all()
        self.settle()
        files = self.write()
        self.close_quarantine()
        report = self.report
        report.reasons = dict(sorted(self.reasons.items()))
        report.quarantined = sum(self.reasons.values())
        assert report.rows_read == report.new + report.replaced + report.duplicate + report.quarantined, report
        about = {
            "source": self.work.name,
            "file": self.work.file,
            "fingerprint": self.work.fingerprint,
            "source_hash": self.work.source_hash,
            "received_at": self.work.received_at.isoformat(),
            "report": report.as_json(),
            "replaced": sorted(self.replaced_streams),
            "whole": self.whole,
        }
        self.lake.commit("rows", files, f"{self.import_id:08d}", about)
        return report

    # -- reading and converting -------------------------------------------------------------------------------------

    def stage_all(self) -> None:
        """Convert batch after batch into the staging tables."""
        self.selects = [self.select(mapped) for mapped in self.work.mapping.streams]
        self.judging = self.judged()
        for index, _ in enumerate(self.selects):
            self.engine.drop(f"staged{index}$")
        first = True
        for batch in self.reader:
            self.stage(batch, first)
            first = False
            self.progress(self.report.rows_read)
        if first:
            empty = pa.table({name: pa.array([], kind) for name, kind in self.work.mapping.native.items()})
            self.stage(RawBatch(empty, pa.array([], pa.int64()), [], lambda i: ""), True)
        self.report.blank_lines = self.reader.blank_lines
        self.report.encoding = self.reader.encoding.name if isinstance(self.reader, CsvReader) else ""

    def stage(self, batch: RawBatch, first: bool) -> None:
        self.report.rows_read += batch.records
        for reject in batch.rejects:
            original = "(withheld: the file has personal columns)" if self.work.mapping.personal else reject.text
            self.quarantined(reject.line, reject.column, reject.reason, original, reject.detail)
        renamed = {
            self.columns[name]: batch.table.column(name)
            for name in self.work.mapping.native
            if name in batch.table.column_names
        }
        rows = pa.table({**renamed, "line$": batch.lines})
        self.engine.register("raw$", rows)
        self.engine.create("judged$", self.judging, temporary=True)
        problems = (
            exp.select(col("line$"), col("problem$"))
            .from_(_t("judged$"))
            .where(_present(col("problem$")))
            .order_by(col("line$"))
        )
        bad = self.engine.rows(problems)
        if bad:
            positions = {line: i for i, line in enumerate(batch.lines.to_pylist())}
            originals = self.originals_of(batch, [positions[line] for line, _ in bad])
            for (line, problem), original in zip(bad, originals, strict=True):
                column, _, reason = problem.rpartition(_SEPARATOR)
                self.quarantined(line, column or None, reason, original)
        for index, select in enumerate(self.selects):
            if first:
                self.engine.create(f"staged{index}$", select)
            else:
                self.engine.execute(exp.Insert(this=_t(f"staged{index}$"), expression=select))

    def originals_of(self, batch: RawBatch, indices: list[int]) -> list[str]:
        """Rows as they were; of a file with personal columns only the other columns."""
        if isinstance(self.reader, CsvReader) and not self.work.mapping.personal:
            return [batch.text_of(index) for index in indices]
        rows = batch.table.take(pa.array(indices, pa.int64())).to_pylist()
        return [json.dumps(row, ensure_ascii=False, default=str) for row in rows]

    def quarantined(self, line: int, column: str | None, reason: str, original: str, detail: str = "") -> None:
        self.reasons[reason] += 1
        self.bad.append(
            {
                "source": self.work.name,
                "file": self.path.name,
                "line": line,
                "column": column,
                "reason": reason,
                "detail": detail,
                "original": original,
                "import_id": self.import_id,
                "received_at": self.work.received_at,
            }
        )
        if len(self.bad) >= 50_000:
            self.bad_files.append(pa.Table.from_pylist(self.bad, schema=_QUARANTINE))
            self.bad.clear()

    # -- SQL of a row -----------------------------------------------------------------------------------------------

    def raw(self, column: str) -> exp.Expression:
        """A file's value, blank ones missing."""
        value: exp.Expression = col(self.columns[column], "r")
        if pa.types.is_string(self.work.mapping.native[column]):
            value = fn("nullif", fn("trim", value, text(" \t\r\n\u3000\u00a0")), text(""))
            for word in self.work.source.missing:
                value = fn("nullif", value, text(word))
        return value

    def typed(self, column: str, kind: Kind, formats: Sequence[str] = ()) -> exp.Expression:
        """A file's value as a kind: a column of `conversions`, converted once for all its uses."""
        formats = tuple(formats or self.work.source.formats.get(column, ()))
        name = self.prepared.setdefault((column, kind, formats), f"v{len(self.prepared)}$")
        return col(name, "r")

    def conversions(self) -> exp.Select:
        """Return the raw rows with every conversion that an expression asked for."""
        inner = exp.select("r.*").from_(_t("raw$", "r"))
        outer = exp.select("r.*")
        for (column, kind, formats), name in self.prepared.items():
            native, raw = self.work.mapping.native[column], self.raw(column)
            if kind == INSTANT:
                wall, instant = self.converter.wall(raw, native, formats)
                inner = inner.select(wall.as_(f"w{name}", quoted=True), instant.as_(f"i{name}", quoted=True))
                local = self.clock.to_utc(col(f"w{name}", "r"), inline=True)
                value: exp.Expression = exp.Coalesce(this=col(f"i{name}", "r"), expressions=[local])
                outer = outer.select(value.as_(name, quoted=True))
            else:
                inner = inner.select(self.converter.convert(raw, native, kind, formats).as_(name, quoted=True))
        return outer.from_(inner.subquery("r"))

    def emitter(self) -> Emitter:
        def resolve(expr: Expr) -> exp.Expression:
            if isinstance(expr, Apply):  # to_number(column)
                return self.number(expr.args[0], emitter)
            assert isinstance(expr, ColumnOf)
            native = self.work.mapping.native[expr.column]
            if expr.kind == TEXT and pa.types.is_string(native):
                return self.raw(expr.column)
            return self.typed(expr.column, expr.kind)

        def lookup(table: str, key: exp.Expression, column: str, kind: Kind) -> exp.Expression:
            raise AssertionError("a source's scope has no lookups")

        emitter = Emitter(self.clock, resolve, {}, lookup)
        return emitter

    def number(self, expr: Expr, emitter: Emitter) -> exp.Expression:
        if isinstance(expr, ColumnOf):
            return self.typed(expr.column, DECIMAL)
        return self.converter.from_text(emitter.value(expr), DECIMAL)

    def value(self, expr: Expr, kind: Kind, formats: Sequence[str] = ()) -> exp.Expression:
        """A mapped value as its column's kind."""
        if isinstance(expr, ColumnOf):
            return self.typed(expr.column, kind, formats)
        value = self.emitter().value(expr)
        return value if kind == expr.kind else try_cast(value, physical(kind))

    def money(self, value: exp.Expression, kind: Kind) -> exp.Expression:
        """An amount in the project's currency."""
        currency = self.work.mapping.currency
        if kind != MONEY or currency is None or self.work.source.currency is None:
            return value
        rates = {name: str(rate) for name, rate in self.work.source.currency.rates.items()}
        return self.converter.rate(value, fn("upper", self.raw(currency)), rates)

    def key_part(self, column: str) -> exp.Expression:
        return exp.Coalesce(this=cast(self.raw(column), "VARCHAR"), expressions=[text("")])

    def customer_key(self, mapped: MappedStream) -> exp.Expression:
        assert mapped.customer is not None
        return self.value(mapped.customer, TEXT)

    # -- judging ----------------------------------------------------------------------------------------------------

    def judged(self) -> exp.Select:
        """Return every raw row with the first thing that is wrong with it (``column<US>reason``), or NULL."""
        branches: list[tuple[exp.Expression, exp.Expression]] = []
        emitter = self.emitter()
        for name, rule in self.work.mapping.exclude.items():
            branches.append((emitter.condition(rule), text(_SEPARATOR + name)))
        taken: list[exp.Expression] = []
        for mapped in self.work.mapping.streams:
            takes = emitter.certain(mapped.where) if mapped.where is not None else exp.true()
            taken.append(takes)
            for condition, column, reason in self.checks(mapped):
                both = exp.And(this=takes.copy(), expression=exp.Paren(this=condition))
                branches.append((both, text(f"{column}{_SEPARATOR}{reason}")))
        if taken and not any(isinstance(one, exp.Boolean) for one in taken):
            nobody = exp.Not(this=exp.Paren(this=exp.or_(*taken)))
            branches.append((nobody, text(f"{_SEPARATOR}no_stream")))
        problem = when(branches) if branches else cast(null(), "VARCHAR")
        return exp.select("r.*", problem.as_("problem$", quoted=True)).from_(self.conversions().subquery("r"))

    def checks(self, mapped: MappedStream) -> Iterator[tuple[exp.Expression, str, str]]:
        """Yield (condition that is wrong, the file's column, reason) of a stream, in the order they are judged."""
        if mapped.customer is not None:
            yield _missing(self.customer_key(mapped)), _column_of(mapped.customer), "missing_customer"
        if mapped.time is not None:
            time = self.value(mapped.time, INSTANT, mapped.time_formats)
            column = _column_of(mapped.time)
            if isinstance(mapped.time, ColumnOf):
                yield _missing(self.raw(mapped.time.column)), column, "missing"
            yield _missing(time), column, "not_a_date"
            yield exp.GT(this=time.copy(), expression=literal(self.latest, INSTANT)), column, "future"
            yield exp.LT(this=time.copy(), expression=literal(self.earliest, INSTANT)), column, "before_earliest"
        for target, (expr, kind, formats) in mapped.columns.items():
            column = _column_of(expr)
            value = self.value(expr, kind, formats)
            needed = target in mapped.stream.required
            for read in _columns_read(expr):
                if needed:
                    yield _missing(self.raw(read)), read, "missing"
            if kind != TEXT:
                present = all_of([_present(self.raw(read)) for read in _columns_read(expr)])
                wrong = exp.And(this=present, expression=_missing(value)) if present is not None else _missing(value)
                if isinstance(expr, ColumnOf) or kind.is_number:
                    yield wrong, column, self.converter.reason(kind)
            if kind == MONEY and self.work.mapping.currency is not None:
                yield (
                    exp.And(this=_present(value.copy()), expression=_missing(self.money(value.copy(), kind))),
                    self.work.mapping.currency,
                    "unknown_currency",
                )
            if target == "amount" and mapped.stream.name in ("orders", "refunds"):
                yield exp.LT(this=value.copy(), expression=number(0)), column, "negative"
        keyless = all_of([_missing(self.raw(column)) for column in mapped.row_key])
        if keyless is not None:
            yield keyless, ", ".join(mapped.row_key), "missing"

    def select(self, mapped: MappedStream) -> exp.Select:
        """Return the accepted rows of the current batch as rows of a stream, with their keys and hashes."""
        values: dict[str, exp.Expression] = {}
        if mapped.customer is not None:
            values["customer_key"] = self.customer_key(mapped)
        values["time"] = (
            self.value(mapped.time, INSTANT, mapped.time_formats)
            if mapped.time is not None
            else cast(null(), "TIMESTAMP")
        )
        for target, (expr, kind, formats) in mapped.columns.items():
            value = self.money(self.value(expr, kind, formats), kind)
            values[target] = cast(value, physical(kind))
        inner = exp.select(*(value.as_(name, quoted=True) for name, value in values.items()), col("line$", "r"))
        if mapped.row_key:
            key = fn("concat_ws", text("|"), *map(self.key_part, mapped.row_key))
        else:
            read = [name for name in self.work.mapping.native if name not in self.work.mapping.personal]
            parts = [
                exp.Coalesce(this=cast(col(self.columns[name], "r"), "VARCHAR"), expressions=[text("")])
                for name in read
            ]
            key = fn("md5", fn("concat_ws", text(_SEPARATOR), *parts))
        inner = (
            inner.select(key.as_("row_key"))
            .from_(_t("judged$", "r"))
            .where(exp.Is(this=col("problem$", "r"), expression=null()))
        )
        if mapped.where is not None:
            inner = inner.where(self.emitter().condition(mapped.where))
        contents = [exp.Coalesce(this=cast(col(name), "VARCHAR"), expressions=[text("\x1e")]) for name in values]
        content = fn("md5", fn("concat_ws", text(_SEPARATOR), *contents))
        return exp.select("*", content.as_("content_hash")).from_(inner.subquery("v"))

    # -- what became of each row ------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Compare the staged rows with the lake and with each other; count each line once."""
        self.fates: list[str] = []
        self.replaced_streams: set[str] = set()
        for index, mapped in enumerate(self.work.mapping.streams):
            if not mapped.row_key:
                self.number_occurrences(index)
            self.engine.create(f"fate{index}$", self.fate(index, mapped))
            self.fates.append(f"fate{index}$")
        self.quarantine_changed()
        if not self.fates:
            return
        lines: exp.Expression = exp.select(col("line$"), col("rank$")).from_(_t(self.fates[0]))
        for name in self.fates[1:]:
            lines = exp.Union(
                this=lines, expression=exp.select(col("line$"), col("rank$")).from_(_t(name)), distinct=False
            )
        best = (
            exp.select(col("line$"), exp.Max(this=col("rank$")).as_("rank$", quoted=True))
            .from_(_sub(lines))
            .group_by(col("line$"))
        )
        counts = exp.select(col("rank$"), exp.Count(this=exp.Star())).from_(best.subquery("b")).group_by(col("rank$"))
        for rank, count in self.engine.rows(counts):
            match rank:
                case 3:
                    self.report.new += count
                case 2:
                    self.report.replaced += count
                case _:
                    self.report.duplicate += count
                    self.report.kept_first += count if rank == 1 else 0

    def number_occurrences(self, index: int) -> None:
        """Rows without a key are known by their content and their how-many-th occurrence in the file."""
        order = exp.Order(expressions=[exp.Ordered(this=col("line$"))])
        nth = exp.Window(this=exp.RowNumber(), partition_by=[col("row_key")], order=order)
        key = fn("concat", col("row_key"), text("-"), cast(nth, "VARCHAR"))
        star = exp.Star(except_=[exp.to_identifier("row_key")])
        self.engine.create("numbered$", exp.Select(expressions=[star, key.as_("row_key")]).from_(_t(f"staged{index}$")))
        self.engine.swap({f"staged{index}$": "numbered$"})

    def fate(self, index: int, mapped: MappedStream) -> exp.Select:
        """Return each staged line with its rank: 3 new, 2 replaced, 1 changed, first kept, 0 duplicate, -1 refused."""
        on_change = "replace" if self.work.remapped else self.work.source.on_change
        order = exp.Order(expressions=[exp.Ordered(this=col("line$", "s"))])
        window = {"partition_by": [col("row_key", "s")], "order": order}
        before_in_file = exp.Anonymous(
            this="lag" if on_change == "replace" else "first_value", expressions=[col("content_hash", "s")]
        )
        earlier: exp.Expression = exp.Window(this=before_in_file, **window)
        if self.has_unique_keys(index):
            earlier = cast(null(), "VARCHAR")
        elif on_change != "replace":
            nth = exp.Window(this=exp.RowNumber(), partition_by=[col("row_key", "s")], order=order.copy())
            earlier = when([(exp.GT(this=nth, expression=number(1)), earlier)])
        known = col("content_hash", "k")
        previous = (
            exp.Coalesce(this=earlier, expressions=[known])
            if on_change == "replace"
            else exp.Coalesce(this=known, expressions=[earlier])
        )
        self.engine.create("known$", self.known(mapped.stream.name))
        paired = exp.select(
            "s.*", previous.as_("previous$", quoted=True), known.copy().as_("known_hash$", quoted=True)
        ).from_(_t(f"staged{index}$", "s"))
        paired = paired.join(_t("known$", "k"), on=equals(col("row_key", "k"), col("row_key", "s")), join_type="left")
        changed = {"replace": 2, "keep_first": 1, "quarantine": -1}[on_change]
        rank = when(
            [
                (exp.Is(this=col("previous$"), expression=null()), number(3)),
                (equals(col("previous$"), col("content_hash")), number(0)),
            ],
            number(changed),
        )
        return exp.select("*", cast(rank, "INTEGER").as_("rank$", quoted=True)).from_(paired.subquery("p"))

    def has_unique_keys(self, index: int) -> bool:
        """Whether no two staged rows have one key: then nothing in the file comes before anything."""
        distinct = exp.Count(this=exp.Distinct(expressions=[col("row_key")]))
        rows, keys = self.engine.rows(exp.select(exp.Count(this=exp.Star()), distinct).from_(_t(f"staged{index}$")))[0]
        return bool(rows == keys)

    def known(self, stream: str) -> exp.Select:
        """Return the newest content hash of each row of this source that the lake has."""
        paths = [str(path) for path in self.lake.paths(stream)]
        if not paths:
            return exp.select(
                cast(null(), "VARCHAR").as_("row_key"), cast(null(), "VARCHAR").as_("content_hash")
            ).where(exp.false())
        files = exp.Anonymous(
            this="read_parquet",
            expressions=[
                exp.Array(expressions=[text(path) for path in paths]),
                exp.EQ(this=exp.column("union_by_name"), expression=exp.true()),
            ],
        )
        newest = fn("nullif", fn("arg_max", col("content_hash"), col("import_id")), text(REMOVED))
        select = exp.Select(expressions=[col("row_key"), newest.as_("content_hash")]).from_(exp.Table(this=files))
        return select.where(equals(col("source"), text(self.work.name))).group_by(col("row_key"))

    def quarantine_changed(self) -> None:
        """With ``on_change: quarantine`` a changed row goes to quarantine, out of all its streams."""
        refused: dict[int, str] = {}
        for name in self.fates:
            select = (
                exp.select(col("line$"), col("row_key"))
                .from_(_t(name))
                .where(exp.LT(this=col("rank$"), expression=number(0)))
            )
            refused |= dict(self.engine.rows(select))
        if not refused:
            return
        originals = self.originals(set(refused))
        for line in sorted(refused):
            self.quarantined(line, None, "changed", originals.get(line, ""), f"row key {refused[line]}")
        self.engine.register("refused$", pa.table({"line$": pa.array(sorted(refused), pa.int64())}))
        for name in self.fates:
            inside = exp.In(this=col("line$"), query=exp.select(col("line$")).from_(_t("refused$")).subquery())
            self.engine.create("kept$", exp.select("*").from_(_t(name)).where(exp.Not(this=inside)))
            self.engine.swap({name: "kept$"})

    def originals(self, lines: set[int]) -> dict[int, str]:
        """Read the file once more for the original text of some lines."""
        found: dict[int, str] = {}
        for batch in self.reader:
            wanted = {index: line for index, line in enumerate(batch.lines.to_pylist()) if line in lines}
            found |= dict(zip(wanted.values(), self.originals_of(batch, list(wanted)), strict=True))
        return found

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(self) -> list[tuple[str, Path]]:
        """Write the rows to keep as files of the lake: the last version of each key, if it says anything new."""
        self.assign_ids()
        self.whole = True
        files = []
        for index, mapped in enumerate(self.work.mapping.streams):
            name = mapped.stream.name
            keep = self.with_withdrawn(index, mapped, self.kept_rows(index, mapped))
            path = self.draft / f"{index}-{name}.parquet"
            self.engine.write_parquet(keep, path)
            if pq.read_metadata(path).num_rows:
                files.append((name, path))
                changed = exp.NEQ(this=col("known_hash$"), expression=col("content_hash"))
                if self.count(exp.select(col("line$")).from_(_t(f"fate{index}$")).where(changed)):
                    self.replaced_streams.add(name)
        return files

    def count(self, select: exp.Select) -> int:
        rows = self.engine.rows(exp.select(exp.Count(this=exp.Star())).from_(select.subquery("c")))
        return int(rows[0][0])

    def with_withdrawn(self, index: int, mapped: MappedStream, keep: exp.Select) -> exp.Expression:
        """Add the rows that the file brought when its source was declared otherwise and that it no longer brings."""
        work, name = self.work, mapped.stream.name
        keys = exp.select(col("row_key")).from_(_t(f"fate{index}$"))
        left = gone(self.lake, work.name, name, [n for n in work.earlier if n not in work.superseded], keys.copy())
        self.whole = self.whole and (left is None or not self.count(left))
        rows = gone(self.lake, work.name, name, work.superseded, keys)
        found = self.count(rows) if rows is not None else 0
        if rows is None or not found:
            return keep
        self.report.withdrawn += found
        self.replaced_streams.add(name)
        return exp.Union(
            this=exp.select("*").from_(keep.subquery("k")),
            expression=withdrawn(rows, mapped, self.system(mapped)),
            distinct=False,
        )

    def assign_ids(self) -> None:
        selects = [
            exp.select(col("customer_key"), exp.Min(this=col("line$")).as_("line$", quoted=True))
            .from_(_t(f"fate{i}$"))
            .group_by(col("customer_key"))
            for i, mapped in enumerate(self.work.mapping.streams)
            if mapped.customer is not None
        ]
        empty = pa.table({"customer_key": pa.array([], pa.string()), "source_record_id": pa.array([], pa.int64())})
        if not selects:
            self.engine.register("assigned$", empty)
            return
        everyone: exp.Expression = selects[0]
        for one in selects[1:]:
            everyone = exp.Union(this=everyone, expression=one, distinct=False)
        keys = (
            exp.select(col("customer_key"))
            .from_(_sub(everyone))
            .group_by(col("customer_key"))
            .order_by(exp.Min(this=col("line$")), col("customer_key"))
        )
        found = self.engine.arrow(keys).column("customer_key")
        spaces = pa.array([self.work.source.key_space] * len(found), pa.string())
        if not len(found):
            self.engine.register("assigned$", empty)
            return
        assigned = self.assign(pa.table({"key_space": spaces, "source_key": found}))
        self.engine.register(
            "assigned$",
            pa.table(
                {"customer_key": assigned.column("source_key"), "source_record_id": assigned.column("source_record_id")}
            ),
        )

    def system(self, mapped: MappedStream) -> dict[str, exp.Expression]:
        """Return the columns that every row of the lake has, of a row ``k`` and its record ``a``."""
        received = literal(self.work.received_at, INSTANT)
        record = col("source_record_id", "a") if mapped.customer is not None else cast(null(), "BIGINT")
        return {
            "source": text(self.work.name),
            "key_space": text(self.work.source.key_space),
            "source_record_id": record,
            "row_key": col("row_key", "k"),
            "content_hash": col("content_hash", "k"),
            "time": exp.Coalesce(this=col("time", "k"), expressions=[received]),
            "received_at": received.copy(),
            "import_id": cast(number(self.import_id), "BIGINT"),
            "op": text("put"),
            "fate": text("new"),
            "line": col("line$", "k"),
        }

    def kept_rows(self, index: int, mapped: MappedStream) -> exp.Select:
        newest_first = self.work.remapped or self.work.source.on_change == "replace"
        order = exp.Order(expressions=[exp.Ordered(this=col("line$", "f"), desc=newest_first)])
        nth: exp.Expression = exp.Window(this=exp.RowNumber(), partition_by=[col("row_key", "f")], order=order)
        if self.has_unique_keys(index):
            nth = number(1)
        ranked = exp.select("f.*", nth.as_("nth$", quoted=True)).from_(_t(f"fate{index}$", "f"))
        says_new: exp.Expression = exp.Is(this=col("known_hash$", "k"), expression=null())
        if newest_first:
            says_new = exp.Or(
                this=says_new, expression=exp.NEQ(this=col("known_hash$", "k"), expression=col("content_hash", "k"))
            )
        fate = when([(exp.Is(this=col("known_hash$", "k"), expression=null()), text("new"))], text("replaced"))
        system = self.system(mapped) | {"fate": fate}
        select = exp.select(
            *(value.as_(name, quoted=True) for name, value in system.items()),
            *(col(target, "k") for target in mapped.columns if target != "time"),
        ).from_(ranked.subquery("k"))
        if mapped.customer is not None:
            select = select.join(_t("assigned$", "a"), on=equals(col("customer_key", "a"), col("customer_key", "k")))
        select = select.where(exp.And(this=equals(col("nth$", "k"), number(1)), expression=exp.Paren(this=says_new)))
        if mapped.stream.name == CUSTOMERS.name or mapped.customer is None:
            return select
        return select.order_by(col("source_record_id", "a"))

    def close_quarantine(self) -> None:
        """Write the quarantine beside the store before the lake's manifest names the import."""
        if self.bad:
            self.bad_files.append(pa.Table.from_pylist(self.bad, schema=_QUARANTINE))
        if self.bad_files:
            self.quarantine.mkdir(parents=True, exist_ok=True)
            target = self.quarantine / f"{self.import_id:08d}.parquet"
            draft = target.with_suffix(".tmp")
            pq.write_table(pa.concat_tables(self.bad_files), draft, compression="zstd")
            draft.replace(target)


def _t(name: str, alias: str = "") -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )


def _sub(query: exp.Expression) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("u")))


def _missing(value: exp.Expression) -> exp.Expression:
    return exp.Paren(this=exp.Is(this=exp.Paren(this=value), expression=null()))


def _present(value: exp.Expression) -> exp.Expression:
    return exp.Not(this=_missing(value))


def _columns_read(expr: Expr) -> list[str]:
    return list(dict.fromkeys(part.column for part in walk_typed(expr) if isinstance(part, ColumnOf)))


def _column_of(expr: Expr) -> str:
    return ", ".join(_columns_read(expr))
