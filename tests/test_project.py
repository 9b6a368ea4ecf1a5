"""The façade: what was run can be asked, every refusal says what to do, and nothing can be changed by asking."""

from __future__ import annotations

import csv as csv_files
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import tierwise
from tests.projects import NOW, ORDERS, TIERS, Brand, csv
from tierwise.errors import BadRequest, DefinitionsInvalid, ProjectBusy, TierwiseError, UnknownName
from tierwise.store import SYSTEM

HEAD = "id,customer,time,amount"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    brand = Brand(tmp_path_factory.mktemp("shop"), {"sources/orders.yaml": ORDERS, "definitions/tiers.yaml": TIERS})
    rows = ["1,a,2026-05-20,200", "2,b,2026-01-20,150", "3,c,2026-05-20,0", "4,=1+1,2026-05-20,7", "5,x,2026-05-20,?"]
    brand.write({"data/orders.csv": csv(HEAD, *rows)})
    brand.run()
    return brand


def test_an_estimate_is_the_count_after_the_run(shop: Brand) -> None:
    with shop.open() as project:
        counted = project.table("customers")
        for expression, column, value in (("tier('value') == 'high'", "value", "high"), ("spend == 7", "spend", 7)):
            expected = sum(row == value for row in counted.column(column).to_pylist())
            assert project.estimate(expression)["count"] == expected
        assert project.estimate('segment("recent") and spend >= 100')["count"] == 1
        for wrong in ("spend >", "spnd > 1", "spend + 1"):
            with pytest.raises(DefinitionsInvalid):
                project.estimate(wrong)


def test_an_estimate_says_what_a_segment_will_hold(shop: Brand, tmp_path: Path) -> None:
    brand = Brand(
        tmp_path,
        {
            str(p.relative_to(shop.folder)): p.read_bytes()
            for p in shop.folder.rglob("*.*")
            if p.suffix in (".yaml", ".csv")
        },
    )
    brand.run()
    rule = "spend > 5 and days_since(last(orders.time)) > 30"
    with brand.open() as project:
        estimated = project.estimate(rule)["count"]
    brand.write({"definitions/more.yaml": f"segments: {{lapsing: '{rule}'}}\n"})
    assert brand.run()["segments"]["lapsing"] == estimated == 1


def test_explain_one_customer(shop: Brand) -> None:
    with shop.open() as project:
        assert "high" in str(project.explain("a"))
        for unknown in ("nobody", "id:99", "id:x", ""):
            with pytest.raises(TierwiseError):
                project.explain(unknown)


