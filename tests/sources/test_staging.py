"""Rows on their way in: blanks, personal columns that never enter the engine, reading that is given up half-way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from tests.projects import NOW, Brand, csv
from tierwise.definitions.check import effective_streams
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import fn, text
from tierwise.sources.collect import native_types
from tierwise.sources.importer import FileImport, import_file
from tierwise.sources.mapping import map_source
from tierwise.sources.origins import origins_of
from tierwise.sources.records import read_csv
from tierwise.sources.staging import BLANKS

SOURCE = """\
file: data/people.csv
customer: id
streams:
  customers: {columns: {city: city, phone: phone}}
"""
ROWS = csv("id,phone,city", "c-1,13800000001,上海", "c-2,13800000002,北京", ",13800000003,广州", "c-1,13800000009,上海")


class Kept:
    """Keeps the personal column in memory, by line; the engine gets its length instead."""

    def __init__(self) -> None:
        self.phones: dict[int, str] = {}
        self.owners: dict[int, int] = {}

    def conceal(self, rows: pa.Table, lines: pa.Int64Array) -> pa.Table:
        self.phones |= dict(zip(lines.to_pylist(), rows["phone"].to_pylist(), strict=True))
        return rows.drop_columns(["phone"])

    def settle(self, owners: Iterable[pa.RecordBatch]) -> None:
        for batch in owners:
            self.owners |= dict(zip(batch["line"].to_pylist(), batch["source_record_id"].to_pylist(), strict=True))


def prepared(brand: Brand) -> dict[str, Any]:
    """Return the arguments of `import_file` for the one source of a brand."""
    with brand.open() as project:
        definitions, lake = project.definitions, project.lake
    streams, _ = effective_streams(definitions)
    name, source = next(iter(definitions.sources.items()))
    (origin,) = origins_of(source, brand.folder)
    reader = origin.open()
    mapping = map_source(name, source, definitions, streams, native_types(reader))
    assert not mapping.problems
    received = NOW.replace(tzinfo=None)
    work = FileImport(name, origin.name, source, definitions, mapping, origin.fingerprint(), "hash", received)
    return {"work": work, "shown": "file", "reader": reader, "lake": lake, "quarantine": brand.folder / "q"}


def assign(keys: pa.Table) -> pa.Table:
    return keys.append_column("source_record_id", pa.array(range(1, keys.num_rows + 1), pa.int64()))


def test_personal_columns_are_kept_elsewhere_and_their_owners_told(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/people.yaml": SOURCE, "data/people.csv": ROWS})
    arguments, kept = prepared(brand), Kept()
    arguments["reader"] = read_csv(tmp_path / "data/people.csv")
    report = import_file(**arguments, assign=assign, personal=kept)
    assert (report.new, report.duplicate, report.reasons) == (3, 0, {"missing_customer": 1})
    assert kept.phones[2] == "13800000001"
    assert kept.owners == {2: 1, 3: 2, 5: 1}, "the line without a customer is nobody's"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".csv")
    stored = arguments["lake"].read("customers")
    assert b"1380000" not in written
    assert stored.schema.names[-1] == "city"
    assert not any("1380000" in str(value) for row in stored.to_pylist() for value in row.values())


def test_an_import_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/people.yaml": SOURCE, "data/people.csv": ROWS})
    arguments = prepared(brand)
    seen = []

    def stop(rows: int) -> None:
        seen.append(rows)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(**arguments, assign=assign, progress=stop)
    assert seen == [4]
    assert (arguments["lake"].version, [*tmp_path.rglob("q/*.parquet")]) == (0, [])
    assert import_file(**arguments, assign=assign).rows_read == 4


@given(st.lists(st.text(st.sampled_from(BLANKS + "a　é\u2003\0"), max_size=6), max_size=20))
def test_blanks_are_those_of_the_engine(cells: list[str]) -> None:
    given_ = pa.array(cells, pa.string())
    with DuckEngine(None) as engine:
        engine.register("t", pa.table({"n": range(len(cells)), "v": given_}))
        trimmed = exp.select(fn("trim", exp.column("v"), text(BLANKS)).as_("v")).from_("t").order_by("n")
        assert engine.arrow(trimmed)["v"].to_pylist() == pc.utf8_trim(given_, BLANKS).to_pylist()
