"""A lookup is read whole: one row a key, every value of its type, or a message that says which line is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from tests.projects import RECORDS, Brand, csv, said
from tierwise.errors import SourceUnreadable

LOOKUP = """\
lookups: {bands: {file: data/bands.csv, key: city, types: {income: integer}}}
tags: {income: 'lookup("bands", city, "income")', level: 'lookup("bands", city, "band")'}
"""
PEOPLE = csv("id,city", "1,上海", "2,北京", "3,火星", "4,")


def brand_of(folder: Path, bands: str | bytes, lookup: str = LOOKUP) -> Brand:
    files = {"sources/customers.yaml": RECORDS, "data/customers.csv": PEOPLE, "definitions/tags.yaml": lookup}
    return Brand(folder, {**files, "data/bands.csv": bands})


def test_a_lookup(tmp_path: Path) -> None:
    brand = brand_of(
        tmp_path, csv("city,band,income", " 上海 ,high,9000", '北京,"mid",8,000'.replace("8,000", '"8,000"'))
    )
    assert said(brand.problems()) == ""
    brand.run()
    assert brand.values("customers", "income", "level") == [(9000, "high"), (8000, "mid"), (None, None), (None, None)]
    brand.write({"data/bands.csv": csv("city,band,income", "火星,none,1")})
    brand.run()
    assert brand.values("customers", "income") == [(None,), (None,), (1,), (None,)]


def test_a_lookup_in_a_workbook(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, "", LOOKUP.replace("bands.csv", "bands.xlsx"))
    with xlsxwriter.Workbook(str(tmp_path / "data/bands.xlsx")) as book:
        sheet = book.add_worksheet()
        for row, values in enumerate([["city", "band", "income"], ["上海", "high", 9000], ["北京", "mid", 8000]]):
            sheet.write_row(row, 0, values)
    assert said(brand.problems()) == ""
    brand.run()
    assert brand.values("customers", "income", "level")[:2] == [(9000, "high"), (8000, "mid")]


WRONG = {
    "twice": (csv("city,band,income", "a,x,1", "a,y,2"), "the key `a`"),
    "no key": (csv("city,band,income", ",x,1"), "have no `city`"),
    "no number": (csv("city,band,income", "a,x,1", "b,x,many"), "bands.csv:3: `income` is 'many', not integer"),
    "broken line": (csv("city,band,income", "a,x,1", "b"), "bands.csv:3"),
    "no rows": ("city,band,income\n", "has no rows"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_lookup_that_cannot_be_believed(tmp_path: Path, case: str) -> None:
    bands, words = WRONG[case]
    with brand_of(tmp_path, bands).open() as project, pytest.raises(SourceUnreadable) as refused:
        project.run()
    assert words in refused.value.message
    assert refused.value.hint


DECLARED_WRONG = {
    "no file": (LOOKUP.replace("bands.csv", "band.csv"), "there is no such file"),
    "no key": (LOOKUP.replace("key: city", "key: town"), "no column `town`"),
    "no type's column": (LOOKUP.replace("{income:", "{incom:"), "no column `incom`"),
    "no column": (LOOKUP.replace('"band")', '"bandd")'), "bandd"),
    "no lookup": (LOOKUP.replace('lookup("bands", city, "band")', 'lookup("bnads", city, "band")'), "bnads"),
    "several files": (LOOKUP.replace("bands.csv", "*.csv"), "names 2 files"),
}


@pytest.mark.parametrize("case", DECLARED_WRONG)
def test_a_lookup_declared_wrong(tmp_path: Path, case: str) -> None:
    lookup, words = DECLARED_WRONG[case]
    problems = brand_of(tmp_path, csv("city,band,income", "a,x,1"), lookup).problems()
    assert words in said(problems)
    assert all(problem.where.file == "definitions/tags.yaml" and problem.where.line for problem in problems)
