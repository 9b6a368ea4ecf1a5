"""History at size: who was in a segment on a day, and the log beside daily snapshots.

``python -m benchmarks.history`` prints what it measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.definitions.language.times import Zone
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.evaluate import KNOWN_CUSTOMERS
from tierwise.engine.intervals import Intervals
from tierwise.lake import Lake

__all__ = ["main"]

START: Final = datetime(2025, 6, 1)


def write_log(lake: Lake, customers: int, segments: int, flips: int, days: int, seed: int) -> np.ndarray:
    """Write a first run and a run a day, each with so many changes; return who is in which segment at the end."""
    draw = np.random.default_rng(seed)
    inside = draw.random((customers, segments)) < draw.uniform(0.02, 0.4, segments)
    first = np.argwhere(inside)
    seq = _append(lake, 0, START, first[:, 0], first[:, 1], np.ones(len(first), bool), "first_run", segments)
    for day in range(1, days + 1):
        who = draw.choice(customers, flips, replace=False)
        what = draw.integers(0, segments, flips)
        inside[who, what] = ~inside[who, what]
        at = START + timedelta(days=day)
        seq = _append(lake, seq, at, who, what, inside[who, what], "event", segments)
    return inside


def _append(
    lake: Lake, seq: int, at: datetime, who: np.ndarray, what: np.ndarray, now: np.ndarray, cause: str, segments: int
) -> int:
    count = len(who)
    names = pa.array([f"segment_{n:02}" for n in range(segments)])
    states = pa.array(["out", "in"])

    def same(value: Any, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind), count)

    table = pa.table(
        {
            "seq": pa.array(np.arange(seq + 1, seq + count + 1)),
            "customer_id": pa.array(who + 1),
            "kind": same("segment", pa.string()),
            "name": names.take(pa.array(what)),
            "was": same(None, pa.string()) if cause == "first_run" else states.take(pa.array(1 - now.astype(int))),
            "is": states.take(pa.array(now.astype(int))),
            "at": same(at, pa.timestamp("us")),
            "recorded_at": same(at, pa.timestamp("us")),
            "cause": same(cause, pa.string()),
            "clause": same("rule", pa.string()),
            "definitions_hash": same("0" * 16, pa.string()),
            "run_id": same(lake.version + 1, pa.int64()),
        }
    )
    about = {"at": at.isoformat(), "recorded_at": at.isoformat(), "digests": dict.fromkeys(names.to_pylist(), "")}
    lake.append(
        "memberships", {"memberships": table}, f"run-{lake.version + 1:08d}", {**about, "last_seq": seq + count}
    )
    return seq + count


def snapshot_bytes(folder: Path, inside: np.ndarray) -> int:
    """Return how large one day's memberships are, written as (customer, segment) rows in order."""
    rows = np.argwhere(inside.T)
    table = pa.table({"segment": pa.array(rows[:, 0].astype(np.int8)), "customer_id": pa.array(rows[:, 1] + 1)})
    path = folder / "snapshot.parquet"
    pq.write_table(table, path, compression="zstd")
    return path.stat().st_size


def milliseconds(ask: Callable[[], Any], times: int) -> tuple[float, float]:
    """Return (median, largest) time of asking."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - begun) * 1000)
    return float(np.median(taken)), max(taken)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print what was measured as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.history")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--segments", type=int, default=20)
    parser.add_argument("--flips", type=int, default=3_000, help="changes a day")
    parser.add_argument("--days", type=int, default=365)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, DuckEngine(Path(folder) / "engine.duckdb") as engine:
        lake = Lake(Path(folder) / "lake")
        inside = write_log(lake, asked.customers, asked.segments, asked.flips, asked.days, 1)
        ids = pa.array(np.arange(1, asked.customers + 1))
        engine.register(KNOWN_CUSTOMERS, pa.table({"customer_id": ids, "customer_key": ids.cast(pa.string())}))
        zone = Zone("UTC")
        past = Intervals(engine, lake, zone, lambda at: at if isinstance(at, datetime) else START, int)
        begun = time.perf_counter()
        past.build()
        built = time.perf_counter() - begun
        more, flips = np.random.default_rng(2), asked.flips
        end = START + timedelta(days=asked.days)
        log = sum(path.stat().st_size for path in lake.paths("memberships"))
        last = max(entry.about["last_seq"] for entry in lake.entries())
        who, what = more.choice(asked.customers, flips, replace=False), more.integers(0, asked.segments, flips)
        inside[who, what] = ~inside[who, what]
        day = end + timedelta(days=1)
        _append(lake, last, day, who, what, inside[who, what], "event", asked.segments)
        begun = time.perf_counter()
        past.build()
        added = time.perf_counter() - begun
        middle = START + timedelta(days=asked.days // 2)
        one_day = snapshot_bytes(Path(folder), inside)
        whole = {row["value"]: row["customers"] for row in past.sizes("segment_03", day, "1d", day).to_pylist()}
        assert whole == {"in": int(inside[:, 3].sum())}, "the log does not say what was written into it"
        found = {
            "customers": asked.customers,
            "segments": asked.segments,
            "days": asked.days,
            "log_rows": sum(pq.read_metadata(path).num_rows for path in lake.paths("memberships")),
            "log_bytes": log,
            "snapshots_bytes": one_day * asked.days,
            "snapshots_over_log": round(one_day * asked.days / log, 1),
            "build_seconds": round(built, 2),
            "add_a_day_seconds": round(added, 2),
            "count_on_a_day_ms": milliseconds(lambda: past.count("segment_03", middle), 15),
            "who_on_a_day_ms": milliseconds(lambda: past.who("segment_03", middle), 15),
            "who_rows": past.who("segment_03", middle).num_rows,
            "sizes_of_a_year_ms": milliseconds(lambda: past.sizes("segment_03", START, "1d", end), 5),
            "one_customer_ms": milliseconds(lambda: past.of("77"), 5),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
