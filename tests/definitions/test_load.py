"""YAML and Python give the same frozen objects; whatever is wrong in a file is said with its line and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

import tierwise
from tests.projects import ORDERS, Brand, placed, said
from tierwise.definitions.load import Definitions, load
from tierwise.definitions.model import Label, Tag, Tier, Tiering
from tierwise.errors import DefinitionsInvalid, ProjectNotFound

YAML = """\
tags:
  spend:
    value: sum(orders.kept_amount, within="365d")   # a remark
    label: {zh: 近一年消费, en: Spend}
    unit: money
  n: {value: 'count(orders, within="90d")'}
  yes: 'spend > 3'
tierings:
  value:
    label: 价值
    tiers:
      high: {rule: spend >= param.gold, label: 高}
      "on": >
        spend > 0
        and n > 1
      none: otherwise
segments:
  busy: n > 3
parameters: {gold: {type: money, default: 100}}
streams: {treatments: {columns: {kind: text}}}
"""


def loaded(folder: Path, definitions: str) -> Definitions:
    brand = Brand(folder, {"sources/orders.yaml": ORDERS, "definitions/all.yaml": definitions})
    found, problems = load(brand.folder)
    assert said(problems) == ""
    assert found is not None
    return found


def test_yaml_and_python_give_equal_objects(tmp_path: Path) -> None:
    written = loaded(tmp_path, YAML)
    made, problems = tierwise.define(
        "test",
        sources={
            "orders": {
                "file": "data/orders.csv",
                "customer": "customer",
                "streams": {"orders": {"time": "time", "columns": {"order_id": "id", "amount": "amount"}}},
            }
        },
        tags={
            "spend": Tag(
                value='sum(orders.kept_amount, within="365d")', label=Label(zh="近一年消费", en="Spend"), unit="money"
            ),
            "n": 'count(orders, within="90d")',
            "yes": {"value": "spend > 3"},
        },
        tierings={
            "value": {
                "label": "价值",
                "tiers": {
                    "high": Tier(rule="spend >= param.gold", label=Label(zh="高", en="高")),
                    "on": "spend > 0 and n > 1\n",
                }
                | {"none": "otherwise"},
            }
        },
        segments={"busy": "n > 3"},
        parameters={"gold": {"type": "money", "default": 100}},
        streams={"treatments": {"columns": {"kind": "text"}}},
    )
    assert not problems
    assert made == written
    assert made is not None
    assert made.digest == written.digest


def test_places_are_exact(tmp_path: Path) -> None:
    places = loaded(tmp_path, YAML)
    shown = {path: str(places.place(path)) for path in (
        "tags.spend", "tags.spend.value", "tags.n.value", "tags.yes.value", "tierings.value.tiers.high.rule",
        "tierings.value.tiers.on", "tierings.value.tiers.none", "segments.busy.rule", "parameters.gold.default",
        "sources.orders.streams.orders.columns.amount",
    )}  # fmt: skip
    file = "definitions/all.yaml"
    assert list(shown.values()) == [
        f"{file}:2:3", f"{file}:3:12", f"{file}:6:15", f"{file}:7:9", f"{file}:12:20", f"{file}:14:9", f"{file}:16:13",
        f"{file}:18:9", f"{file}:19:43", "sources/orders.yaml:4:56",
    ]  # fmt: skip


def test_definitions_are_frozen_and_the_digest_says_what_changed(tmp_path: Path) -> None:
    one = loaded(tmp_path / "a", YAML)
    with pytest.raises(ValidationError):
        one.tags["n"].value = "count(items)"
    assert loaded(tmp_path / "b", YAML.replace("# a remark", "")).digest == one.digest
    assert loaded(tmp_path / "c", YAML.replace("365d", "364d")).digest != one.digest
    assert loaded(tmp_path / "d", YAML.replace("default: 100", "default: 101")).digest != one.digest


def test_files_of_a_folder_are_read_in_any_depth(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path,
        {"definitions/a/tags.yml": "tags: {n: count(orders)}\n", "definitions/b.yaml": "segments: {busy: n > 1}\n"},
    )
    brand.write({"definitions/empty.yaml": "# nothing yet\n", "definitions/tags.yaml": "tags:\n"})
    found, problems = load(brand.folder)
    assert not problems
    assert found is not None and [*found.tags, *found.segments] == ["n", "busy"]


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound) as refused:
        load(tmp_path)
    assert "tierwise init" in refused.value.hint


WRONG: dict[str, tuple[str, str, int, str]] = {
    "no YAML": ("tags:\n  n: [1\nsegments: {}\n", "yaml", 3, "not YAML"),
    "a tab": ("tags:\n\tn: count(orders)\n", "yaml", 2, "not YAML"),
    "a colon": ("tags:\n  n: case(x: 1)\n", "yaml", 2, "not YAML"),
    "an alias": ("tags:\n  n: *nobody\n", "yaml", 2, "nobody"),
    "a tag of YAML": ("tags:\n  n: !!python/object:os.system {}\n", "shape", 2, "`value`"),
    "a list": ("- tags\n", "shape", 1, "mapping"),
    "a number of a section": ("tags: 3\n", "shape", 1, "mapping"),
    "a section": ("tag:\n  n: count(orders)\n", "shape", 1, "there is no section `tag`"),
    "a key": ("tags:\n  n: {value: count(orders), lable: x}\n", "shape", 2, "there is no key `lable`"),
    "no value": ("tags:\n  n: {unit: money}\n", "shape", 2, "`value` is missing"),
    "a list of a tag": ("tags:\n  n: [count(orders)]\n", "shape", 2, "`value`"),
    "two of one name": ("tags:\n  n: count(orders)\n  m: n\n  n: count(items)\n", "duplicate-name", 4, "`n` is declared twice"),
    "unquoted in braces": ('tags:\n  n: {value: count(orders, within="90d")}\n', "quote", 2, "quote the expression"),
    "unquoted rule": ('tierings:\n  t: {tiers: {a: count(orders, within="9d") > 1, b: otherwise}}\n', "quote", 2, "quote"),
    "a name YAML reads": ("tags:\n  no: count(orders)\n  yes: 1\n  1: count(items)\n", "bad-name", 4, "put it in quotes"),
    "a tier's name": ("tierings:\n  t:\n    tiers:\n      3: count(orders) > 3\n      x: otherwise\n", "bad-name", 4, '"3"'),
    "not a name": ("tags:\n  365d: count(orders)\n", "bad-name", 2, "`365d` is not a name"),
    "a reserved word": ("tags:\n  class: count(orders)\n", "bad-name", 2, "reserved word"),
    "NFKC": ("tags:\n  ﬁrst_at: first(orders.time)\n", "bad-name", 2, "would be read as `first_at`"),
    "full width name": ("tags:\n  ｎ: count(orders)\n", "bad-name", 2, "would be read as `n`"),
    "no tiers": ("tierings:\n  t: {tiers: {}}\n", "shape", 2, "`tiers`"),
    "a type": ("parameters:\n  p: {type: cash, default: 1}\n", "shape", 2, "there is no type `cash`"),
    "a stream's type": ("streams:\n  s: {columns: {a: number}}\n", "shape", 2, "there is no type `number`"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_is_wrong(tmp_path: Path, case: str) -> None:
    text, code, line, words = WRONG[case]
    brand = Brand(tmp_path, {"definitions/all.yaml": text})
    problem = brand.problems()[0]
    assert problem.code == code
    assert words in str(problem)
    assert (problem.where.file, problem.where.line) == ("definitions/all.yaml", line)
    with brand.open() as project, pytest.raises(DefinitionsInvalid):
        project.run()
    assert not (tmp_path / "lake").exists() and not (tmp_path / "store").exists()


SOURCES_WRONG = {
    "on_change": ("on_change: maybe\n", 5, "`on_change` is 'maybe'"),
    "formats": ("formats: {time: 5}\n", 5, "`time`"),
    "rates": ("currency: {column: c, rates: {USD: many}}\n", 5, "the rate of `USD`"),
    "no rate": ("currency: {column: c, rates: {USD: 0}}\n", 5, "the rate of `USD`"),
    "delimiter": ("delimiter: ab\n", 5, "one character"),
    "skip": ("skip_lines: -1\n", 5, "skip_lines"),
    "types": ("types: {amount: cash}\n", 5, "there is no type `cash`"),
    "zone": ("zone: Europe/Londn\n", 5, "there is no time zone `Europe/Londn`"),
    "earliest": ("# …\nwhen: 3\n", 6, "there is no key `when`"),
}


@pytest.mark.parametrize("case", SOURCES_WRONG)
def test_a_source_that_is_wrong(tmp_path: Path, case: str) -> None:
    more, line, words = SOURCES_WRONG[case]
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS + more})
    _, problems = load(brand.folder)
    assert words in said(problems)
    assert (problems[0].where.file, problems[0].where.line) == ("sources/orders.yaml", line)


SETTINGS_WRONG = {
    "name: test\ntimezone: Asia/Shangai\n": "there is no time zone `Asia/Shangai`",
    "name: test\ncurrency: RMB元\n": "three capital letters",
    "name: test\nearliest: 2000-02-30\n": "2:11: `2000-02-30` is not a date",
    "name: test\nas_of: '2026-02-30'\n": "as_of: 2026-02-30 is not an instant",
    "name: test\nas_of: yesterday\n": "as_of: yesterday is not an instant",
    "timezone: Asia/Shanghai\n": "`name` is missing",
    "name: test\nengine: spark\n": "a Spark engine needs `master:`",
    "name: test\nengine: {kind: spark, master: here:7077}\n": "a Spark engine needs `master:`",
    "name: test\nengine: {kind: duckdb, master: local}\n": "`master`, `folder` and `conf` are Spark's",
    "name: test\nengine: {kind: spark, master: yarn, conf: {executor.memory: 2g}}\n": "`executor.memory` is no setting",
    "name: test\nlocale: fr\n": "`locale` is 'fr'",
    "": "`name` is missing",
    "name: [\n": "not YAML",
}


@pytest.mark.parametrize("text", SETTINGS_WRONG)
def test_settings_that_are_wrong(tmp_path: Path, text: str) -> None:
    brand = Brand(tmp_path)
    brand.write({"tierwise.yaml": text})
    problems = brand.problems()
    assert SETTINGS_WRONG[text] in said(problems)
    assert problems[0].where.file == "tierwise.yaml" and problems[0].hint + problems[0].message
    with brand.open() as project, pytest.raises(DefinitionsInvalid):
        project.run()


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path, {"definitions/a.yaml": "tags: {n: 近}".encode("gb18030"), "definitions/b.yaml": b"tags: {n: \0}"}
    )
    problems = brand.problems()
    assert [problem.code for problem in problems] == ["yaml", "yaml"]
    assert "save it as UTF-8" in problems[0].hint


def test_one_name_in_two_files(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path,
        {"definitions/a.yaml": "tags: {n: count(orders)}\n", "definitions/b.yaml": "tags:\n  n: count(items)\n"},
    )
    (problem,) = brand.problems()
    assert "first at definitions/a.yaml:1:8" in problem.message
    assert str(problem.where) == "definitions/b.yaml:2:3"


def test_all_problems_of_all_files_at_once(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path,
        {
            "definitions/a.yaml": "tags: {1: x}\nx: 3\n",
            "definitions/b.yaml": "tags: [\n",
            "sources/s.yaml": "file: 3\n",
        },
    )
    problems = brand.problems()
    assert {problem.where.file for problem in problems} == {
        "definitions/a.yaml",
        "definitions/b.yaml",
        "sources/s.yaml",
    }
    assert len(problems) >= 5 and all(map(placed, problems))


def test_tiers_are_kept_in_their_order() -> None:
    tiering = Tiering.model_validate({"tiers": {"z": "a > 1", "a": "b > 1", "m": "otherwise"}})
    assert [*tiering.tiers] == ["z", "a", "m"]
