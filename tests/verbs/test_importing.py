"""A file before it is imported: what a rehearsal says is what the import then does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import ORDERS, Brand, counted, csv
from tierwise.errors import DefinitionsInvalid, UnknownName

FIRST = csv("id,customer,time,amount", "1,a,2026-05-20,200", "2,b,2026-05-21,50")
SECOND = csv("id,customer,time,amount", "1,a,2026-05-20,200", "2,b,2026-05-21,70", "3,c,x,1", "4,d,2026-05-22,1", "5")
KEYED = ORDERS + "row_key: id\n"


def test_a_rehearsal_says_what_the_import_does(tmp_path: Path) -> None:
    brand = Brand(tmp_path / "shop", {"sources/orders.yaml": KEYED, "data/orders.csv": FIRST})
    brand.receive()
    later = tmp_path / "later.csv"
    later.write_text(SECOND)
    with brand.open(1) as project:
        version = project.lake.version
        report = project.importing.rehearse(str(later), "orders", shown="orders.csv", most=1)
        assert project.importing.look(str(later), "data/later.csv")["fits"] == ["orders"]
        assert project.lake.version == version
    assert (report["new"], report["replaced"], report["duplicate"], report["quarantined"]) == (1, 1, 1, 2)
    assert report["reasons"] == {"not_a_date": 1, "ragged": 1}
    (refused,) = report["quarantine"]
    assert (refused["line"], refused["original"]) in ((4, "3,c,x,1"), (6, "5"))
    brand.write({"data/orders.csv": SECOND})
    (done,) = brand.imports(1)
    assert done == counted({**report, "kept_first": 0, "withdrawn": 0})


def test_a_source_that_nobody_declared_is_tried_out(tmp_path: Path) -> None:
    brand = Brand(tmp_path / "shop", {"data/x.csv": FIRST})
    form = {
        "file": "x.csv",
        "customer": "customer",
        "streams": {"orders": {"time": "time", "columns": {"amount": "amount", "order_id": "id"}}},
    }
    path = str(brand.folder / "data/x.csv")
    with brand.open() as project:
        assert project.importing.rehearse(path, "x", form)["new"] == 2
        with pytest.raises(UnknownName, match="no source `x`"):
            project.importing.rehearse(path, "x")
        with pytest.raises(DefinitionsInvalid) as no_column:
            project.importing.rehearse(path, "x", {**form, "customer": "who"})
        assert "who" in str(no_column.value)
        with pytest.raises(DefinitionsInvalid) as no_stream:
            project.importing.rehearse(path, "x", {"file": "x.csv"})
        assert no_stream.value.problems[0].where.path == "sources.x.streams"
    assert not (brand.folder / "store" / "quarantine").exists()
