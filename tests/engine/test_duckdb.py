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
from tierwise.errors import EngineRefused, ProjectBusy

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


def test_a_table_that_stands_in_is_seen_by_its_maker_only(tmp_path: Path) -> None:
    with DuckEngine(tmp_path / "t.duckdb") as engine, engine.cursor() as maker, engine.cursor() as reader:
        engine.create("t", exp.select("1 AS x"))
        maker.create("t$new", exp.select("2 AS x", "3 AS y"))
        maker.create("n$new", exp.select("7 AS x"))
        maker.stand_in("t", "t$new")
        maker.stand_in("n", "n$new")
        assert (total(maker, "t"), total(reader, "t")) == (2, 1)
        assert (list(maker.columns("t")), list(reader.columns("t")), reader.columns("n")) == (["x", "y"], ["x"], {})
        reader.pin()
        engine.create("results$new", exp.select("5 AS x"))
        maker.settle({"results": "results$new"})
        assert (total(engine, "t"), total(engine, "n"), total(engine, "results")) == (2, 7, 5)
        assert total(reader, "t") == 1, "what is pinned stays"
        assert engine.tables() == ["n", "results", "t"]


def test_a_failed_settling_leaves_the_old_tables(tmp_path: Path) -> None:
    with DuckEngine(tmp_path / "t.duckdb") as engine, engine.cursor() as maker:
        engine.create("t", exp.select("1 AS x"))
        maker.create("t$new", exp.select("2 AS x"))
        maker.stand_in("t", "t$new")
        with pytest.raises(EngineRefused):
            maker.settle({"results": "not_there"})
        assert total(engine, "t") == 1
        maker.settle({})
        assert total(engine, "t") == 2


def test_a_pinned_connection_makes_temporary_tables_only() -> None:
    with DuckEngine(None) as engine, engine.cursor() as reader:
        engine.create("t", exp.select("1 AS x"))
        reader.pin()
        reader.register("own$", NUMBERS)
        reader.define("twice", exp.Mul(this=exp.column("w"), expression=exp.Literal.number(2)))
        assert reader.rows(exp.select("sum(twice(x))").from_('"own$"')) == [(12,)]
        with pytest.raises(EngineRefused):
            reader.create("kept", exp.select("1 AS x"))
        reader.drop("own$")  # after a failure there is nothing left to drop, and it says nothing


def test_connections_do_not_see_each_others_temporary_tables() -> None:
    with DuckEngine(None) as engine, engine.cursor() as one, engine.cursor() as other:
        one.register("own$", NUMBERS)
        other.register("own$", NUMBERS.slice(0, 1))
        assert (total(one, '"own$"'), total(other, '"own$"')) == (6, 1)


def test_a_confined_engine_reaches_its_own_folders_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "lake" / "a.parquet", tmp_path / "b.parquet"
    inside.parent.mkdir()
    for path in (inside, outside):
        pq.write_table(NUMBERS, path)
    with DuckEngine(tmp_path / "engine" / "t.duckdb") as engine:
        engine.confine([inside.parent, tmp_path / "engine"])
        with engine.cursor() as cursor:
            cursor.create("t", exp.select("x").from_(f"read_parquet('{inside}')"))
            assert total(cursor, "t") == 6
            for path in (outside, Path("/etc/passwd"), inside.parent / ".." / "b.parquet"):
                with pytest.raises(EngineRefused, match="Permission"):
                    cursor.rows(exp.select("*").from_(f"read_parquet('{path}')"))
            with pytest.raises(EngineRefused, match="Permission"):
                cursor.write_parquet(exp.select("1 AS x"), tmp_path / "out.parquet")


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


def test_a_second_process_is_told_who_has_the_file(file: Path) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ProjectBusy, match=str(holder.pid)):
            DuckEngine(file)
        holder.stdin.close()
        holder.wait()


def test_a_file_that_is_no_database_says_what_to_do(tmp_path: Path) -> None:
    broken = tmp_path / "t.duckdb"
    broken.write_bytes(b"no database at all" * 1000)
    with pytest.raises(EngineRefused) as refused:
        DuckEngine(broken)
    assert "delete the engine/ folder" in str(refused.value.hint)


def test_rows_are_lent_and_handed_out_in_batches(tmp_path: Path) -> None:
    with DuckEngine(None, spill=tmp_path / "spill") as engine:
        with engine.lent("t$", NUMBERS):
            assert total(engine, '"t$"') == 6
            engine.create("kept", exp.select("x").from_('"t$"'))
        with pytest.raises(EngineRefused, match=r"t\$"):
            total(engine, '"t$"')
        assert [batch.num_rows for batch in engine.batches(exp.select("x").from_("kept"), 2)] == [2, 1]


def test_what_does_not_fit_into_memory_overflows_into_the_folder(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    with DuckEngine(None, memory_limit_mb=60, spill=spill) as engine:
        rows = exp.select("*", "md5(i::VARCHAR) AS h").from_("range(1500000) AS r(i)")
        assert engine.create("large", rows) == 1_500_000
        assert [*spill.iterdir()]
        assert engine.rows(exp.select("count(distinct h)").from_("large")) == [(1_500_000,)]
    assert not spill.exists() or not [*spill.iterdir()]
