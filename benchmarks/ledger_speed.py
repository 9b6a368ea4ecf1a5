"""The points ledger's speed: many callers, two processes, one busy customer, a million orders, a million expiries.

python -m benchmarks.ledger_speed callers            64 callers on SQLite, 10,000 customers
python -m benchmarks.ledger_speed two                the same from two processes at once
python -m benchmarks.ledger_speed hot                64 callers, one customer
python -m benchmarks.ledger_speed bulk expiry        a million orders earn, then a million lots expire
python -m benchmarks.ledger_speed callers --store postgresql+psycopg://…
python -m benchmarks.ledger_speed callers --slow-disk    with 2 ms added to every fsync (SQLite)
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from tierwise.errors import NotEnough
from tierwise.store import Actor, Earn, Redeem, Request, Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANN = Actor("cli", "ann")
CALLERS = 64


def main() -> None:
    """Measure what is asked for, one line of JSON each."""
    parser = argparse.ArgumentParser(prog="ledger_speed")
    parser.add_argument("what", nargs="+", choices=["callers", "two", "hot", "bulk", "expiry"])
    parser.add_argument("--store", default="", help="a path or URL; by default a new file")
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--deeds", type=int, default=20_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--slow-disk", action="store_true")
    options = parser.parse_args()
    if options.slow_disk and "slow_fsync" not in os.environ.get("LD_PRELOAD", ""):
        sys.exit(_again_on_a_slow_disk())
    with tempfile.TemporaryDirectory() as folder:
        where = options.store or f"{folder}/store.db"
        _people(where, max(options.customers, options.orders if "bulk" in options.what else 0))
        for what in options.what:
            measured = {"callers": _callers, "two": _two, "hot": _hot, "bulk": _bulk, "expiry": _expiry}[what](
                where, options
            )
            found = {"what": what, "store": where.partition(":")[0], "slow_disk": options.slow_disk, **measured}
            sys.stdout.write(json.dumps(found) + "\n")
        with Store.open(where) as store:
            begun = time.perf_counter()
            findings = store.check()
            sys.stdout.write(
                json.dumps({"check_s": round(time.perf_counter() - begun, 1), "findings": findings}) + "\n"
            )


def _again_on_a_slow_disk() -> int:
    """Run this again with every fsync 2 ms slower."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "slow_fsync.so"
        source = Path(__file__).with_name("slow_fsync.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
        command = [sys.executable, "-m", "benchmarks.ledger_speed", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, "LD_PRELOAD": str(library)}, check=False).returncode


def _people(where: str, count: int) -> None:
    with Store.open(where) as store:
        keys = [f"c{number}" for number in range(count)]
        store.ids.assign(pa.table({"key_space": ["crm"] * count, "source_key": keys}))


def _deed(name: str, number: int, customers: int, chance: random.Random) -> Request:
    said: dict[str, Any] = {"key": f"{name}/{number}", "at": NOW, "actor": ANN, "reference": f"A{number}"}
    said |= {"customer_id": chance.randint(1, customers)}
    if chance.random() < 0.3:
        return Redeem(points=chance.randint(1, 50), **said)
    return Earn(points=chance.randint(1, 300), expires_at=NOW + timedelta(days=365), **said)


def _callers(where: str, options: argparse.Namespace) -> dict[str, Any]:
    with Store.open(where) as store:
        return _post(store, f"callers {time.time_ns()}", options.customers, options.deeds)


def _hot(where: str, options: argparse.Namespace) -> dict[str, Any]:
    with Store.open(where) as store:
        return _post(store, f"hot {time.time_ns()}", 1, options.deeds)


def _post(store: Store, name: str, customers: int, deeds: int) -> dict[str, Any]:
    """Post deeds from 64 threads, each waiting for its own before it goes on."""
    work = [_deed(name, number, customers, random.Random(number)) for number in range(deeds)]
    waits: list[float] = []

    def call(part: list[Request]) -> None:
        for one in part:
            begun = time.perf_counter()
            with suppress(NotEnough):
                store.points.post(one)
            waits.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=call, args=(work[i::CALLERS],)) for i in range(CALLERS)]
    begun, used = time.perf_counter(), _cpu_s()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, used = time.perf_counter() - begun, _cpu_s() - used
    waits.sort()
    return {
        "deeds": deeds,
        "per_s": round(deeds / seconds),
        "cpu_us_each": round(used / deeds * 1e6),
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 1),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1e3, 1),
    }


def _two(where: str, options: argparse.Namespace) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_one_of_two, args=(where, name, options.customers, options.deeds, barrier, answers))
        for name in ("left", "right")
    ]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return {"deeds": 2 * options.deeds, "per_s": sum(one["per_s"] for one in found), "each": found}


def _one_of_two(where: str, name: str, customers: int, deeds: int, barrier: Any, answers: Any) -> None:
    with Store.open(where) as store:
        barrier.wait()
        answers.put(_post(store, f"{name} {time.time_ns()}", customers, deeds))


def _bulk(where: str, options: argparse.Namespace) -> dict[str, Any]:
    def order(number: int) -> Earn:
        said: dict[str, Any] = {"key": f"order {number}", "at": NOW, "actor": ANN, "reference": f"A{number}"}
        return Earn(
            **said,
            customer_id=number + 1,
            points=1 + number % 500,
            rule="purchases",
            expires_at=NOW + timedelta(days=30, seconds=number),
        )

    begun, used = time.perf_counter(), _cpu_s()
    with Store.open(where) as store:
        orders = [order(number) for number in range(options.orders)]
        earned = sum(1 for _ in store.points.post_many(orders))
    return {"orders": earned, "s": round(time.perf_counter() - begun, 1), "cpu_s": round(_cpu_s() - used, 1)}


def _expiry(where: str, options: argparse.Namespace) -> dict[str, Any]:
    begun, used = time.perf_counter(), _cpu_s()
    with Store.open(where) as store:
        done = store.points.settle(NOW + timedelta(days=400))
    return {**done, "s": round(time.perf_counter() - begun, 1), "cpu_s": round(_cpu_s() - used, 1)}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
