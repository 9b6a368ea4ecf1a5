"""The DuckDB backend: tables come and go whole, people only read, refusals say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.errors import BadRequest, EngineRefused, ProjectBusy

NUMBERS = pa.table({"x": [1, 2, 3]})


def total(engine: DuckEngine, table: str) -> int:
    return int(engine.rows(exp.select(exp.Sum(this=exp.column("x"))).from_(exp.to_table(table)))[0][0])


def test_tables_are_made_remade_and_dropped() -> None:
    with DuckEngine(None) as engine:
        engine.register("t$", NUMBERS)
        assert engine.create("kept", exp.select("x").from_(exp.to_identifier("t$", quoted=True).sql())) == 3
        assert engine.create("kept", exp.select("x").from_('"t$"').where("x > 1")) == 2
        assert engine.tables() == ["kept"]
        assert engine.columns("kept") == {"x": "BIGINT"}
        engine.drop("kept")
        engine.drop("kept")
        assert engine.tables() == []


def test_names_and_texts_are_never_read_as_sql() -> None:
    with DuckEngine(None) as engine:
        name = 'a"; DROP TABLE x; --'
        engine.register(name, pa.table({name: ["o'ne\\", "微信"]}))
        column = exp.column(exp.to_identifier(name, quoted=True))
        select = exp.select(column).from_(exp.Table(this=exp.to_identifier(name, quoted=True)))
        select = select.where(exp.EQ(this=column.copy(), expression=exp.Literal.string("o'ne\\")))
        assert engine.rows(select) == [("o'ne\\",)]


def test_a_swap_is_all_or_nothing(tmp_path: Path) -> None:
    with DuckEngine(tmp_path / "t.duckdb") as engine:
        for name, value in (("a", 1), ("b", 10), ("new_a", 2)):
            engine.create(name, exp.select(f"{value} AS x"))
        with pytest.raises(EngineRefused):
            engine.swap({"a": "new_a", "b": "not_there"})
        assert (total(engine, "a"), total(engine, "b"), total(engine, "new_a")) == (1, 10, 2)
        engine.create("new_b", exp.select("20 AS x"))
        engine.swap({"a": "new_a", "b": "new_b"})
        assert (total(engine, "a"), total(engine, "b")) == (2, 20)
        assert engine.tables() == ["a", "b"]
    with DuckEngine(tmp_path / "t.duckdb") as engine:
        assert total(engine, "a") == 2


def test_a_function_is_defined_once_for_a_connection() -> None:
    with DuckEngine(None) as engine:
        engine.define("twice", exp.Mul(this=exp.column("w"), expression=exp.Literal.number(2)))
        engine.define("twice", exp.Mul(this=exp.column("w"), expression=exp.Literal.number(3)))
        assert engine.rows(exp.select("twice(4)")) == [(8,)]
        assert engine.tables() == []


def test_parquet_is_written(tmp_path: Path) -> None:
    with DuckEngine(None) as engine:
        engine.register("t", NUMBERS)
        engine.write_parquet(exp.select("x").from_("t").order_by("x"), tmp_path / "o'ne.parquet")
    assert pq.read_table(tmp_path / "o'ne.parquet").to_pydict() == {"x": [1, 2, 3]}


def test_a_refusal_names_the_statement() -> None:
    with DuckEngine(None) as engine, pytest.raises(EngineRefused) as refused:
        engine.rows(exp.select("x").from_("nowhere"))
    assert "nowhere" in str(refused.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.duckdb"
    with DuckEngine(path) as engine:
        engine.create("t", exp.select("unnest([1, 2, 3]) AS x"))
    return path


def test_one_select_is_answered(file: Path) -> None:
    assert DuckEngine.read_only(file, "SELECT x FROM t ORDER BY x", None).to_pydict() == {"x": [1, 2, 3]}
    assert DuckEngine.read_only(file, "SELECT x FROM t ORDER BY x DESC", 2).to_pydict() == {"x": [3, 2]}
    assert DuckEngine.read_only(file, "WITH a AS (SELECT 1 AS y) SELECT y FROM a", 5).num_rows == 1
    assert DuckEngine.read_only(file, "SELECT x FROM t WHERE x > 9", 5).schema.names == ["x"]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE t",
        "SELECT 1; SELECT 2",
        "",
        "INSERT INTO t VALUES (4)",
        "CREATE TABLE u AS SELECT 1",
        "UPDATE t SET x = 0",
        "ATTACH 'other.db'",
        "COPY t TO 'out.csv'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT content FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT nothing FROM t",
        "not sql",
    ],
)
def test_anything_else_is_refused(file: Path, sql: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadRequest):
        DuckEngine.read_only(file, sql, 10)
    assert DuckEngine.read_only(file, "SELECT count(*) AS n FROM t", None).to_pydict() == {"n": [3]}
    assert sorted(tmp_path.iterdir()) == before


def test_a_second_process_is_told_who_has_the_file(file: Path) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        for ask in (lambda: DuckEngine(file), lambda: DuckEngine.read_only(file, "SELECT 1", None)):
            with pytest.raises(ProjectBusy, match=str(holder.pid)):
                ask()
        holder.stdin.close()
        holder.wait()


def test_a_file_that_is_no_database_says_what_to_do(tmp_path: Path) -> None:
    broken = tmp_path / "t.duckdb"
    broken.write_bytes(b"no database at all" * 1000)
    with pytest.raises(EngineRefused) as refused:
        DuckEngine(broken)
    assert "delete the engine/ folder" in str(refused.value.hint)
