"""The list of tables is the truth: what a project holds after a run stands in it, with its key."""

from __future__ import annotations

from pathlib import Path

from tests.projects import EVENTS, ORDERS, TIERS, Brand, csv
from tierwise.definitions.tables import TABLES

MEMORIES = {"lake", "engine", "store"}


def test_every_table_says_what_a_row_is() -> None:
    for name, table in TABLES.items():
        assert table.name == name
        assert table.memory in MEMORIES
        assert table.grain and table.key


def test_what_a_run_leaves_behind_is_listed_with_its_key(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path, {"sources/orders.yaml": ORDERS, "sources/events.yaml": EVENTS, "definitions/tiers.yaml": TIERS}
    )
    brand.write({"data/orders.csv": csv("id,customer,time,amount", "1,a,2026-05-20,10", "1,b,2026-05-20,10")})
    brand.write({"data/events.csv": csv("customer,time,type", "a,2026-05-20,view", "a,2026-05-20,view", "c,x,view")})
    brand.run()
    with brand.open() as project:
        shown = {row["table"] for row in project.show("tables").to_pylist()}
        assert shown == {name for name, table in TABLES.items() if table.memory != "store"} - {
            "distributions",
            "membership_intervals",  # made when the past is first asked about
        } | {"quarantine"}
        for name in shown:
            rows = project.table(name).to_pylist()
            keys = [tuple(row[column] for column in TABLES[name].key) for row in rows]
            assert len(keys) == len(set(keys)), name
