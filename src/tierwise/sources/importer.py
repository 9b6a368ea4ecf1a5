"""Importing one file: every row becomes new, replaced, duplicate or quarantined, and all of it is committed at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.language.kinds import INSTANT
from tierwise.definitions.load import Definitions
from tierwise.definitions.sources import Source
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import cast, coalesce, col, equals, literal, null, number, text, when
from tierwise.lake import Lake
from tierwise.sources.fates import REFUSED, Fates
from tierwise.sources.known import KnownKeys
from tierwise.sources.mapping import MappedStream, Mapping_
from tierwise.sources.personal import personal_columns
from tierwise.sources.quarantine import Preview, Quarantine, Refusing
from tierwise.sources.records import Reader
from tierwise.sources.related import make_related
from tierwise.sources.staging import Staging
from tierwise.sources.statements import RowStatements, missing, named, subquery
from tierwise.sources.withdraw import gone, withdrawn
from tierwise.store import Store

__all__ = ["FileImport", "ImportReport", "import_file", "rehearse_file"]

#: What the engine may hold of a file in memory; the rest of a large one waits in the draft's folder.
_MEMORY_MB: Final = 2_500


@dataclass
class ImportReport:
    """What became of a file's rows; ``rows_read = new + replaced + duplicate + quarantined``, always.

    `withdrawn` rows are none of the file's: rows it brought when its source was declared otherwise, and no longer does.
    `personal_columns` are the file's columns that went to the people vault.
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
    personal_columns: list[str] = field(default_factory=list)
    state: str = "imported"

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class FileImport:
    """Everything an import of one file needs beside the file.

    `file` is what the lake calls it; `earlier` are the imports of this file before, `superseded` those whose rows this
    one replaces as a whole (see `tierwise.sources.withdraw`); `remapped` says that the source is declared otherwise;
    `position` is where in what it sends the source says that rows are which were sent, and `known_keys` what tells
    whether the lake has them.
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
    position: str | None = None
    known_keys: KnownKeys | None = None


def import_file(
    work: FileImport,
    shown: str,
    reader: Reader,
    lake: Lake,
    quarantine: Path,
    store: Store,
    progress: Callable[[int], None] = lambda rows: None,
) -> ImportReport:
    """Read a file into the lake.

    Args:
        work: the source, its mapping and what is known of the file.
        shown: what the file is called in reports.
        reader: the open file.
        lake: where accepted rows go.
        quarantine: folder of the quarantine files.
        store: gives customers their source records and keeps what is personal.
        progress: called with the rows read so far; what it raises ends the import, and nothing has been imported then.

    Raises:
        SourceUnreadable: when the file turns out to be unreadable half-way; nothing of it has been imported then.
    """
    import_id = lake.version + 1
    draft = lake.draft(f"import-{import_id}")
    refused = Quarantine(quarantine, work.name, shown, import_id, work.received_at, store.originals)
    with DuckEngine(None, memory_limit_mb=_MEMORY_MB, spill=draft / "spill") as engine:
        return _Import(work, reader, lake, refused, store, engine, import_id, draft).run(shown, progress)


def rehearse_file(
    work: FileImport, shown: str, reader: Reader, lake: Lake, store: Store, folder: Path, most: int
) -> tuple[ImportReport, list[dict[str, Any]]]:
    """Judge every row of a file as an import would, and take nothing in.

    Args:
        work: the source, its mapping and what is known of the file.
        shown: what the file is called in the report.
        reader: the open file.
        lake: what was received before.
        store: tells whose rows are refused, and the blind indexes of identifiers.
        folder: an empty folder for what is too much for the memory; the caller removes it.
        most: how many refused rows to return.

    Returns:
        The report an import would make now, and the first refused rows.

    Raises:
        SourceUnreadable: when the file turns out to be unreadable half-way.
    """
    refused = Preview(most)
    with DuckEngine(None, memory_limit_mb=_MEMORY_MB, spill=folder / "spill") as engine:
        report = _Import(work, reader, lake, refused, store, engine, lake.version + 1, folder).judge(shown)
    report.state = "rehearsed"
    return report, refused.rows


class _Import:
    def __init__(
        self,
        work: FileImport,
        reader: Reader,
        lake: Lake,
        quarantine: Refusing,
        store: Store,
        engine: DuckEngine,
        import_id: int,
        draft: Path,
    ) -> None:
        self.work, self.reader, self.lake, self.quarantine = work, reader, lake, quarantine
        self.store, self.engine, self.import_id, self.draft = store, engine, import_id, draft
        self.personal = personal_columns(work.mapping, store.people, work.received_at.replace(tzinfo=UTC), draft)
        statements = RowStatements(work.source, work.mapping, work.definitions.settings, work.received_at)
        for name, body in statements.clock.macros().items():
            engine.define(name, body)
        self.streams = statements.streams
        make_related(engine, lake, work.source.key_space, (through for through, _ in statements.related))
        self.staging = Staging(
            engine, statements, work.mapping, reader, quarantine, store.erasures.refusals(), self.personal
        )

    def judge(self, shown: str, progress: Callable[[int], None] = lambda rows: None) -> ImportReport:
        """Read the file and decide what becomes of each of its rows."""
        work = self.work
        self.report = report = ImportReport(work.name, shown, personal_columns=sorted(work.mapping.personal))
        report.rows_read = self.staging.run(progress)
        report.blank_lines = self.reader.blank_lines
        report.encoding = self.reader.encoding_name
        on_change = "replace" if work.remapped else work.source.on_change
        self.fates = Fates(
            self.engine, self.streams, self.lake, work.name, work.source.key_space, on_change, work.known_keys
        )
        self.quarantine_changed()
        counts = self.fates.counts()
        report.new, report.replaced = counts.new, counts.replaced
        report.duplicate, report.kept_first = counts.duplicate, counts.kept_first
        report.reasons = dict(sorted(self.quarantine.reasons.items()))
        report.quarantined = sum(report.reasons.values())
        assert report.rows_read == report.new + report.replaced + report.duplicate + report.quarantined, report
        return report

    def run(self, shown: str, progress: Callable[[int], None]) -> ImportReport:
        work, report = self.work, self.judge(shown, progress)
        self.assign_ids()
        files = self.write()
        if self.personal is not None:
            self.personal.settle(lambda first, last: self.engine.batches(self.owners(first, last)))
        self.quarantine.close()
        about = {
            "source": work.name,
            "file": work.file,
            "fingerprint": work.fingerprint,
            "source_hash": work.source_hash,
            "received_at": work.received_at.isoformat(),
            "report": report.as_json(),
            "replaced": sorted(self.replaced_streams),
            "whole": self.whole,
        }
        if work.position is not None:
            about["position"] = work.position
        self.lake.commit("rows", files, f"{self.import_id:08d}", about)
        return report

    def quarantine_changed(self) -> None:
        """With ``on_change: quarantine`` a changed row goes to quarantine."""
        if not self.fates.refused:
            return
        rows = self.engine.arrow(exp.select(col("line$"), col("row_key")).from_(named(REFUSED)).order_by(col("line$")))
        keys = dict(zip(rows["line$"].to_pylist(), rows["row_key"].to_pylist(), strict=True))
        for line, original in self.staging.originals_of(rows["line$"].combine_chunks()):
            self.quarantine.add(line, None, "changed", original, f"row key {keys[line]}")

    # -- customers --------------------------------------------------------------------------------------------------

    def everyone(self, *columns: str) -> list[exp.Select]:
        """Return, for each stream whose rows name their customers, these columns of its rows."""
        return [
            self.columns_of(i, *(col(name, "s") for name in columns))
            for i, stream in enumerate(self.streams)
            if stream.mapped.customer is not None and stream.mapped.through is None
        ]

    def columns_of(self, index: int, *columns: exp.Expression) -> exp.Select:
        """Return columns of the kept rows ``s`` of a stream."""
        return self.fates.kept(exp.select(*columns).from_(self.fates.rows(index).subquery("s")))

    def assign_ids(self) -> None:
        """Make ``assigned$`` of the customers' keys and their source records, numbered as they come in the file."""
        firsts = [
            exp.select(col("customer_key"), exp.Min(this=col("line$")).as_("line$", quoted=True))
            .from_(subquery(rows))
            .group_by(col("customer_key"))
            for rows in self.everyone("customer_key", "line$")
        ]
        assigned = pa.table({"source_key": pa.array([], pa.string()), "source_record_id": pa.array([], pa.int64())})
        if firsts:
            keys = (
                exp.select(col("customer_key"))
                .from_(subquery(_all(firsts)))
                .group_by(col("customer_key"))
                .order_by(exp.Min(this=col("line$")), col("customer_key"))
            )
            found = self.engine.arrow(keys).column("customer_key")
            spaces = pa.repeat(self.work.source.key_space, len(found))
            if len(found):
                received_at = self.work.received_at.replace(tzinfo=UTC)
                assigned = self.store.ids.assign(pa.table({"key_space": spaces, "source_key": found}), at=received_at)
        self.engine.register("assigned$", assigned.select(["source_key", "source_record_id"]))

    def owners(self, first: int, last: int) -> exp.Expression:
        """Return (line, source_record_id) of the lines from one to another that are somebody's."""
        rows = self.everyone("customer_key", "line$") or [
            exp.select(cast(null(), "VARCHAR").as_("customer_key"), cast(null(), "BIGINT").as_("line$", quoted=True))
        ]
        same = equals(col("source_key", "a"), col("customer_key", "u"))
        named_so = (
            exp.select(col("line$", "u").as_("line"), col("source_record_id", "a"))
            .from_(subquery(_all(rows)))
            .join(named("assigned$", "a"), on=same)
        )
        found_so = [
            self.columns_of(i, col("line$", "s"), cast(col("customer_key", "s"), "BIGINT"))
            for i, stream in enumerate(self.streams)
            if stream.mapped.through is not None
        ]
        within = exp.Between(this=col("line"), low=number(first), high=number(last))
        return exp.select("*").distinct().from_(subquery(_all([named_so, *found_so]))).where(within)

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(self) -> list[tuple[str, Path]]:
        """Write the rows to keep as files of the lake."""
        self.whole = True
        self.replaced_streams: set[str] = set()
        files = []
        for index, stream in enumerate(self.streams):
            name = stream.mapped.stream.name
            keep = self.with_withdrawn(index, stream.mapped, self.kept_rows(index, stream.mapped))
            path = self.draft / f"{index}-{name}.parquet"
            self.engine.write_parquet(keep, path)
            if pq.read_metadata(path).num_rows:
                files.append((name, path))
                if self.fates.replaces(index):
                    self.replaced_streams.add(name)
        return files

    def with_withdrawn(self, index: int, mapped: MappedStream, keep: exp.Select) -> exp.Expression:
        """Add the rows that the file brought when its source was declared otherwise and that it no longer brings."""
        work, name, keys = self.work, mapped.stream.name, self.fates.keys(index)
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

    def count(self, select: exp.Select) -> int:
        rows = self.engine.rows(exp.select(exp.Count(this=exp.Star())).from_(select.subquery("c")))
        return int(rows[0][0])

    def system(self, mapped: MappedStream) -> dict[str, exp.Expression]:
        """Return the columns that every row of the lake has, of a row ``k`` and its record ``a``."""
        received = literal(self.work.received_at, INSTANT)
        if mapped.through is not None:
            record: exp.Expression = cast(col("customer_key", "k"), "BIGINT")
        else:
            record = col("source_record_id", "a") if mapped.customer is not None else cast(null(), "BIGINT")
        return {
            "source": text(self.work.name),
            "key_space": text(self.work.source.key_space),
            "source_record_id": record,
            "row_key": col("row_key", "k"),
            "content_hash": col("content_hash", "k"),
            "time": coalesce(col("time", "k"), received),
            "received_at": received.copy(),
            "import_id": cast(number(self.import_id), "BIGINT"),
            "op": text("put"),
            "fate": text("new"),
            "line": col("line$", "k"),
        }

    def kept_rows(self, index: int, mapped: MappedStream) -> exp.Select:
        """Return the rows of a stream that are kept, as rows of the lake."""
        fate = when([(missing(col("known_hash", "k")), text("new"))], text("replaced"))
        system = self.system(mapped) | {"fate": fate}
        select = exp.select(
            *(value.as_(name, quoted=True) for name, value in system.items()),
            *(col(target, "k") for target in mapped.columns if target != "time"),
        ).from_(self.fates.written(index).subquery("k"))
        if mapped.customer is None or mapped.through is not None:
            return select
        return select.join(named("assigned$", "a"), on=equals(col("source_key", "a"), col("customer_key", "k")))


def _all(selects: Sequence[exp.Expression]) -> exp.Expression:
    """Return the rows of all SELECTs."""
    found = selects[0]
    for one in selects[1:]:
        found = exp.Union(this=found, expression=one, distinct=False)
    return found
