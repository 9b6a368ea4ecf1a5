"""Matching by probability: people are found by what they say, without labels, and chance is not taken for a person."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from tierwise.errors import BadRequest
from tierwise.identity.matching import match, plan

FIELDS = {"name": "name", "birth_date": "date", "city": "category", "email": "email"}
FAMILY, GIVEN = "王李张刘陈杨黄赵吴周徐孙马朱胡郭", "伟芳娜敏静丽强磊军洋勇艳杰涛明超"
CITIES = ("上海", "北京", "广州", "成都", "杭州", "武汉")


def town(people: int, seed: int) -> tuple[pa.Table, list[int]]:
    """Return records of people, every third of whom has two that differ a little, and whose each record is."""
    drawn = random.Random(seed)
    rows: list[dict[str, str | None]] = []
    truth: list[int] = []
    for number in range(people):
        name = drawn.choice(FAMILY) + drawn.choice(GIVEN) + drawn.choice(GIVEN)
        born = f"{drawn.randint(1960, 2004)}-{drawn.randint(1, 12):02}-{drawn.randint(1, 28):02}"
        row = {"name": name, "birth_date": born, "city": drawn.choice(CITIES), "email": f"u{number}@x.cn"}
        rows.append({**row})
        truth.append(number)
        if number % 3 == 0:
            again: dict[str, str | None] = {**row, "name": f" {name} "}
            changed = drawn.choice(("birth_date", "email", "city"))
            again[changed] = {"birth_date": f"{born[:-1]}{(int(born[-1]) + 1) % 10}", "city": "西安"}.get(changed)
            rows.append(again)
            truth.append(number)
    table = pa.Table.from_pylist(rows)
    return table.append_column("record", pa.array(range(len(rows)), pa.int64())), truth


def test_people_are_found_without_a_label() -> None:
    records, truth = town(240, seed=3)
    pairs = match(records, FIELDS, seed=1)
    sure = [row for row in pairs.to_pylist() if row["score"] >= 0.5]
    right = sum(truth[row["left"]] == truth[row["right"]] for row in sure)
    assert right >= 0.95 * 80
    assert right == len(sure), "nobody was taken for somebody else"
    assert all(row["left"] < row["right"] for row in sure)
    assert {name for name in pairs.column_names if name.startswith("level_")} == {f"level_{name}" for name in FIELDS}


def test_the_same_records_give_the_same_pairs() -> None:
    records, _ = town(150, seed=5)
    assert match(records, FIELDS, seed=1).equals(match(records, FIELDS, seed=1))


def test_too_little_to_learn_from_is_refused() -> None:
    few, _ = town(20, seed=1)
    with pytest.raises(BadRequest, match="too few"):
        match(few, FIELDS, seed=1)
    records, _ = town(150, seed=1)
    nothing = records.set_column(0, "name", pa.nulls(records.num_rows, pa.string()))
    with pytest.raises(BadRequest, match="at least three"):
        match(nothing, {name: FIELDS[name] for name in ("name", "city", "email")}, seed=1)


def test_a_wide_column_is_narrowed_by_a_second_one() -> None:
    drawn = random.Random(1)
    columns = {
        "name": [f"n{drawn.randint(0, 500)}" for _ in range(2000)],
        "born_on": [f"d{drawn.randint(0, 700)}" for _ in range(2000)],
        "city": [f"c{drawn.randint(0, 2)}" for _ in range(2000)],
    }
    found = plan(pa.table(columns), {"name": "name", "born_on": "date", "city": "category"})
    assert ("city",) not in found.compared, "a third of everybody is no block"
    assert ("name", "city") in found.compared
    assert {("name",), ("born_on",)} <= {*found.compared}
    assert len({name for block in found.trained for name in block}) == sum(map(len, found.trained))
