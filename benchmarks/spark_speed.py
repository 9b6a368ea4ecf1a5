"""Spark beside DuckDB on one machine: the standard project, one whole run by each, the answers compared.

``python -m benchmarks.spark_speed --customers 100000`` prints what it measured. A cluster of one machine does nothing
that DuckDB does not do faster there; what it costs is the point.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

import tierwise
from benchmarks.data import AS_OF, make_project

__all__ = ["main"]

_ENGINES: Final = {"DuckDB": "duckdb", "Spark": {"kind": "spark", "master": "local[2]"}}
_SETTINGS: Final = "tierwise.yaml"


def run(folder: Path) -> dict[str, Any]:
    """Run the project once in this process; return what the run took, in seconds, processor seconds and MB."""
    started = time.monotonic()
    with tierwise.open(folder, clock=lambda: AS_OF.replace(tzinfo=UTC)) as project:
        report = project.run(AS_OF.replace(tzinfo=UTC), import_sources=False)
    wall = time.monotonic() - started
    own, java = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = sum(one.ru_utime + one.ru_stime for one in (own, java))
    peak = (own.ru_maxrss + java.ru_maxrss) / 1024
    return {"wall": wall, "processor": processor, "peak_mb": peak, "load": os.getloadavg()[0], **report["seconds"]}


def differing(one: Path, other: Path) -> list[str]:
    """Return the names whose answers are not the same for everyone: exactly, floats within 1e-9 relative."""
    tables = []
    for folder in (one, other):
        with tierwise.open(folder, clock=lambda: datetime.now(UTC)) as project:
            tables.append(project.table("customers").sort_by("customer_id"))
    return [name for name in tables[0].column_names if not _same(tables[0][name], tables[1][name])]


def _same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    if not pa.types.is_floating(one.type):
        return bool(one.equals(other))
    apart = pc.abs(pc.subtract(one, other))
    near = pc.less_equal(apart, pc.add(pc.multiply(pc.abs(one), 1e-9), 1e-12))
    missing = pc.is_null(one).equals(pc.is_null(other))
    return bool(missing and pc.all(near).as_py() is not False)


def _prepared(folder: Path, engine: object) -> None:
    path = folder / _SETTINGS
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("engine:")]
    path.write_text("\n".join([*kept, f"engine: {json.dumps(engine)}", ""]), encoding="utf-8")


def main(argv: Sequence[str]) -> None:
    """Measure each engine in a process of its own; print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark_speed")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.only is not None:
        sys.stdout.write(json.dumps(run(asked.only)))
        return
    with tempfile.TemporaryDirectory(prefix="tierwise-spark-speed-") as kept:
        made = Path(kept, "DuckDB")
        make_project(made, asked.customers, asked.seed, lambda said: None)
        shutil.copytree(made, Path(kept, "Spark"))
        for name, engine in _ENGINES.items():
            _prepared(Path(kept, name), engine)
            command = [sys.executable, "-m", "benchmarks.spark_speed", "--only", str(Path(kept, name))]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            told = ", ".join(f"{key} {value:,.1f}" for key, value in json.loads(said).items())
            sys.stdout.write(f"{name}: {told}\n")
        found = differing(Path(kept, "DuckDB"), Path(kept, "Spark"))
        sys.stdout.write(f"names that differ: {', '.join(found) or 'none'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
