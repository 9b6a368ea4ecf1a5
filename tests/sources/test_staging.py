"""Rows on their way in: blanks, and reading that is given up half-way."""

from __future__ import annotations

import signal
import subprocess
import sys
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
from tierwise.sources.staging import BLANKS
from tierwise.store import Store

SOURCE = """\
file: data/people.csv
customer: id
streams:
  customers: {columns: {city: city, phone: phone}}
"""
ROWS = csv("id,phone,city", "c-1,13800000001,上海", "c-2,13800000002,北京", ",13800000003,广州", "c-1,13800000009,上海")


def prepared(brand: Brand) -> dict[str, Any]:
    """Return the arguments of `import_file` for the one source of a brand."""
    with brand.open() as project:
        definitions, lake = project.definitions, project.lake
    streams, _ = effective_streams(definitions)
    name, source = next(iter(definitions.sources.items()))
    (origin,) = origins_of(source, brand.folder)
    reader = origin.open()
    mapping = map_source(name, source, definitions, streams, native_types(reader, source))
    assert not mapping.problems
    received = NOW.replace(tzinfo=None)
    work = FileImport(name, origin.name, source, definitions, mapping, origin.fingerprint(), "hash", received)
    return {"work": work, "shown": "file", "reader": reader, "lake": lake, "quarantine": brand.folder / "q"}


def test_an_import_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/people.yaml": SOURCE, "data/people.csv": ROWS})
    arguments = prepared(brand)
    seen = []

    def stop(rows: int) -> None:
        seen.append(rows)
        raise KeyboardInterrupt

    with Store.open(tmp_path / "store.db") as store:
        with pytest.raises(KeyboardInterrupt):
            import_file(**arguments, store=store, progress=stop)
        assert seen == [4]
        assert (arguments["lake"].version, [*tmp_path.rglob("q/*.parquet")]) == (0, [])
        assert store.ids.version() == 0, "nobody has a number, and the vault nothing of anybody"
        assert import_file(**arguments, store=store).rows_read == 4


@given(st.lists(st.text(st.sampled_from(BLANKS + "a　é\u2003\0"), max_size=6), max_size=20))
def test_blanks_are_those_of_the_engine(cells: list[str]) -> None:
    given_ = pa.array(cells, pa.string())
    with DuckEngine(None) as engine:
        engine.register("t", pa.table({"n": range(len(cells)), "v": given_}))
        trimmed = exp.select(fn("trim", exp.column("v"), text(BLANKS)).as_("v")).from_("t").order_by("n")
        assert engine.arrow(trimmed)["v"].to_pylist() == pc.utf8_trim(given_, BLANKS).to_pylist()


_KILLED = """\
import os, signal, sys
from pathlib import Path
from tests.projects import Brand
from tests.sources.test_staging import prepared
from tierwise.sources.importer import import_file
from tierwise.store import Store

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

folder, moment = Path(sys.argv[1]), sys.argv[2]
arguments, store = prepared(Brand(folder)), Store.open(folder / "store.db")
if moment == "ids":
    store.ids.assign = die
if moment == "manifest":
    arguments["lake"]._write = die
import_file(**arguments, store=store, progress=die if moment == "reading" else lambda rows: None)
"""


@pytest.mark.parametrize("moment", ["reading", "ids", "manifest"])
def test_an_import_that_is_killed_leaves_nothing_that_counts(tmp_path: Path, moment: str) -> None:
    brand = Brand(tmp_path, {"sources/people.yaml": SOURCE, "data/people.csv": ROWS})
    command = [sys.executable, "-c", _KILLED, str(tmp_path), moment]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    arguments = prepared(brand)
    assert (arguments["lake"].version, arguments["lake"].read("customers")) == (0, None)
    brand.write({"data/people.csv": ROWS.replace("\n,138", "\nc-9,138")})
    with Store.open(tmp_path / "store.db") as store:
        report = import_file(**prepared(brand), store=store)
    assert (report.rows_read, report.new) == (4, 4)
    assert not [*tmp_path.glob("q/*")], "the row that was refused by the killed import is of no import"
    assert arguments["lake"].read("customers").num_rows == 4
