"""The two doors: a project is opened where it is, a new one is made whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

import tierwise
from tierwise.errors import BadRequest, ProjectNotFound, TierwiseError


def test_open_says_where_there_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for missing in (tmp_path / "nowhere", tmp_path, tmp_path / "file"):
        with pytest.raises(ProjectNotFound) as refused:
            tierwise.open(missing)
        assert "tierwise init" in refused.value.hint


def test_an_empty_project_can_be_checked_and_run(tmp_path: Path) -> None:
    made = tierwise.init(tmp_path / "brand", pack="empty")
    assert made == {"folder": str(tmp_path / "brand"), "pack": "empty", "files": {}}
    assert (tmp_path / "brand/.gitignore").read_text().split() == ["lake/", "engine/", "store/", "data/"]
    with tierwise.open(tmp_path / "brand") as project:
        assert project.check() == []
        assert project.run()["customers"] == 0


def test_the_example_of_an_empty_project_becomes_a_source(tmp_path: Path) -> None:
    tierwise.init(tmp_path / "brand", pack="empty")
    example = tmp_path / "brand/sources/orders.yaml.example"
    example.rename(example.with_suffix(""))
    (tmp_path / "brand/data").mkdir()
    (tmp_path / "brand/data/orders.csv").write_text(
        "order_no,member_no,paid_at,paid\n1,a,2026-01-02,9\n", encoding="utf-8"
    )
    with tierwise.open(tmp_path / "brand") as project:
        assert project.check() == []
        assert project.run()["customers"] == 1


def test_a_pack_brings_its_shop(tmp_path: Path) -> None:
    (tmp_path / "brand").mkdir()
    made = tierwise.init(tmp_path / "brand", customers=50, seed=3)
    assert made["files"]["customers"] >= 50
    with tierwise.open(tmp_path / "brand") as project:
        assert [problem for problem in project.check() if problem.severity == "error"] == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadRequest, match="is not empty"):
        tierwise.init(tmp_path)
    with pytest.raises(BadRequest):
        tierwise.init(tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    for wrong in ({"pack": "nothing"}, {"customers": -1}):
        with pytest.raises(TierwiseError):
            tierwise.init(tmp_path / "brand", **wrong)
        assert [*tmp_path.iterdir()] == []


def test_a_name_that_yaml_would_read_otherwise(tmp_path: Path) -> None:
    for name in ("2026", "a: b", "yes", "#1", "张三的店", "it's"):
        tierwise.init(tmp_path / name, pack="empty")
        with tierwise.open(tmp_path / name) as project:
            assert project.check() == [], name
            assert project.definitions.settings.name == name
