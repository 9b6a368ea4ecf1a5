"""What a person writes as SQL: answered over the engine's tables, refused as soon as it is anything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.backends.duckdb.reader import select
from tierwise.errors import BadRequest


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckEngine]:
    """A confined engine with one table that is offered and one that is not; a file of the lake it could reach."""
    (tmp_path / "lake").mkdir()
    pq.write_table(pa.table({"x": [9]}), tmp_path / "lake" / "a.parquet")
    with DuckEngine(tmp_path / "engine" / "t.duckdb") as owner:
        owner.create("t", exp.select("unnest([1, 2, 3]) AS x"))
        owner.create("hidden", exp.select("1 AS x"))
        owner.confine([tmp_path / "lake", tmp_path / "engine"])
        with owner.cursor() as cursor:
            cursor.pin()
            yield cursor


def ask(engine: DuckEngine, query: str, limit: int | None = None) -> pa.Table:
    return select(engine, query, ["t"], limit)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT x FROM t ORDER BY x", 3),
        ("SELECT x FROM T", 3),
        ("FROM t", 3),
        ('SELECT "x" FROM main."t" AS a', 3),
        ("WITH a AS (SELECT 1 AS y), b AS (SELECT y FROM a) SELECT y FROM b", 1),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n", 5),
        ("SELECT x FROM t WHERE x > 9", 0),
        ("SELECT t.x, i FROM t, range(2) AS r(i)", 6),
        ("SELECT x FROM t UNION ALL SELECT * FROM (VALUES (1), (2))", 5),
        ("SELECT x, row_number() OVER (ORDER BY x) FROM t WHERE x IN (SELECT max(x) FROM t)", 1),
        ("DESCRIBE t", 1),
        ("SUMMARIZE t", 1),
        ("SELECT table_name FROM information_schema.tables WHERE table_name = 't'", 1),
    ],
)
def test_a_select_is_answered(engine: DuckEngine, query: str, rows: int) -> None:
    assert ask(engine, query).num_rows == rows


def test_a_limit_is_kept(engine: DuckEngine) -> None:
    assert ask(engine, "SELECT x FROM t ORDER BY x DESC", 2).to_pydict() == {"x": [3, 2]}


FILE = "/etc/passwd"


@pytest.mark.parametrize(
    "query",
    [
        "", ";", "not sql", "SELECT", "SELECT 1; SELECT 2", "SELECT nothing FROM t", "SELECT * FROM nowhere",
        "DROP TABLE t", "INSERT INTO t VALUES (4)", "UPDATE t SET x = 0", "DELETE FROM t", "TRUNCATE t",
        "CREATE TABLE u AS SELECT 1", "CREATE TEMP TABLE u AS SELECT 1", "CREATE MACRO f() AS 1", "ALTER TABLE t RENAME TO u",
        "COPY t TO 'out.csv'", f"COPY t FROM '{FILE}'", "EXPORT DATABASE 'x'", "IMPORT DATABASE 'x'",
        "ATTACH 'other.db'", "DETACH t", "USE temp", "INSTALL httpfs", "LOAD httpfs", "CHECKPOINT", "VACUUM", "CALL checkpoint()",
        "SET enable_external_access = true", "SET memory_limit = '1MB'", "RESET memory_limit", "SET VARIABLE a = 1",
        "PRAGMA database_list", "PRAGMA version", "BEGIN", "COMMIT", "ROLLBACK", "PREPARE p AS SELECT 1", "EXECUTE p",
        "EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1", "SHOW TABLES", "SHOW ALL TABLES",
        f"SELECT * FROM read_csv('{FILE}')", f"SELECT content FROM read_text('{FILE}')", f"SELECT * FROM read_blob('{FILE}')",
        f"SELECT * FROM read_json('{FILE}')", "SELECT * FROM read_parquet('lake/a.parquet')", "SELECT * FROM parquet_scan('x')",
        "SELECT * FROM parquet_metadata('lake/a.parquet')", f"SELECT * FROM sniff_csv('{FILE}')", "SELECT * FROM glob('/*')",
        f"SELECT * FROM '{FILE}'", "SELECT * FROM 'lake/a.parquet'", 'SELECT * FROM "lake/a.parquet"', "SELECT * FROM t, 'x.csv'",
        f"SELECT x FROM t WHERE EXISTS (FROM read_csv('{FILE}'))", f"SELECT (SELECT content FROM read_text('{FILE}'))",
        "SELECT x FROM t ORDER BY (SELECT count(*) FROM 'x.csv')", "SELECT x FROM t UNION SELECT * FROM 'x.csv'",
        f"WITH a AS (FROM read_csv('{FILE}')) SELECT 1", f"SELECT * FROM (DESCRIBE SELECT * FROM '{FILE}')",
        "SELECT * FROM query('SELECT 1')", "SELECT * FROM query_table('hidden')", "FROM json_execute_serialized_sql('{}')",
        "SELECT * FROM duckdb_secrets()", "SELECT * FROM duckdb_settings()", "SELECT * FROM duckdb_tables()",
        "SELECT * FROM pragma_table_info('t')", "SELECT * FROM checkpoint()", "SELECT * FROM force_checkpoint()",
        "SELECT getenv('HOME')", "SELECT GETENV('HOME')", "SELECT current_setting('temp_directory')", "SELECT nextval('s')",
        "SELECT write_log('x')", "SELECT sleep_ms(10)", "SELECT x FROM t WHERE getvariable('a') = 1",
        "SELECT * FROM hidden", "SELECT * FROM main.hidden", "SELECT * FROM temp.t", "SELECT * FROM t.main.t",
        "SELECT * FROM sqlite_master", "SELECT * FROM pg_catalog.pg_class", "SELECT * FROM information_schema.schemata",
        "SELECT * FROM (WITH \"lake/a.parquet\" AS (SELECT 1) SELECT 1), 'lake/a.parquet'",
        "SELECT * FROM (WITH rows AS (SELECT 1) SELECT 1), rows",
    ],
)  # fmt: skip
def test_anything_else_is_refused(
    engine: DuckEngine, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    rows = pa.table({"x": [1]})  # a variable of Python is no table either
    with pytest.raises(BadRequest) as refused:
        ask(engine, query)
    assert refused.value.hint and rows.num_rows
    assert sorted(tmp_path.rglob("*")) == before


def test_after_a_refusal_the_next_is_answered(engine: DuckEngine) -> None:
    with pytest.raises(BadRequest):
        ask(engine, "SELECT * FROM read_text('/etc/passwd')")
    assert ask(engine, "SELECT count(*) AS n FROM t").to_pydict() == {"n": [3]}
