"""`tierwise value`: tables for people in two languages, one JSON document for programs, refusals with a code."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.projects import ORDERS, TAGS, Brand, csv
from tierwise.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty customers who buy once a week, whatever happens: a rule of thumb is enough for them."""
    weeks = [date(2026, 1, 1) + timedelta(weeks=week) for week in range(16)]
    rows = [f"{on:%m%d}-{customer},c{customer},{on} 12:00,10" for on in weeks for customer in range(40)]
    files = {
        "tierwise.yaml": "name: weekly\nas_of: latest row\n",
        "sources/orders.yaml": ORDERS,
        "definitions/tags.yaml": TAGS,
        "data/orders.csv": csv("id,customer,time,amount", *rows),
    }
    brand = Brand(tmp_path_factory.mktemp("weekly"), files)
    brand.run()
    return brand.folder


def _said(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--project", str(folder), *words])
    found = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, found.out + found.err


def test_backtest_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "value", "backtest", "--horizon", "2w", "--lang", "en")
    assert code == 0
    assert "past_rate" in said
    assert "14 days ahead" in said
    assert "the model kept its level at every past day" in said
    assert "past_rate is used: BGNBD needs 50 customers, there are 40" in said
    _, said = _said(folder, capsys, "value", "backtest", "--horizon", "2w", "--lang", "zh")
    assert "预测 14 天" in said


def test_backtest_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "value", "backtest", "--horizon", "2w", "--json")
    found = json.loads(said)
    assert code == 0
    assert found["passed"] is True
    assert {origin["actual"] for origin in found["origins"]} == {80.0}
    assert found["origins"][0]["from"].startswith("2026-")


def test_what_is_refused_has_a_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = _said(folder, capsys, "value", "backtest", "--horizon", "soon", "--json")
    assert code == 1
    assert json.loads(said)["error"]["code"] == "bad-request"