def test_exports_open_and_hold_no_formula(shop: Brand, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    with shop.open() as project:
        for name in ("customers", "quarantine", "memberships"):
            assert project.export(name, tmp_path / f"{name}.csv")["rows"] == project.table(name).num_rows
        project.export("customers", tmp_path / "customers.xlsx")
        with pytest.raises(TierwiseError) as refused:
            project.export("customers", tmp_path / "customers.doc")
        assert refused.value.hint
        with pytest.raises(UnknownName):
            project.export("custmers", tmp_path / "x.csv")
    with (tmp_path / "customers.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv_files.DictReader(file))
    assert [row["customer_key"] for row in rows] == ["a", "b", "c", "'=1+1"]
    sheet = openpyxl.load_workbook(tmp_path / "customers.xlsx").active
    keys = [row[1].value for row in sheet.iter_rows()]
    assert keys[-1] in ("'=1+1", "=1+1") and sheet.cell(len(keys), 2).data_type == "s", "a text, no formula"


def test_sql_reads_and_does_nothing_else(shop: Brand) -> None:
    with shop.open() as project:
        assert project.sql("SELECT count(*) AS n FROM customers").to_pylist() == [{"n": 4}]
        assert project.sql("SELECT * FROM customers", limit=2).num_rows == 2
        for wrong in (
            "DROP TABLE customers", "DELETE FROM customers", "SELECT 1; SELECT 2", "COPY customers TO '/tmp/x.csv'", "SELECT",
            "SELECT * FROM read_csv('/etc/passwd')", "ATTACH '/tmp/x.db'", "INSTALL httpfs", "SET memory_limit='1MB'", "",
            f"SELECT * FROM '{shop.folder}/data/orders.csv'", "SELECT nothing FROM customers",
        ):  # fmt: skip
            with pytest.raises(BadRequest) as refused:
                project.sql(wrong)
            assert refused.value.hint
        assert project.table("customers").num_rows == 4, "the project can be written again afterwards"


def test_evaluate_for_some_customers_and_moments(shop: Brand) -> None:
    now = NOW.replace(tzinfo=None)
    with shop.open() as project:
        some = project.evaluate(tierwise.customers([2, 1], now), ["spend", "value"])
        assert {row["customer_id"]: row["value"] for row in some.to_pylist()} == {1: "high", 2: "high"}
        table = pa.table({"customer_id": [1, 1], "as_of": [datetime(2026, 5, 1), datetime(2026, 5, 31)]})
        found = project.evaluate(tierwise.moments(table), ["value", "recent"]).to_pylist()
        assert [(row["value"], row["recent"]) for row in found] == [("none", False), ("high", True)]
        with pytest.raises(UnknownName, match="no tag, tiering or segment `spnd`") as refused:
            project.evaluate(tierwise.everyone(now), ["spnd"])
        assert refused.value.hint == "did you mean `spend`?"


def test_unknown_tables(shop: Brand) -> None:
    with shop.open() as project:
        with pytest.raises(UnknownName) as refused:
            project.table("custmers")
        assert refused.value.hint == "did you mean `customers`?"
        for name in ('customers"; DROP TABLE customers; --', "engine_state", "orders$new", ""):
            with pytest.raises(UnknownName):
                project.table(name)
        assert not any("$" in row["table"] for row in project.show("tables").to_pylist())


def test_errors_are_plain_values_too(shop: Brand) -> None:
    with shop.open() as project, pytest.raises(UnknownName) as refused:
        project.table("custmers")
    shown = refused.value.as_json()
    assert (shown["code"], refused.value.status, shown["hint"]) == ("unknown-name", 404, "did you mean `customers`?")
    assert not issubclass(ProjectBusy, UnknownName)


def test_plan_and_check_change_nothing(shop: Brand) -> None:
    before = {path: path.stat().st_mtime_ns for path in (shop.folder / "lake").rglob("*")}
    with shop.open() as project:
        plan = project.plan()
        assert project.check() == []
    assert plan["changed_definitions"] == []
    assert not any(one["rebuild"] for one in plan["streams"])
    assert {path: path.stat().st_mtime_ns for path in (shop.folder / "lake").rglob("*")} == before


def test_a_run_without_the_sources(shop: Brand) -> None:
    report = shop.run(0.1, import_sources=False)
    assert (report["imports"], report["memberships_written"]) == ([], 0)


def test_a_run_whose_process_died_is_said_to_have_died(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"definitions/tiers.yaml": TIERS})
    with brand.open() as project:
        project.run()
        run_id = project.store.runs.begin("run", SYSTEM, NOW)
        assert project.show("runs")["state"].to_pylist() == ["running", "done"], "this process holds the project"
    with brand.open() as project:
        assert project.show("runs")["state"].to_pylist() == ["died", "done"], "nobody does"
        assert project.store.runs.get(run_id).state == "running", "and looking changes nothing"
        project.run()
        assert project.show("runs")["state"].to_pylist() == ["done", "failed", "done"]


def test_asking_before_the_first_run(tmp_path: Path) -> None:
    with Brand(tmp_path, {"definitions/tiers.yaml": TIERS}).open() as project:
        for ask in (
            lambda: project.show("tags"), lambda: project.table("customers"), lambda: project.estimate("spend > 1"),
            lambda: project.table("memberships"), lambda: project.explain("a"),
        ):  # fmt: skip
            with pytest.raises(UnknownName) as refused:
                ask()
            assert refused.value.hint
        assert project.table("quarantine").num_rows == 0
        assert project.show("runs").num_rows == 0
