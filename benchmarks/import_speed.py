"""How fast a file is imported, against reading it alone: ``python -m benchmarks.import_speed --rows 1000000``."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

import tierwise
from tierwise.sources.collect import import_sources
from tierwise.sources.records import read_csv, read_parquet

__all__ = ["CONTENDERS", "main", "make_file"]

_SOURCE: Final = """\
file: {file}
customer: customer
{key}
streams:
  items: {{time: time, columns: {{order_id: order_id, amount: amount, quantity: quantity, sku: sku}}}}
"""
_NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
_GIGABYTE: Final = 1 << 20


def make_file(path: Path, rows: int) -> None:
    """Write order lines in time order, eight a customer, as CSV or Parquet: the same ones whenever it is asked."""
    with duckdb.connect() as engine:
        engine.execute(
            f"""
            COPY (
                SELECT 'o' || lpad(i::VARCHAR, 9, '0') AS order_id,
                       'c' || lpad((hash(i) % {max(rows // 8, 10)})::VARCHAR, 8, '0') AS customer,
                       TIMESTAMP '2024-01-01' + to_seconds(i * 60000000 // {rows}) AS time,
                       ((hash(i * 7) % 100000) / 100)::DECIMAL(18, 2) AS amount,
                       ['app', 'web', 'store', 'mini'][(1 + hash(i * 11) % 4)::BIGINT] AS channel,
                       (1 + hash(i * 13) % 5)::INTEGER AS quantity,
                       's' || (hash(i * 17) % 5000) AS sku
                FROM range({rows}) AS r(i)
            ) TO '{path}'
            """
        )


def _read(path: Path, folder: Path) -> int:
    """Only read the file, as the import does."""
    reader = read_parquet(path, batch_rows=1 << 18) if path.suffix == ".parquet" else read_csv(path, batch_rows=1 << 18)
    return sum(batch.records for batch in reader)


def _copy(path: Path, folder: Path) -> int:
    """Have DuckDB write the file's rows as Parquet, with nothing looked at."""
    with duckdb.connect(config={"preserve_insertion_order": "false"}) as engine:
        copied = engine.execute(f"COPY (FROM '{path}') TO '{folder / 'copy.parquet'}' (COMPRESSION zstd)").fetchone()
    assert copied is not None
    return int(copied[0])


def _imported(key: str, again: bool = False) -> Callable[[Path, Path], int]:
    def run(path: Path, folder: Path) -> int:
        project = folder / f"project-{path.suffix[1:]}-{'keyed' if key else 'plain'}"
        seen = path.with_stem(f"{path.stem}-again") if again else path
        if again and not seen.exists():
            os.link(path, seen)
        (project / "sources").mkdir(parents=True, exist_ok=True)
        (project / "tierwise.yaml").write_text("name: import\n", encoding="utf-8")
        (project / "sources" / "items.yaml").write_text(_SOURCE.format(file=seen, key=key), encoding="utf-8")
        with tierwise.open(project, clock=lambda: _NOW) as opened:
            quarantine, at = project / "store" / "quarantine", _NOW.replace(tzinfo=None)
            (report,) = import_sources(opened.definitions, opened.lake, quarantine, opened.store, at)
        assert report.duplicate == report.rows_read if again else report.new == report.rows_read, report
        return report.rows_read

    return run


#: What is measured, in this order: name → what it does with a file; the folder is kept from one to the next.
CONTENDERS: Final[Mapping[str, Callable[[Path, Path], int]]] = {
    "reader alone": _read,
    "DuckDB copy": _copy,
    "import, by key": _imported("row_key: order_id"),
    "import, by content": _imported(""),
    "the same rows again, by key": _imported("row_key: order_id", again=True),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the files, run each contender in a process of its own, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import_speed", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", choices=["csv", "parquet"], default=["csv", "parquet"])
    parser.add_argument("--one", nargs=3, metavar=("CONTENDER", "FILE", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one:
        name, file, folder = asked.one
        sys.stdout.write(json.dumps(_measured(CONTENDERS[name], Path(file), Path(folder))))
        return
    lines = ["| file | what | rows/s | CPU µs a row | peak GB | load |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for ending in asked.formats:
            path = Path(folder, f"items.{ending}")
            make_file(path, asked.rows)
            for name in CONTENDERS:
                load = os.getloadavg()[0]
                command = [sys.executable, "-m", "benchmarks.import_speed", "--one", name, str(path), folder]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                found = json.loads(done.stdout)
                micros = 1e6 * found["cpu"] / found["rows"]
                speed = found["rows"] / found["wall"]
                lines.append(f"| {ending} | {name} | {speed:,.0f} | {micros:.2f} | {found['peak']:.2f} | {load:.1f} |")
    sys.stdout.write(f"{asked.rows:,} order lines, 7 columns, 8 a customer\n\n" + "\n".join(lines) + "\n")


def _measured(run: Callable[[Path, Path], int], path: Path, folder: Path) -> dict[str, Any]:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    rows = run(path, folder)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rows": rows, "wall": wall, "cpu": cpu, "peak": after.ru_maxrss / _GIGABYTE}


if __name__ == "__main__":
    main()
