"""Tables and queries of databases: typed exactly, in one snapshot, never written to, and no address ever said."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg
import pyarrow as pa
import pytest
from pysqlite3 import dbapi2

from tests.projects import Brand, said
from tests.servers import fresh_database
from tierwise.definitions.sources import Source
from tierwise.errors import SourceUnreadable
from tierwise.sources.collect import native_types
from tierwise.sources.databases import DatabaseOrigin

SOURCE: Final = """\
database: ${CRM_URL}
table: orders
customer: customer
row_key: id
streams:
  orders: {time: paid_at, columns: {order_id: id, amount: amount}}
"""
STREAMS: Final = {"orders": {"time": "paid_at", "columns": {"order_id": "id"}}}


def origin(folder: Path, **declared: Any) -> DatabaseOrigin:
    form = {"database": "crm.db", "customer": "customer", "streams": STREAMS, **declared}
    return DatabaseOrigin(Source.model_validate(form), folder)


def rows(found: DatabaseOrigin) -> list[dict[str, Any]]:
    try:
        return [row for batch in found.open() for row in batch.table.to_pylist()]
    finally:
        found.close()


def sqlite(path: Path, *statements: str) -> None:
    with dbapi2.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Brand:
    monkeypatch.setenv("CRM_URL", "sqlite:///data/crm.db")
    brand = Brand(tmp_path, {"sources/orders.yaml": SOURCE, "data/keep.txt": ""})
    sqlite(
        tmp_path / "data/crm.db",
        "create table orders (id integer primary key, customer text, paid_at text, amount real, photo blob)",
        "insert into orders values (2, 'b', '2026-01-03 08:00:00', 0.1, x'00'), (1, 'a', '2026-01-02', 19.9, null)",
    )
    return brand


# -- SQLite ------------------------------------------------------------------------------------------------------------


def test_a_table_becomes_rows(shop: Brand) -> None:
    assert said(shop.problems()) == ""
    (report,) = shop.receive()
    assert (report.file, report.new, report.rows_read) == ("table orders", 2, 2)
    assert shop.received("orders", "order_id", "amount", "time", "line") == [
        ("1", Decimal("19.90"), datetime(2026, 1, 1, 16), 1),
        ("2", Decimal("0.10"), datetime(2026, 1, 3), 2),
    ]
    assert shop.receive(1)[0].state == "unchanged"
    sqlite(
        shop.folder / "data/crm.db",
        "update orders set amount = 20 where id = 1",
        "insert into orders values (3, 'c', 'x', 1, null)",
    )
    assert shop.imports(2) == [{"replaced": 1, "duplicate": 1, "quarantined": 1}]
    assert shop.values("quarantine", "file", "line", "column", "reason") == [
        ("table orders", 3, "paid_at", "not_a_date")
    ]


def test_a_table_is_not_written_to(shop: Brand) -> None:
    path = shop.folder / "data/crm.db"
    before = path.read_bytes()
    shop.imports()
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["crm.db", "keep.txt"]


def test_rows_of_one_state_while_others_write(shop: Brand) -> None:
    path = shop.folder / "data/crm.db"
    sqlite(path, "pragma journal_mode = wal")
    found = origin(shop.folder / "data", table="orders")
    reader = found.open()
    assert sum(batch.records for batch in reader) == 2
    sqlite(path, "insert into orders values (9, 'z', '2026-01-09', 1, null)")
    assert sum(batch.records for batch in reader) == 2, "the same state is read again"
    found.close()
    assert len(rows(origin(shop.folder / "data", table="orders"))) == 3


def test_whatever_sqlite_keeps_in_a_column(tmp_path: Path) -> None:
    sqlite(
        tmp_path / "crm.db",
        "create table t (id, v)",
        "insert into t values (1, 9007199254740993), (2, 0.1), (3, '0012'), (4, null), (5, 1e300), (6, cast(x'ff' as text)),"
        " (7, x'00'), (8, 'a' || char(0)), (9, 'e' || char(769))",
    )
    found = origin(tmp_path, query="select id, v from t order by id")
    batches = list(found.open())
    found.close()
    assert [row["v"] for batch in batches for row in batch.table.to_pylist()] == [
        "9007199254740993",
        "0.1",
        "0012",
        None,
        "1e+300",
        "é",
    ]
    rejected = [(one.line, one.column, one.reason) for batch in batches for one in batch.rejects]
    assert rejected == [(6, "v", "encoding"), (7, "v", "encoding"), (8, "v", "nul")]


def test_a_query(shop: Brand) -> None:
    found = origin(shop.folder / "data", query="select id, amount * 2 as 双倍 from orders where customer = 'a';")
    assert (found.shown, rows(found)) == ("query", [{"id": "1", "双倍": "39.8"}])


QUERIES = {
    "delete from orders": "is not one SELECT", "select 1; select 2": "is not one SELECT", "select 1; drop table orders": "is not one SELECT",
    "selec id": "SELECT|parsed", "": "is not one SELECT", "select id, id from orders": "are both named", "select nobody from orders": "no such column",
    "select * from nowhere": "no such table", "pragma user_version": "is not one SELECT", "with x as (select 1 as a) select b from x": "no such column",
}  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_queries_that_are_refused(shop: Brand, query: str) -> None:
    found = origin(shop.folder / "data", query=query)
    with pytest.raises(SourceUnreadable, match=QUERIES[query]) as refused:
        found.open()
    found.close()
    assert refused.value.hint
    assert len(rows(origin(shop.folder / "data", table="orders"))) == 2


def test_what_is_not_there(shop: Brand, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write({"sources/orders.yaml": SOURCE.replace("amount: amount", "amount: amout")})
    (problem,) = shop.problems()
    assert "table orders: there is no column `amout`" in problem.message and "`amount`" in problem.hint
    assert (problem.where.file, problem.where.line) == ("sources/orders.yaml", 6)
    shop.write({"sources/orders.yaml": SOURCE.replace("table: orders", "table: order")})
    (problem,) = shop.problems()
    assert "no such table" in problem.message and "`orders`" in problem.hint
    assert (problem.where.file, problem.where.line) == ("sources/orders.yaml", 2)
    shop.write({"sources/orders.yaml": SOURCE})
    for url, words in (
        ("sqlite:///data/crn.db", "no such database"), ("mysql://a:secretword@h/x", "kind that is not read"),
        ("://", "not the address|kind"), ("sqlite://", "kind that is not read"), ("data/keep.txt", "not a database|no such table"),
        ("postgresql://me:secretword@127.0.0.1:1/x", "cannot be reached"),
    ):  # fmt: skip
        monkeypatch.setenv("CRM_URL", url)
        (problem,) = shop.problems()
        assert any(word in problem.message for word in words.split("|")), (url, problem.message)
        assert "secretword" not in str(problem) and problem.hint
        line = 2 if "keep.txt" in url else 1
        assert (problem.where.file, problem.where.line) == ("sources/orders.yaml", line)
    monkeypatch.delenv("CRM_URL")
    assert "CRM_URL is not set" in said(shop.problems())


def test_a_password_in_the_file_is_refused(shop: Brand) -> None:
    shop.write({"sources/orders.yaml": SOURCE.replace("${CRM_URL}", "postgresql://me:secretword@host/crm")})
    (problem,) = shop.problems()
    assert "password" in problem.message and "secretword" not in str(problem)


def test_personal_columns_are_read_for_the_vault(shop: Brand) -> None:
    columns = {"order_id": "id", "phone": "customer"}
    found = origin(
        shop.folder / "data", table="orders", customer="id", streams={"orders": {"time": "paid_at", "columns": columns}}
    )
    reader = found.open()
    assert "customer" in reader.columns and "customer" in reader.schema.names
    assert "customer" in native_types(reader, found.source), "as the text of its blind index"
    assert native_types(reader, found.source)["customer"] == pa.string()
    found.close()


# -- PostgreSQL --------------------------------------------------------------------------------------------------------

Run = Callable[..., None]


@pytest.fixture
def server(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A database of its own, named by CRM_URL; the fixture runs statements in it."""
    with fresh_database(postgres_server) as url:
        monkeypatch.setenv("CRM_URL", url.replace("+psycopg", ""))

        def run(*statements: str) -> None:
            with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
                for statement in statements:
                    connection.execute(statement.encode())

        yield run


