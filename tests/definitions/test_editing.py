"""Declared texts are replaced where they stand; comments, order and quotes stay as somebody wrote them."""

from __future__ import annotations

from pathlib import Path

from tierwise.definitions.editing import Replacement, edited
from tierwise.definitions.load import load
from tierwise.errors import Place

FILE = """\
# who is who
tierings:
  grade:
    tiers: {gold: 'spend >= 100', silver: "spend >= 20", member: otherwise}  # 三档
  size:
    tiers:
      big: {rule: n > 3, label: {zh: 大}}   # long form
      small: otherwise
tags: {n: count(orders), spend: sum(orders.amount)}
"""


def _place(folder: Path, path: str) -> Place:
    definitions, problems = load(folder)
    assert definitions is not None and not problems
    return definitions.place(path)


def test_only_what_is_replaced_changes(tmp_path: Path) -> None:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "tierwise.yaml").write_text("name: test\n", encoding="utf-8")
    (tmp_path / "definitions/all.yaml").write_text(FILE, encoding="utf-8")
    tiers = "tierings.grade.tiers"
    wanted = [
        Replacement(_place(tmp_path, f"{tiers}.gold"), "spend >= 100", "spend >= 1500"),
        Replacement(_place(tmp_path, f"{tiers}.silver"), "spend >= 20", "spend >= 5"),
        Replacement(_place(tmp_path, "tierings.size.tiers.big.rule"), "n > 3", "n > 12"),
    ]
    found = edited(FILE, wanted)
    assert found == FILE.replace(">= 100", ">= 1500").replace(">= 20", ">= 5").replace("n > 3", "n > 12")


def test_what_is_written_otherwise_than_it_reads_is_left_alone() -> None:
    folded = "tags:\n  n: >\n    count(orders,\n    where=kept)\n"
    assert edited(folded, [Replacement(Place("a.yaml", 3, 5), "count(orders, where=kept)", "count(orders)")]) is None
    assert edited("a: b\n", [Replacement(Place("a.yaml", 9, 1), "b", "c")]) is None
    assert edited("a: b\n", [Replacement(Place("a.yaml"), "b", "c")]) is None
    assert edited("a: b\n", []) == "a: b\n"
