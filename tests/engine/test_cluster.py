"""A project on a Spark cluster: what it answers is what DuckDB answers, and what goes wrong leaves the last good state."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

import tierwise
from tests.projects import ORDERS, TIERS, Brand, csv, placed
from tests.spark_cluster import QUICK
from tierwise.errors import BadRequest, DefinitionsInvalid, EngineRefused
from tierwise.packs import pack_folder
from tierwise.shop import write_shop

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]

#: What asks a cluster for minutes; the conformance suite asks it every construct in every run.
_ASKED: Final = pytest.mark.skipif(not os.environ.get("TIERWISE_SPARK"), reason="takes minutes: set TIERWISE_SPARK=1")
_CUSTOMERS: Final = 60
_EARLIER: Final = "2026-03-31"
#: One condition over names the results hold, one that reads rows.
_ESTIMATED: Final = (
    'at_least("grade", "silver") and spend_365d > 500',
    'exists(orders, within="45d", where=kept) and avg(orders.amount) > 100.05',
)
#: What a run was called and when it was made is its own; everything else is the answer.
_OWN: Final = ("run_id", "recorded_at")


def _settings(master: str, **more: str) -> str:
    return "engine: " + json.dumps({"kind": "spark", "master": master, "conf": QUICK, **more}) + "\n"


def _on(brand: Brand, master: str, **more: str) -> Brand:
    """Let a project be computed on a cluster from now on."""
    path = brand.folder / "tierwise.yaml"
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("engine:")]
    path.write_text("\n".join([*kept, _settings(master, **more)]), encoding="utf-8")
    return brand


# -- the demo shop, twice ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What one engine answers of the demo shop."""

    reports: list[dict[str, Any]]
    tables: dict[str, list[dict[str, Any]]]
    estimates: list[dict[str, Any]]
    who: list[dict[str, Any]]
    sizes: list[dict[str, Any]]


