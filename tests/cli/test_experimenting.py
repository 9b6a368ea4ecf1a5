"""`tierwise experiment`: what is needed, what was found, in two languages and as JSON; the check is said first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tierwise.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project, and a file of an experiment in which every second customer was sent something."""
    (tmp_path / "tierwise.yaml").write_text("name: tea shop\n", encoding="utf-8")
    rows = [
        f"{row},{'mail' if row % 2 else 'none'},{int(row % 10 < 4 if row % 2 else row % 10 < 2)}"
        for row in range(1_000)
    ]
    (tmp_path / "test.csv").write_text("\n".join(["customer,arm,bought", *rows]) + "\n", encoding="utf-8")
    return tmp_path


def _said(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--project", str(folder), "experiment", *words])
    found = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, found.out + found.err


def test_analyse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["analyse", str(folder / "test.csv"), "--arm", "arm", "--control", "none", "--metric", "bought"]
    code, said = _said(folder, capsys, *words, "--lang", "en")
    assert code == 0
    lines = said.splitlines()
    assert lines[0].startswith("holds: the arms have the sizes that were planned")
    assert "mail works on bought: it rises" in lines[-1]
    _, said = _said(folder, capsys, *words, "--lang", "zh")
    assert "通过: 各组人数与计划相符" in said
    assert "mail 使 bought 上升，不是偶然" in said
    code, said = _said(folder, capsys, *words, "--unit", "customer", "--json")
    found = json.loads(said)
    assert code == 0
    assert [check["state"] for check in found["checks"]] == ["passed", "passed"]
    assert found["findings"][0]["verdict"] == "better"
    assert found["findings"][0]["effect"] == pytest.approx(0.2)


def test_a_failed_check_is_said_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["analyse", str(folder / "test.csv"), "--arm", "arm", "--control", "none", "--metric", "bought"]
    words += ["--share", "none=1", "--share", "mail=3", "--lang", "en"]
    code, said = _said(folder, capsys, *words)
    assert code == 0
    assert said.startswith("FAILED: sample ratio mismatch")
    assert "nothing is compared" in said
    _, said = _said(folder, capsys, *words, "--anyway")
    assert "mail works on bought" in said


def test_looks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["analyse", str(folder / "test.csv"), "--arm", "arm", "--control", "none", "--metric", "bought", "--json"]
    _, said = _said(folder, capsys, *words, "--looks", "0.5,1", "--look", "1", "--spending", "pocock")
    assert json.loads(said)["findings"][0]["bound"] == pytest.approx(2.157, abs=1e-3)
    code, said = _said(folder, capsys, *words, "--looks", "often", "--look", "1")
    assert (code, json.loads(said)["error"]["code"]) == (1, "bad-request")


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        ("customer,arm,bought\n1,a\n", [], "source-unreadable"),
        ("customer,arm,bought\n", [], "source-unreadable"),
        ("customer,arm,bought\n1,a,1\n2,none,\n", [], "bad-request"),
        ("customer,arm,bought\n1,a,1\n2,b,0\n", [], "unknown-name"),
        ("customer,arm,bought\n1,none,1\n2,none,0\n", [], "too-little-data"),
        ("customer,arm,bought\n1,a,1\n2,none,0\n", ["--share", "half"], "bad-request"),
    ],
)
def test_what_is_refused_has_a_code(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str], code: str
) -> None:
    (folder / "odd.csv").write_text(text, encoding="utf-8")
    given = ["analyse", str(folder / "odd.csv"), "--arm", "arm", "--control", "none", "--metric", "bought", "--json"]
    ended, said = _said(folder, capsys, *given, *words)
    assert (ended, json.loads(said)["error"]["code"]) == (1, code)


def test_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["analyse", str(folder / "gone.csv"), "--arm", "a", "--control", "b", "--metric", "c", "--json"]
    code, said = _said(folder, capsys, *words)
    assert (code, json.loads(said)["error"]["code"]) == (1, "source-unreadable")


def test_power(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["power", "--mean", "0.1", "--effect", "0.02", "--looks", "4", "--per-day", "500", "--window-days", "14"]
    code, said = _said(folder, capsys, *words, "--lang", "en")
    assert code == 0
    assert "customers find a difference of +0.02 with 80.0%" in said
    assert "days" in said
    _, said = _said(folder, capsys, *words, "--lang", "zh")
    assert "位客户能以 80.0% 的概率发现 +0.02 的差别" in said
    _, said = _said(folder, capsys, "power", "--mean", "50", "--deviation", "120", "--customers", "20000", "--json")
    found = json.loads(said)
    assert found["effect"] == pytest.approx(2.8016 * 120 * (4 / 20_000) ** 0.5, rel=1e-3)
    _, said = _said(folder, capsys, "power", "--mean", "0.1", "--relative", "0.2", "--customers", "7682", "--json")
    assert json.loads(said)["power"] == pytest.approx(0.8, abs=1e-3)
    for odd in ([], ["--effect", "0.02", "--relative", "0.2"], ["--effect", "0"]):
        code, said = _said(folder, capsys, "power", "--mean", "0.1", *odd, "--json")
        assert (code, json.loads(said)["error"]["code"]) == (1, "bad-request")