ORDERS = (
    "create table orders (id bigint primary key, customer text, paid_at timestamptz, amount numeric(12, 2), photo bytea)",
    "insert into orders values (2, 'b', '2026-01-03 08:00+08', 0.10, '\\x00'), (1, 'a', '2026-01-02 00:00+00', 19.9, null)",
)


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
def test_a_table_of_a_server(server: Run, tmp_path: Path) -> None:
    server(*ORDERS)
    brand = Brand(tmp_path, {"sources/orders.yaml": SOURCE})
    assert said(brand.problems()) == ""
    assert brand.imports() == [{"new": 2}]
    assert brand.received("orders", "order_id", "amount", "time", "line") == [
        ("1", Decimal("19.90"), datetime(2026, 1, 2), 1),
        ("2", Decimal("0.10"), datetime(2026, 1, 3), 2),
    ]
    assert brand.receive(1)[0].state == "unchanged"
    server("update orders set photo = photo")
    assert brand.receive(1)[0].state == "unchanged", "the same rows, written again"
    server("update orders set amount = 20 where id = 1", "delete from orders where id = 2")
    assert brand.imports(2) == [{"replaced": 1}]
    written = "".join(p.read_bytes().decode("latin-1") for p in tmp_path.rglob("*") if p.is_file())
    assert "127.0.0.1" not in written, "the address is kept nowhere"