def _asked(folder: Path) -> Told:
    with tierwise.open(folder) as project:
        report = project.run()
        tables = {name: project.table(name) for name in ("customers", "memberships")}
        estimates = [project.estimate(text) for text in _ESTIMATED]
        who = project.history.who("grade.gold", report["as_of"].replace(tzinfo=UTC))
        earlier = project.run(as_of=_EARLIER, import_sources=False)
        tables["customers then"] = project.table("customers")
        sizes = project.show("tiers")
    return Told(
        [{key: one[key] for key in ("as_of", "snapshot_id", "customers", "tierings", "segments")} for one in (report, earlier)],
        {name: _rows(table) for name, table in tables.items()},
        estimates,
        who.to_pylist(),
        sizes.to_pylist(),
    )  # fmt: skip


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows in an order of their own, floats to nine digits."""
    table = table.drop_columns([name for name in _OWN if name in table.column_names])
    keys = [name for name in ("customer_id", "tiering", "kind", "name") if name in table.column_names]
    rows = table.drop_columns([name for name in ("seq",) if name in table.column_names])
    rows = rows.sort_by([(name, "ascending") for name in keys]).to_pylist()
    return [{k: float(f"{v:.8e}") if isinstance(v, float) else v for k, v in row.items()} for row in rows]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, spark_master: str) -> Iterator[dict[str, Told]]:
    folder = tmp_path_factory.mktemp("shop") / "duckdb"
    shutil.copytree(pack_folder("demo"), folder)
    write_shop(folder / "data", customers=_CUSTOMERS, seed=3)
    other = _on(Brand(folder).copy(folder.with_name("spark")), spark_master)
    yield {"duckdb": _asked(folder), "spark": _asked(other.folder)}


@_ASKED
@pytest.mark.parametrize("what", ["reports", "estimates", "who", "sizes"])
def test_the_demo_shop_is_told_alike(what: str, told: dict[str, Told]) -> None:
    assert getattr(told["spark"], what) == getattr(told["duckdb"], what)


@_ASKED
@pytest.mark.parametrize("table", ["customers", "memberships", "customers then"])
def test_every_value_of_the_demo_shop_is_the_same(table: str, told: dict[str, Told]) -> None:
    here, there = told["duckdb"].tables[table], told["spark"].tables[table]
    assert here and len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        assert one == other


# -- a small brand -----------------------------------------------------------------------------------------------------

_ROWS: Final = csv("customer,id,time,amount", "a,1,2026-05-20,120.00", "b,2,2026-01-05,30.00", "c,3,2025-03-01,7.50")


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(
        tmp_path / "brand", {"sources/orders.yaml": ORDERS, "data/orders.csv": _ROWS, "definitions/d.yaml": TIERS}
    )


def _tiers(brand: Brand) -> list[tuple[Any, ...]]:
    return brand.values("customers", "customer_key", "value", "recent")


_TOLD: Final = [("a", "high", True), ("b", "some", False), ("c", "some", False)]


def test_from_one_engine_to_the_other_and_back(brand: Brand, spark_master: str) -> None:
    brand.run()
    assert _tiers(brand) == _TOLD
    link = brand.folder.with_name("as the cluster calls it")
    link.symlink_to(brand.folder)
    _on(brand, spark_master, folder=f"file://{link}")
    brand.write({"data/orders.csv": _ROWS + "c,4,2026-05-31,200.00\n"})
    with brand.open(1) as project:
        report = project.run()
        assert (report["built"]["orders"], report["changes"]) == (4, {"event": 2})
        assert "orders" not in project.show("tables")["table"].to_pylist(), "rows that nobody keeps up are not shown"
        with pytest.raises(BadRequest, match="a refresh is computed by DuckDB") as refused:
            project.refresh()
        assert "tierwise run" in refused.value.hint
        assert project.estimate("sum(orders.amount) > 100")["count"] == 2
        explained = project.explain("c")
        assert explained["tierings"][0]["tier"] == "high"
    wanted = [("a", "high", True), ("b", "some", False), ("c", "high", True)]
    assert _tiers(brand) == wanted
    assert not list((brand.folder / "engine" / "spark").glob("*")), "nothing is left of what was brought over"
    (brand.folder / "tierwise.yaml").write_text("name: test\n", encoding="utf-8")
    brand.run(1)
    assert (_tiers(brand), brand.rows("orders").__len__()) == (wanted, 4)


@_ASKED
def test_who_would_move_and_history_of_old_data(brand: Brand, spark_master: str) -> None:
    _on(brand, spark_master)
    with brand.open() as project:
        project.run()
        written = project.backfill("2026-02-01", every="1mo", last="2026-05-01")
        assert [one["state"] for one in written["dates"]] == ["written"] * 4
        assert project.history.count("value.some", "2026-03-01") == 2
    brand.write({"definitions/d.yaml": TIERS.replace(">= 100", ">= 30")})
    with brand.open() as project:
        edit = project.plan()["edit"]
        assert (edit["why_not"], edit["moved"]) == ("", 1)
        assert project.concerned()["customer_key"].to_pylist() == ["b"]


def test_a_master_that_is_not_there_changes_nothing(brand: Brand) -> None:
    brand.run()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        _on(brand, f"spark://127.0.0.1:{probe.getsockname()[1]}")
        with brand.open(1) as project:
            with pytest.raises(EngineRefused, match="no Spark master answers"):
                project.run()
            assert project.store.runs.list()[0].state == "failed"
            assert project.show("tiers")["customers"].to_pylist() == [1, 2, 0]
            assert project.estimate("spend >= 100")["count"] == 1, "what the results hold needs no cluster"
    assert _tiers(brand) == _TOLD


def test_a_setting_that_would_change_answers_is_refused(brand: Brand, spark_master: str) -> None:
    path = brand.folder / "tierwise.yaml"
    conf = {**QUICK, "spark.sql.ansi.enabled": "true"}
    told = {"kind": "spark", "master": spark_master, "conf": conf}
    path.write_text(f"name: test\nengine: {json.dumps(told)}\n", encoding="utf-8")
    with pytest.raises(EngineRefused, match=r"`spark\.sql\.ansi\.enabled` cannot be set"):
        brand.run()


def test_rows_that_are_gone_leave_the_last_good_state(brand: Brand, spark_master: str) -> None:
    brand.run()
    _on(brand, spark_master)
    (lost,) = (brand.folder / "lake" / "orders").glob("*.parquet")
    lost.unlink()
    with pytest.raises(EngineRefused) as refused:
        brand.run(1)
    assert lost.name in refused.value.message
    assert _tiers(brand) == _TOLD


def test_a_folder_the_cluster_does_not_see_is_told(brand: Brand, spark_master: str, tmp_path: Path) -> None:
    brand.run()
    _on(brand, spark_master, folder=str(tmp_path / "nowhere"))
    with pytest.raises(EngineRefused, match="does not exist") as refused:
        brand.run(1)
    assert "`engine: folder:`" in refused.value.hint
    assert _tiers(brand) == _TOLD


def test_a_rule_that_spark_has_no_words_for_is_named_with_its_place(brand: Brand) -> None:
    brand.write({"definitions/odd.yaml": 'segments:\n  odd: exists(orders, where=matches(order_id, "[[:digit:]]+"))\n'})
    assert brand.problems() == []
    _on(brand, "spark://127.0.0.1:1")
    (problem,) = brand.problems()
    assert placed(problem) and (problem.code, str(problem.where)) == ("engine", "definitions/odd.yaml:2:8")
    assert "`odd` cannot be computed on Spark" in problem.message
    with pytest.raises(DefinitionsInvalid, match="odd"):
        brand.run()
