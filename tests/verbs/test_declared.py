"""What is declared follows the files, and stays the same for as long as they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import TAGS, Brand
from tierwise.errors import DefinitionsInvalid, ProjectNotFound
from tierwise.verbs.declared import Declared


def test_files_are_read_again_only_when_they_change(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"definitions/tags.yaml": TAGS})
    declared = Declared(tmp_path)
    first = declared.current()
    assert declared.current() is first and list(first.catalogue.tags) == ["n", "spend"]
    brand.write({"definitions/more.yaml": "tags: {m: n * 2}\n"})
    assert "m" in declared.current().catalogue.tags
    (tmp_path / "definitions" / "more.yaml").unlink()
    assert declared.current().definitions.digest == first.definitions.digest
    assert "m" not in first.catalogue.tags, "what was given out does not change"


def test_what_was_read_once_is_kept_beside_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brand = Brand(tmp_path, {"definitions/tags.yaml": TAGS, "engine/owner.lock": ""})
    first = Declared(tmp_path).current().definitions
    kept = tmp_path / "engine" / "declared.json"
    with monkeypatch.context() as patch:
        patch.setattr("tierwise.verbs.declared.load", None)  # no YAML is read
        again = Declared(tmp_path).current().definitions
    assert (again, again.folder, again.places, again.digest) == (first, tmp_path, first.places, first.digest)
    kept.write_text(kept.read_text()[:-9], encoding="utf-8")
    assert Declared(tmp_path).current().definitions == first, "a half-written file says nothing"
    brand.write({"definitions/tags.yaml": TAGS.replace("count(orders)", "count(events)")})
    assert Declared(tmp_path).current().definitions.tags["n"].value == "count(events)"
    brand.write({"definitions/tags.yaml": "tags: {n: 1, n: 2}"})
    with pytest.raises(DefinitionsInvalid):
        _ = Declared(tmp_path).current().definitions
    with pytest.raises(DefinitionsInvalid):
        _ = Declared(tmp_path).current().definitions


def test_a_lookup_that_gets_another_column_is_checked_again(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path,
        {
            "definitions/all.yaml": "lookups: {cities: {file: data/cities.csv, key: city}}\n"
            'tags: {of_city: \'lookup("cities", city, "tier")\'}\n',
            "sources/c.yaml": "file: data/c.csv\ncustomer: id\nstreams: {customers: {columns: {city: city}}}\n",
            "data/cities.csv": "city,level\nx,1\n",
        },
    )
    declared = Declared(tmp_path)
    with pytest.raises(DefinitionsInvalid, match="tier"):
        _ = declared.current().catalogue
    brand.write({"data/cities.csv": "city,tier\nx,1\n"})
    assert "of_city" in declared.current().catalogue.tags


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound):
        Declared(tmp_path).current()
