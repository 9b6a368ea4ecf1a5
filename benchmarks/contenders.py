"""The contenders: each does the whole standard set its own way and can leave its answers in a file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
from sqlglot import exp

import tierwise
from benchmarks.data import AS_OF
from benchmarks.rivals.frames import export
from tierwise.definitions.check import Catalogue, check
from tierwise.definitions.load import load
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import source_of
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.run import evaluate_everyone
from tierwise.engine.snapshot import Snapshot, everyone

__all__ = ["CONTENDERS", "Clock", "Timed"]


@dataclass(frozen=True)
class Timed:
    """What a piece of work gave, and how many seconds it took."""

    answer: Any
    seconds: float


#: A contender's body: given the project's folder and what times its work, it returns what else it found.
Clock = Callable[[Callable[[], Any]], "Timed"]
_Contender = Callable[[Path, Clock], Mapping[str, Any]]
_SQL: Final = Path(__file__).parent / "rivals"
_NOW: Final = AS_OF + timedelta(days=1)


def _total(folder: Path, clock: Clock) -> Mapping[str, Any]:
    """A run through the façade from the lake on: tables built, everyone evaluated, memberships recorded."""
    shutil.rmtree(folder / "engine", ignore_errors=True)
    with tierwise.open(folder, clock=lambda: _NOW.replace(tzinfo=UTC)) as project:
        report = clock(lambda: project.run(import_sources=False)).answer
    return {"steps": report["seconds"], "customers": report["customers"]}


def _catalogue(folder: Path) -> Catalogue:
    definitions, problems = load(folder)
    assert definitions is not None, problems
    catalogue, found = check(definitions, {})
    assert catalogue is not None, found
    return catalogue


def _evaluate(folder: Path, clock: Clock) -> Mapping[str, Any]:
    """Tierwise from the engine's tables: plan, evaluate, publish, write the table of results."""
    catalogue = _catalogue(folder)
    snapshot = Snapshot(AS_OF, catalogue.definitions.digest, {}, 1, 1)
    with DuckEngine(folder / "engine" / "tierwise.duckdb") as engine:
        clock(lambda: evaluate_everyone(engine, catalogue, snapshot, "bench_answers", lambda step, done, total: None))
        (folder / "answers").mkdir(exist_ok=True)
        engine.write_parquet(exp.select("*").from_("bench_answers"), folder / "answers" / "tierwise.parquet")
        engine.drop("bench_answers")
    return {}


def _naive(folder: Path, clock: Clock) -> Mapping[str, Any]:
    """The same emitters, one plan for each of the 43 definitions: what no sharing of passes costs."""
    catalogue = _catalogue(folder)
    snapshot = Snapshot(AS_OF, catalogue.definitions.digest, {}, 1, 1)

    def work() -> None:
        with DuckEngine(folder / "engine" / "tierwise.duckdb") as engine:
            for name in (*catalogue.tags, *catalogue.tierings, *catalogue.segments):
                Evaluator(engine, catalogue, source_of(catalogue), snapshot).evaluate(everyone(AS_OF), [name])

    clock(work)
    return {}


def _written(name: str, answers: bool) -> _Contender:
    """A contender whose SQL was written by hand, over the same tables with the same settings."""

    def run(folder: Path, clock: Clock) -> Mapping[str, Any]:
        config: dict[str, Any] = {
            "preserve_insertion_order": "false",
            "temp_directory": str(folder / "engine" / "spill"),
        }
        connection = duckdb.connect(str(folder / "engine" / "tierwise.duckdb"), config=config)
        connection.execute("DROP TABLE IF EXISTS hand")
        statements = [statement.query for statement in duckdb.extract_statements((_SQL / f"{name}.sql").read_text())]
        clock(lambda: [connection.execute(statement).fetchall() for statement in statements])
        if answers:
            _copy(connection, folder / "answers" / f"{name}.parquet", name)
            connection.execute(f"DROP TABLE {name}")
        connection.close()
        return {}

    return run


def _polars(folder: Path, clock: Clock) -> Mapping[str, Any]:
    """Polars over Parquet files of the columns it needs."""
    from benchmarks.rivals.in_polars import answers

    found = clock(lambda: answers(folder / "frames")).answer
    found.write_parquet(folder / "answers" / "polars.parquet")
    return {}


def _pandas(folder: Path, clock: Clock) -> Mapping[str, Any]:
    """Pandas over the same files."""
    from benchmarks.rivals.in_pandas import answers

    found = clock(lambda: answers(folder / "frames")).answer
    found.to_parquet(folder / "answers" / "pandas.parquet")
    return {}


def _estimate(folder: Path, clock: Clock) -> Mapping[str, Any]:
    """The façade's estimate of rules over existing tags, each different; one before to open what is open later."""
    seconds = []
    with tierwise.open(folder, clock=lambda: _NOW.replace(tzinfo=UTC)) as project:
        project.estimate("spend_90d > 1")
        for n in range(40):
            rule = (
                f"(spend_365d >= {50 + 5 * n} or orders_365d > {n % 7}) and active_days_30d >= {n % 5} "
                f'and tier("lifecycle") in ("loyal", "active") and not segment("overdue") and r >= {1 + n % 4}'
            )
            seconds.append(clock(partial(project.estimate, rule)).seconds)
    ordered = sorted(seconds)
    return {"p50_ms": ordered[len(ordered) // 2] * 1000, "p95_ms": ordered[int(len(ordered) * 0.95)] * 1000}


def _frames(folder: Path, clock: Clock) -> Mapping[str, Any]:
    """Not a contender: writes the files that Polars and pandas read."""
    clock(lambda: export(folder / "engine" / "tierwise.duckdb", folder / "frames"))
    return {}


CONTENDERS: Final[Mapping[str, _Contender]] = {
    "total": _total,
    "frames": _frames,
    "scan": _written("scan", answers=False),
    "floor": _written("floor", answers=False),
    "hand": _written("hand", answers=True),
    "evaluate": _evaluate,
    "naive": _naive,
    "polars": _polars,
    "pandas": _pandas,
    "estimate": _estimate,
}


def _copy(connection: Any, path: Path, table: str) -> None:
    path.parent.mkdir(exist_ok=True)
    connection.execute(f"COPY {table} TO '{path}' (FORMAT parquet)")