VALUES: Final[dict[str, tuple[str, Any]]] = {
    "bool": ("true", True), "smallint": ("7", 7), "bigint": ("9223372036854775807", 2**63 - 1), "double precision": ("0.1", 0.1),
    "numeric": ("12345678901234567890.123456789", "12345678901234567890.123456789"), "numeric(20,0)": ("123", "123"), "real": ("0.5", 0.5),
    "text": ("'é e\u0301'", "é é"), "char(5)": ("'ab'", "ab   "), "date": ("'2026-01-02'", datetime(2026, 1, 2).date()),
    "timestamp": ("'2026-01-02 08:00:00.5'", datetime(2026, 1, 2, 8, 0, 0, 500000)), "uuid": ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "json": ("'{\"a\": 1.10, \"a\": 2}'", '{"a": 1.10, "a": 2}'), "jsonb": ("'{\"a\": 1.10}'", '{"a": 1.10}'), "int[]": ("'{1,2}'", "{1,2}"),
    "text[]": ("'{a,\"b c\"}'", '{a,"b c"}'), "time": ("'08:30'", "08:30:00"), "interval": ("'1 day 2 hours'", "P1DT2H"), "inet": ("'10.0.0.1'", "10.0.0.1"),
    "int4range": ("'[1,5)'", "[1,5)"), "money": ("12.5", "$12.50"), "xml": ("'<a/>'", "<a/>"),
}  # fmt: skip


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
def test_every_type_of_a_server(server: Run, tmp_path: Path) -> None:
    columns = ", ".join(f'"{kind}" {kind}' for kind in VALUES)
    server(
        f"create table t ({columns})",
        f"insert into t values ({', '.join(text for text, _ in VALUES.values())})",
        "insert into t default values",
    )
    found = origin(tmp_path, database="${CRM_URL}", table="public.t")
    first, second = rows(found)
    assert first == {kind: value for kind, (_, value) in VALUES.items()}
    assert set(second.values()) == {None}


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
def test_times_without_a_place_in_the_calendar(server: Run, tmp_path: Path) -> None:
    server(
        "create table t (id int, at timestamptz, day date)",
        "insert into t values (1, 'infinity', '2026-01-01'), (2, '2026-01-01 00:00:00.123456+08', '0044-03-15 BC'),"
        " (3, '12026-01-01', null), (4, '1999-12-31 23:00+00', '9999-12-31')",
    )
    found = origin(tmp_path, database="${CRM_URL}", query="select * from t order by id")
    batches = list(found.open())
    found.close()
    assert [(one.line, one.column, one.reason, one.detail) for batch in batches for one in batch.rejects] == [
        (1, "at", "out_of_range", "infinity"),
        (2, "day", "out_of_range", "0044-03-15 BC"),
        (3, "at", "out_of_range", "12026-01-01 00:00:00+00"),
    ]
    assert [batch.lines.to_pylist() for batch in batches] == [[4]]
    assert batches[0].table.schema.field("at").type == pa.timestamp("us", tz="UTC")


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
def test_one_state_of_a_server_while_others_write(server: Run, tmp_path: Path) -> None:
    server("create table t as select n as id from generate_series(1, 150000) n")
    found = origin(tmp_path, database="${CRM_URL}", table="t")
    seen = found.fingerprint()
    reader = found.open()
    batches = iter(reader)
    count = next(batches).records
    server("insert into t select n from generate_series(1, 50000) n", "delete from t where id < 1000")
    assert count + sum(batch.records for batch in batches) == reader.rows_read == 150_000
    assert sum(batch.records for batch in reader) == 150_000
    assert found.fingerprint() == seen
    found.close()
    assert found.fingerprint() != seen
    found.close()


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
def test_a_late_commit_is_not_missed(server: Run, tmp_path: Path) -> None:
    """An update by a transaction that is older than the newest row changes neither a count nor a highest number."""
    server("create table t (id int, v int)", "insert into t values (1, 1), (2, 2)")
    found = origin(tmp_path, database="${CRM_URL}", table="t")
    with psycopg.connect(os.environ["CRM_URL"]) as late:
        late.execute("update t set v = 9 where id = 1")
        server("update t set v = 3 where id = 2")
        before = found.fingerprint()
        found.close()
    assert found.fingerprint() != before
    found.close()


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
def test_a_server_refuses(server: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(
        *ORDERS, "create function mark() returns int language sql as 'insert into orders (id) values (99) returning 1'"
    )
    for query, words in (
        ("select mark() as id", "read-only"), ("select photo from orders", "holds bytes"), ("select 1/0 as id", "division by zero"),
        ("select id from orders for update", "change or lock"), ("with x as (delete from orders returning id) select id from x", "change or lock"),
        ("select id into copied from orders", "change or lock"), ("select nobody from orders", "does not exist"),
        ("select '%s' as id, 'a:b' as text, '100%' as share", ""),
    ):  # fmt: skip
        found = origin(tmp_path, database="${CRM_URL}", query=query)
        try:
            if words:
                with pytest.raises(SourceUnreadable, match=words):
                    list(found.open())
            else:
                assert [row["text"] for batch in found.open() for row in batch.table.to_pylist()] == ["a:b"]
        finally:
            found.close()
    url = os.environ["CRM_URL"]
    monkeypatch.setenv("CRM_URL", url.rpartition("/")[0] + "/nowhere_at_all")
    with pytest.raises(SourceUnreadable, match="cannot be reached") as refused:
        origin(tmp_path, database="${CRM_URL}", table="orders").open()
    assert "nowhere_at_all" not in str(refused.value)


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
def test_a_statement_that_takes_too_long(server: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tierwise.sources.databases._SESSION", {"statement_timeout": "200ms", "datestyle": "ISO"})
    found = origin(tmp_path, database="${CRM_URL}", query="select pg_sleep(30)::text as id")
    done = threading.Event()

    def ask() -> None:
        with pytest.raises(SourceUnreadable, match="minutes"):
            list(found.open())
        done.set()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(25)
    found.close()
    assert done.is_set(), "the server gives up by itself"
