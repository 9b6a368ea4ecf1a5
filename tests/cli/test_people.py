"""The commands about one person, in both languages and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.people.town import KEY, town
from tests.projects import Brand
from tierwise.cli import main


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    made = town(tmp_path)
    made.run()
    return made


def run(capsys: pytest.CaptureFixture[str], brand: Brand, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["people", *words, "--project", str(brand.folder)])
    out = capsys.readouterr()
    return int(str(ended.value.code)), out.out, out.err


def test_from_showing_to_erasing(brand: Brand, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, brand, "show", "13900000000", "--lang", "zh")
    assert (code, "13900000000" in out, "李" in out) == (0, True, True)
    _, out, _ = run(capsys, brand, "show", "13900000000", "--masked")
    assert "139****0000" in out
    code, out, _ = run(capsys, brand, "export", KEY, "--to", str(tmp_path / "one.json"), "--lang", "en")
    assert (code, "7 personal values and 2 rows" in out) == (0, True)
    _, out, _ = run(capsys, brand, "erase", KEY, "--dry-run", "--lang", "zh")
    assert "试运行" in out
    code, out, _ = run(capsys, brand, "erase", KEY, "--receipt", str(tmp_path / "receipt.json"), "--lang", "en")
    assert code == 0
    assert "erased, receipt 1" in out
    assert "data/orders.csv" in out and "2, 4, 6" in out
    assert json.loads((tmp_path / "receipt.json").read_text())["state"] == "done"
    code, _, err = run(capsys, brand, "erase", KEY)
    assert (code, "this person was erased on" in err) == (1, True)


def test_refused_with_a_reason(brand: Brand, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, brand, "show", "nobody", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (1, "unknown-name")
    code, _, err = run(capsys, brand, "export", KEY, "--to", str(tmp_path / "one.csv"))
    assert (code, "is no .json file" in err) == (1, True)
    (brand.folder / "store/master.key").unlink()
    code, _, err = run(capsys, brand, "show", KEY)
    assert code == 3
    assert "master key is missing" in err and "no new key is made" in err


def test_the_keys(brand: Brand, capsys: pytest.CaptureFixture[str]) -> None:
    before = (brand.folder / "store/master.key").read_text()
    code, out, _ = run(capsys, brand, "rotate-key", "--lang", "en")
    assert code == 0 and "wrapped with a new key" in out
    assert (brand.folder / "store/master.key").read_text() != before
    code, out, _ = run(capsys, brand, "purge", "--json")
    assert (code, json.loads(out)) == (0, {"imports": []} if out < "2026" else json.loads(out))
    code, out, _ = run(capsys, brand, "show", KEY, "--json")
    assert json.loads(out)["records"][0]["key"] == KEY
