"""`tierwise tiering`: a report for people in two languages, one JSON document, and a patch that can be applied."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.projects import ORDERS, Brand, csv
from tierwise.cli import main

TIERS = """\
tags: {spend: sum(orders.kept_amount)}
tierings:
  grade: {label: {zh: 等级, en: Grade}, ordered: true, tiers: {gold: spend > 900, member: otherwise}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty customers of whom a third buys every week for 20 and the others once in a while for 5."""
    weeks = [date(2026, 1, 1) + timedelta(weeks=week) for week in range(20)]
    rows = [
        f"{on:%m%d}-{customer},c{customer},{on} 12:00,{20 if customer < 20 else 5}"
        for week, on in enumerate(weeks)
        for customer in range(60)
        if customer < 20 or week % 5 == customer % 5
    ]
    files = {
        "tierwise.yaml": "name: weekly\nas_of: latest row\n",
        "sources/orders.yaml": ORDERS,
        "definitions/tiers.yaml": TIERS,
        "data/orders.csv": csv("id,customer,time,amount", *rows),
    }
    brand = Brand(tmp_path_factory.mktemp("weekly"), files)
    brand.run()
    return brand.folder


def _said(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--project", str(folder), "tiering", *words])
    found = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, found.out + found.err


def test_quality_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "quality", "grade", "--horizon", "4w", "--lang", "en")
    assert code == 0
    assert "Grade: the tiers at 2026-04-16" in said
    assert "score (0 to 1, of the best ranking possible): 0.000" in said
    assert "PSI spend" in said
    assert "100.0% stayed where they were (by the rules of now)" in said
    _, said = _said(folder, capsys, "quality", "grade", "--horizon", "4w", "--lang", "zh")
    assert "得分" in said and "等级" in said


def test_suggest_shows_a_patch(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "suggest", "grade", "--horizon", "4w", "--lang", "en")
    assert code == 0
    assert "-  grade: {label: {zh: 等级, en: Grade}, ordered: true, tiers: {gold: spend > 900" in said
    _, said = _said(folder, capsys, "suggest", "grade", "--horizon", "4w", "--json")
    found = json.loads(said)
    assert found["improves"] is True
    assert found["score_was"] == 0
    assert found["score_is"] > 0.9
    assert {one["tier"]: one["is"] for one in found["tiers"]} == {"gold": 20, "member": 40}


def test_quality_as_json_and_what_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "quality", "grade", "--horizon", "4w", "--json")
    found = json.loads(said)
    assert code == 0
    assert [one["tier"] for one in found["tiers"]] == ["gold", "member"]
    assert found["at"].startswith("2026-04-16")
    code, said = _said(folder, capsys, "quality", "nothing", "--json")
    assert (code, json.loads(said)["error"]["code"]) == (1, "unknown-name")
