"""Which files are read: new and changed ones, each whole or not at all; a file that cannot be read says why."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.projects import ORDERS, Brand, csv, said
from tierwise.errors import SourceUnreadable, TierwiseError
from tierwise.lake import Lake

HEAD = "id,customer,time,amount"
ROW = "1,a,2026-01-02,10"

UNREADABLE: dict[str, tuple[str, bytes | None, str]] = {
    "missing": (ORDERS, None, "there is no such file"),
    "empty": (ORDERS, b"", "is empty"),
    "blank": (ORDERS, b"\n\n", "is empty"),
    "other delimiter": (ORDERS, b"id;customer;time;amount\n1;a;2026-01-02;10\n", "semicolon"),
    "unclosed header": (ORDERS, b'id,"customer,time,amount\n', "header"),
    "twice a column": (ORDERS, b"id,id,time,amount\n", "both named"),
    "nul in the header": (ORDERS, b"id,\0\n", "NUL"),
    "no parquet": (ORDERS.replace(".csv", ".parquet"), b"id,customer\n", "arquet"),
    "damaged gzip": (ORDERS.replace(".csv", ".csv.gz"), b"\x1f\x8b\x08\x00garbage", "damaged"),
    "unset variable": (ORDERS.replace("data/", "${TIERWISE_NOWHERE}/"), b"", "TIERWISE_NOWHERE is not set"),
    "folder": (ORDERS.replace("/orders.csv", ""), b"", "is a folder"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_read(tmp_path: Path, case: str) -> None:
    source, content, words = UNREADABLE[case]
    brand = Brand(tmp_path, {"sources/orders.yaml": source})
    if content is not None:
        name = source.splitlines()[0].removeprefix("file: data/")
        brand.write({f"data/{name if '.' in name and '$' not in name else 'x.csv'}": content})
    (problem,) = brand.problems()
    assert words in problem.message
    assert (problem.where.file, problem.where.line) == ("sources/orders.yaml", 1)
    assert problem.hint
    with brand.open() as project:
        with pytest.raises(SourceUnreadable) as refused:
            project.run()
        assert refused.value.message == problem.message and refused.value.hint
        (run,) = project.show("runs").to_pylist()
        assert (run["state"], run["error"]) == ("failed", problem.message)
    assert Lake(tmp_path / "lake").version == 0


def test_only_a_header(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": HEAD + "\n"})
    assert said(brand.problems()) == ""
    assert brand.imports() == [{}]
    assert brand.run()["customers"] == 0


def test_files_before_the_unreadable_one_stay_and_are_not_read_again(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS.replace("orders.csv", "*.csv")})
    brand.write({"data/a.csv": csv(HEAD, ROW), "data/b.csv": b'id,"customer'})
    with pytest.raises(TierwiseError):
        brand.receive()
    lake = Lake(tmp_path / "lake")
    assert (lake.version, [path.stem for path in lake.paths("orders")]) == (1, ["00000001"])
    brand.write({"data/b.csv": csv(HEAD, ROW, "2,a,2026-01-02,10")})
    assert brand.imports() == [{}, {"new": 1, "duplicate": 1}]
    assert not (tmp_path / "lake/drafts").exists()


def test_a_file_that_breaks_half_way_is_not_imported(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS.replace(".csv", ".parquet")})
    table = pa.table({"id": ["1"] * 9, "customer": ["a"] * 9, "time": ["2026-01-02"] * 9, "amount": [1.0] * 9})
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data/orders.parquet")
    content = bytearray((tmp_path / "data/orders.parquet").read_bytes())
    content[10:60] = b"\xff" * 50
    brand.write({"data/orders.parquet": bytes(content)})
    with pytest.raises(SourceUnreadable):
        brand.receive()
    assert Lake(tmp_path / "lake").version == 0


def test_plan_says_which_files_would_be_read(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": csv(HEAD, ROW)})

    def states() -> list[str]:
        with brand.open() as project:
            return [one["state"] for one in project.plan()["imports"]]

    assert states() == ["new"]
    brand.imports()
    assert states() == ["unchanged"]
    brand.write({"data/orders.csv": csv(HEAD, ROW, ROW)})
    assert states() == ["changed"]
    brand.imports()
    brand.write({"sources/orders.yaml": ORDERS + "# a remark changes nothing\n"})
    assert states() == ["unchanged"]
    brand.write({"tierwise.yaml": "name: test\ntimezone: Europe/London\n"})
    assert states() == ["changed"], "the zone decides what the times mean"


def test_a_variable_in_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAND_DATA", str(tmp_path / "data"))
    source = ORDERS.replace("data/", "${BRAND_DATA}/")
    brand = Brand(tmp_path, {"sources/orders.yaml": source, "data/orders.csv": csv(HEAD, ROW)})
    assert brand.imports() == [{"new": 1}]
