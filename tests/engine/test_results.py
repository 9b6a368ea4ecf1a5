"""Results as tables for people: every tier in its declared order, empty ones too, with shares and labels."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.projects import NOW, ORDERS, TIERS, Brand, csv
from tierwise.errors import BadRequest, UnknownName

HEAD = "id,customer,time,amount"


@pytest.fixture
def shop(tmp_path: Path) -> Brand:
    labelled = TIERS.replace("high: spend >= 100", "high: {rule: spend >= 100, label: {zh: 高价值, en: High}}")
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "definitions/tiers.yaml": labelled})
    brand.write(
        {
            "data/orders.csv": csv(
                HEAD, "1,a,2026-05-20,200", "2,b,2026-01-20,150", "3,c,2026-05-20,0", "4,d,2026-05-20,0"
            )
        }
    )
    return brand


def test_tiers_segments_and_tags(shop: Brand) -> None:
    report = shop.run()
    assert report["tierings"] == {"value": {"high": 2, "some": 0, "none": 2}}
    assert report["segments"] == {"recent": 3}
    assert report["never_matched"] == [{"tiering": "value", "tier": "some"}]
    with shop.open() as project:
        tiers = project.show("tiers").to_pylist()
        assert [(row["tier"], row["label_zh"], row["label_en"], row["customers"], row["share"]) for row in tiers] == [
            ("high", "高价值", "High", 2, 0.5), ("some", "some", "some", 0, 0.0), ("none", "none", "none", 2, 0.5),
        ]  # fmt: skip
        assert {(row["as_of"], row["state"]) for row in tiers} == {(NOW.replace(tzinfo=None), "fresh")}
        (segment,) = project.show("segments").to_pylist()
        assert (segment["segment"], segment["customers"], segment["share"]) == ("recent", 3, 0.75)
        (tag,) = project.show("tags").to_pylist()
        assert (tag["tag"], tag["kind"], tag["known"]) == ("spend", "money", 4)
        assert [Decimal(tag["min"]), Decimal(tag["max"])] == [Decimal(0), Decimal(200)]
        (run,) = project.show("runs").to_pylist()
        assert (run["state"], run["customers"]) == ("done", 4)


def test_a_project_that_defines_nothing(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": csv(HEAD, "1,a,2026-05-20,2")})
    assert brand.run()["customers"] == 1
    with brand.open() as project:
        for what in ("tiers", "segments", "tags"):
            assert project.show(what).num_rows == 0
            assert "customers" in project.show(what).column_names or what == "tags"


def test_a_project_without_a_row(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"definitions/tiers.yaml": TIERS})
    report = brand.run()
    assert (report["customers"], report["segments"]) == (0, {"recent": 0})
    assert report["tierings"] == {"value": {"high": 0, "some": 0, "none": 0}}


def test_before_the_first_run_and_after_an_edit(shop: Brand) -> None:
    with shop.open() as project:
        with pytest.raises(UnknownName, match="no results yet"):
            project.show("tiers")
        with pytest.raises(UnknownName, match="no table of"):
            project.show("tires")
    shop.run()
    shop.write({"definitions/more.yaml": "tags: {twice: 2 * spend}\n"})
    with shop.open() as project, pytest.raises(BadRequest, match="`twice` has not been computed yet"):
        project.show("tags")
    shop.write({"definitions/more.yaml": "", "data/orders.csv": csv(HEAD, "1,a,2026-05-20,200")})
    with shop.open() as project:
        assert project.show("tiers").to_pylist()[0]["state"] == "fresh", "the definitions are again what was computed"
