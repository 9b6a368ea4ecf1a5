"""Importing one file: every row becomes new, replaced, duplicate or quarantined, and all of it is committed at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.language.kinds import INSTANT
from tierwise.definitions.load import Definitions
from tierwise.definitions.sources import Source
from tierwise.definitions.streams import CUSTOMERS
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import cast, col, equals, fn, literal, null, number, text, when
from tierwise.lake import Lake
from tierwise.sources.mapping import MappedStream, Mapping_
from tierwise.sources.records import CsvReader, RawBatch, Reader
from tierwise.sources.statements import SEPARATOR, RowStatements, named, present, subquery
from tierwise.sources.withdraw import REMOVED, gone, withdrawn

__all__ = ["FileImport", "ImportReport", "import_file"]

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
    shown: str,
    reader: Reader,
    lake: Lake,
    quarantine: Path,
    assign: Callable[[pa.Table], pa.Table],
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Read a file into the lake.

    Args:
        work: the source, its mapping and what is known of the file.
        shown: what the file is called in reports.
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
        return _Import(work, shown, reader, lake, quarantine, assign, progress, engine, number_, draft).run()


class _Import:
    def __init__(
        self,
        work: FileImport,
        shown: str,
        reader: Reader,
        lake: Lake,
        quarantine: Path,
        assign: Callable[[pa.Table], pa.Table],
        progress: Callable[[int], None],
        engine: DuckEngine,
        import_id: int,
        draft: Path,
    ) -> None:
        self.work, self.shown, self.reader, self.lake, self.quarantine = work, shown, reader, lake, quarantine
        self.assign, self.progress, self.engine, self.import_id, self.draft = assign, progress, engine, import_id, draft
        self.statements = RowStatements(work.source, work.mapping, work.definitions.settings, work.received_at)
        for name, body in self.statements.clock.macros().items():
            engine.define(name, body)
        self.report = ImportReport(work.name, shown, personal_columns_not_loaded=sorted(work.mapping.personal))
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
        self.selects = [self.statements.select(mapped) for mapped in self.work.mapping.streams]
        self.judging = self.statements.judged()
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
        self.report.encoding = self.reader.encoding_name

    def stage(self, batch: RawBatch, first: bool) -> None:
        self.report.rows_read += batch.records
        for reject in batch.rejects:
            original = "(withheld: the file has personal columns)" if self.work.mapping.personal else reject.text
            self.quarantined(reject.line, reject.column, reject.reason, original, reject.detail)
        renamed = {
            self.statements.columns[name]: batch.table.column(name)
            for name in self.work.mapping.native
            if name in batch.table.column_names
        }
        rows = pa.table({**renamed, "line$": batch.lines})
        self.engine.register("raw$", rows)
        self.engine.create("judged$", self.judging, temporary=True)
        problems = (
            exp.select(col("line$"), col("problem$"))
            .from_(named("judged$"))
            .where(present(col("problem$")))
            .order_by(col("line$"))
        )
        bad = self.engine.rows(problems)
        if bad:
            positions = {line: i for i, line in enumerate(batch.lines.to_pylist())}
            originals = self.originals_of(batch, [positions[line] for line, _ in bad])
            for (line, problem), original in zip(bad, originals, strict=True):
                column, _, reason = problem.rpartition(SEPARATOR)
                self.quarantined(line, column or None, reason, original)
        for index, select in enumerate(self.selects):
            if first:
                self.engine.create(f"staged{index}$", select)
            else:
                self.engine.execute(exp.Insert(this=named(f"staged{index}$"), expression=select))

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
                "file": self.shown,
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
        lines: exp.Expression = exp.select(col("line$"), col("rank$")).from_(named(self.fates[0]))
        for name in self.fates[1:]:
            lines = exp.Union(
                this=lines, expression=exp.select(col("line$"), col("rank$")).from_(named(name)), distinct=False
            )
        best = (
            exp.select(col("line$"), exp.Max(this=col("rank$")).as_("rank$", quoted=True))
            .from_(subquery(lines))
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
        self.engine.create(
            "numbered$", exp.Select(expressions=[star, key.as_("row_key")]).from_(named(f"staged{index}$"))
        )
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
        ).from_(named(f"staged{index}$", "s"))
        paired = paired.join(
            named("known$", "k"), on=equals(col("row_key", "k"), col("row_key", "s")), join_type="left"
        )
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
        rows, keys = self.engine.rows(exp.select(exp.Count(this=exp.Star()), distinct).from_(named(f"staged{index}$")))[
            0
        ]
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
                .from_(named(name))
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
            inside = exp.In(this=col("line$"), query=exp.select(col("line$")).from_(named("refused$")).subquery())
            self.engine.create("kept$", exp.select("*").from_(named(name)).where(exp.Not(this=inside)))
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
                if self.count(exp.select(col("line$")).from_(named(f"fate{index}$")).where(changed)):
                    self.replaced_streams.add(name)
        return files

    def count(self, select: exp.Select) -> int:
        rows = self.engine.rows(exp.select(exp.Count(this=exp.Star())).from_(select.subquery("c")))
        return int(rows[0][0])

    def with_withdrawn(self, index: int, mapped: MappedStream, keep: exp.Select) -> exp.Expression:
        """Add the rows that the file brought when its source was declared otherwise and that it no longer brings."""
        work, name = self.work, mapped.stream.name
        keys = exp.select(col("row_key")).from_(named(f"fate{index}$"))
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
            .from_(named(f"fate{i}$"))
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
            .from_(subquery(everyone))
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
        ranked = exp.select("f.*", nth.as_("nth$", quoted=True)).from_(named(f"fate{index}$", "f"))
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
            select = select.join(named("assigned$", "a"), on=equals(col("customer_key", "a"), col("customer_key", "k")))
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
