"""What a refresh costs by how many it touches, and what live rows cost: ``python -m benchmarks.refresh_speed``."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

import tierwise
from benchmarks.compare import differing_cells
from benchmarks.data import AS_OF, draw_customers, make_project
from tierwise.engine.export import write_table
from tierwise.project import Project

__all__ = ["main"]

_TOUCHED: Final = (1, 100, 1_000, 10_000)
_TYPES: Final = ("view", "view", "view", "search", "favourite", "add_to_cart", "share", "coupon_used")
_CHANNELS: Final = ("app", "mini_program", "store", "web")
_SOURCE: Final = """\
live: true
customer: customer_key
row_key: row_key
streams:
  events: {time: time, columns: {type: type, sku: sku, channel: channel}}
"""
#: What a person at the console asks again and again while rows come in.
_QUESTION: Final = "SELECT grade, lifecycle, count(*), avg(spend_365d) FROM customers GROUP BY 1, 2"
_QUESTION_SECONDS: Final = 0.2
_START: Final = AS_OF.replace(tzinfo=UTC)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one of the measurements on a project that is made if it is not there; print its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refresh_speed", description=__doc__)
    parser.add_argument("what", choices=("full", "touched", "day", "live", "check"))
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True, help="kept and used again")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=4_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=180)
    asked = parser.parse_args(arguments)
    if not (asked.folder / "tierwise.yaml").is_file():
        make_project(asked.folder, asked.customers, 1, _say)
        prepare(asked.folder)
    clock = _Clock(asked.folder)
    with tierwise.open(asked.folder, clock=clock) as project:
        if asked.what == "full":
            figures = [_timed(lambda: project.run(import_sources=False, as_of=clock()))]
        elif asked.what == "touched":
            figures = touched(project, clock, asked.customers, asked.rounds)
        elif asked.what == "day":
            clock.move(timedelta(days=1))
            figures = [_timed(lambda: project.refresh(import_sources=False, as_of=clock()))]
        elif asked.what == "live":
            figures = [live(project, clock, asked.customers, asked.rate, asked.seconds)]
        else:
            figures = [check(project, clock, asked.folder)]
    for one in figures:
        sys.stdout.write(json.dumps({"load": round(os.getloadavg()[0], 1), **one}, default=str) + "\n")


def prepare(folder: Path) -> None:
    """Let the project take live events; leave out the one tag that is another at every moment for everybody."""
    (folder / "sources" / "stream.yaml").write_text(_SOURCE, encoding="utf-8")
    tags = folder / "definitions" / "tags.yaml"
    lines = [line for line in tags.read_text(encoding="utf-8").splitlines() if not line.startswith("  interest:")]
    tags.write_text("\n".join(lines) + "\n", encoding="utf-8")


class _Clock:
    """A clock that goes on from where the project's last results are; every answer's instant is told by it."""

    def __init__(self, folder: Path) -> None:
        with tierwise.open(folder, clock=lambda: _START) as project:
            reports = [run.report for run in project.store.runs.list(50) if run.report is not None]
        seen = [datetime.fromisoformat(report["as_of"]).replace(tzinfo=UTC) for report in reports]
        self._from, self._began = max([_START, *seen]), time.monotonic()
        self._runs = False

    def __call__(self) -> datetime:
        passed = time.monotonic() - self._began if self._runs else 0.0
        return self._from + timedelta(seconds=passed)

    def move(self, step: timedelta) -> None:
        """Go on by a step."""
        self._from += step

    def start(self) -> None:
        """Go on as time does, from now on."""
        self._began, self._runs = time.monotonic(), True


# -- by how many are touched ----------------------------------------------------------------------------------------


def touched(project: Project, clock: _Clock, customers: int, rounds: int) -> list[dict[str, Any]]:
    """Refresh with one new event of so many customers each, a second after the last refresh."""
    random_, serial = random.Random(7), time.time_ns()
    project.refresh(import_sources=False, as_of=clock())  # makes what only the first one makes
    figures = []
    for _ in range(rounds):
        for count in _TOUCHED:
            clock.move(timedelta(seconds=1))
            serial += 1
            who = np.array(random_.sample(range(customers), min(count, customers)))
            rows = events(who, [clock() - timedelta(milliseconds=500)] * len(who), serial)
            taken = _timed(lambda rows=rows, at=serial: project.absorb("stream", rows, at, compute=False))  # type: ignore[misc]
            found = _timed(lambda: project.refresh(import_sources=False, as_of=clock()))
            figures.append({"rows": count, "absorb_seconds": taken["seconds"], **found})
    return figures


def events(who: np.ndarray[Any, Any], times: Sequence[datetime], serial: int) -> pa.Table:
    """Return events of customers."""
    n = len(who)
    places = np.random.default_rng(serial % 2**32).integers(0, 2_000, n).tolist()
    return pa.table(
        {
            "customer_key": [f"c-{one}" for one in who.tolist()],
            "row_key": [f"s-{serial}-{i}" for i in range(n)],
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "type": [_TYPES[place % len(_TYPES)] for place in places],
            "sku": [f"p-{place:05d}" for place in places],
            "channel": [_CHANNELS[place % len(_CHANNELS)] for place in places],
        }
    )


# -- live -----------------------------------------------------------------------------------------------------------


def live(project: Project, clock: _Clock, customers: int, rate: int, seconds: float) -> dict[str, Any]:
    """Let events come at a rate whatever the project does, absorb what has come again and again, read beside it."""
    project.refresh(import_sources=False, as_of=clock())
    idle = _Reader(project)
    time.sleep(min(20.0, seconds))
    idle.stop()
    random_, serial = np.random.default_rng(11), time.time_ns()
    clock.start()
    began, taken, fresh, work = time.monotonic(), 0, [], []
    reader, spent = _Reader(project), _processor()
    while (now := time.monotonic() - began) < seconds:
        due = int(now * rate)
        if due <= taken:
            time.sleep(0.01)
            continue
        came = (np.arange(taken, due) / rate).tolist()  # seconds after the beginning
        start = clock() - timedelta(seconds=time.monotonic() - began)
        who = draw_customers(customers, random_.random(due - taken))
        rows = events(who, [start + timedelta(seconds=at) for at in came], serial + taken)
        done_from = time.monotonic()
        project.absorb("stream", rows, f"{serial}-{taken}", as_of=clock())
        done = time.monotonic()
        fresh += [done - began - at for at in came]
        work.append(done - done_from)
        taken = due
    passed = time.monotonic() - began
    reader.stop()
    return {
        "seconds": round(passed, 1),
        "events": taken,
        "events_a_second": round(taken / passed),
        "batches": len(work),
        "batch_seconds": _quantiles(work),
        "fresh_seconds": _quantiles(fresh),
        "reader_seconds": _quantiles(reader.seconds),
        "idle_reader_seconds": _quantiles(idle.seconds),
        "processor_share": round((_processor() - spent) / passed, 2),
        "lake_files": len(project.lake.paths("events")),
        "peak_mb": _peak(),
    }


class _Reader:
    """Somebody who asks the same question five times a second, in a thread of their own."""

    def __init__(self, project: Project) -> None:
        self.seconds: list[float] = []
        self._project, self._stopped = project, threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._stopped.wait(_QUESTION_SECONDS):
            began = time.monotonic()
            self._project.sql(_QUESTION)
            self.seconds.append(time.monotonic() - began)

    def stop(self) -> None:
        """Let them go."""
        self._stopped.set()
        self._thread.join()


# -- the same answers -----------------------------------------------------------------------------------------------


def check(project: Project, clock: _Clock, folder: Path) -> dict[str, Any]:
    """Compute a copy from its lake alone; compare the answers cell by cell, and with the membership log."""
    whole = folder.with_name(f"{folder.name}-whole")
    shutil.rmtree(whole, ignore_errors=True)
    project.close()
    shutil.copytree(folder, whole)
    shutil.rmtree(whole / "engine")
    paths, written = [one / "answers.parquet" for one in (folder, whole)], 0
    for one, path in zip((folder, whole), paths, strict=True):
        with tierwise.open(one, clock=clock) as opened:
            if one == whole:
                written = opened.refresh(import_sources=False, as_of=clock())["memberships_written"]
            write_table(opened.table("customers").sort_by("customer_id"), path)
    found = differing_cells(*paths)
    shutil.rmtree(whole)
    return {"differing_cells": found, "log_differs_by": written}


# -- measuring ------------------------------------------------------------------------------------------------------


def _timed(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    wall, processor = time.perf_counter(), _processor()
    report = work()
    found = {"seconds": round(time.perf_counter() - wall, 3), "cpu_seconds": round(_processor() - processor, 3)}
    laps = report.get("seconds", {})
    more: dict[str, Any] = {
        name: report[name] for name in ("touched", "everyone_because", "why", "state") if name in report
    }
    return {**found, "laps": laps, **more, "peak_mb": _peak()}


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p95 = np.quantile(np.array(values), [0.5, 0.95]).tolist()
    return {"p50": round(p50, 3), "p95": round(p95, 3), "max": round(max(values), 3)}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
