"""Small files become few, and every version of the lake stays what it was, for everybody, at every moment."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tierwise.lake import Lake
from tierwise.lake.compacting import compact
from tierwise.lake.rewriting import rewrite_without

AT = datetime(2026, 6, 1)
ROOT = Path(__file__).parents[2]


def grown(folder: Path, last: int = 8) -> Lake:
    """A lake of sent rows from two sources, with a recorded run after every second of them, and one file's rows."""
    lake = Lake(folder)
    for number in range(1, last + 1):
        if number % 3 == 0:
            log = pa.table({"run_id": [number], "is": [f"in-{number}"]})
            lake.append("memberships", {"memberships": log}, f"run-{number:08d}", {"run_id": number})
            continue
        rows: dict[str, Any] = {
            "source_record_id": [number, 1],
            "line": [1, 2],
            "import_id": [number] * 2,
            "row_key": [f"{number}", "x"],
        }
        if number > 4:
            rows["city"] = ["sh", None]  # a column that older files do not have
        about = {"source": "till" if number % 2 else "web"} | ({"position": str(number)} if number != 2 else {})
        lake.append("rows", {"orders": pa.table(rows)}, f"{number:08d}", about)
    return lake


def versions(lake: Lake) -> dict[tuple[str, int, int], list[str]]:
    """Return the rows of every table between any two versions."""
    found = {}
    for table, since, up_to in itertools.product(("orders", "memberships"), range(9), range(9)):
        rows = [row for path in lake.paths(table, up_to, since) for row in pq.read_table(path).to_pylist()]
        found[table, since, up_to] = sorted(str({k: v for k, v in row.items() if v is not None}) for row in rows)
    return found


def test_every_version_stays_what_it_was(tmp_path: Path) -> None:
    lake = grown(tmp_path)
    other, before = Lake(tmp_path), versions(lake)
    numbers = lake.numbers("orders"), lake.numbers("orders", 5)
    assert versions(other) == before
    assert compact(lake, AT, up_to=7, least=2) == 2 + 0 + 1, "till 1, 5, 7; of web only 4 was sent; the runs 3, 6"
    assert [path.name for path in lake.paths("orders")] == [
        "00000002.parquet", "00000004.parquet", "00000007-from-00000001.parquet", "00000008.parquet",
    ]  # fmt: skip
    for one in (lake, other, Lake(tmp_path)):
        assert versions(one) == before
        assert (one.numbers("orders"), one.numbers("orders", 5)) == numbers
    lake.correct_counts()
    assert versions(Lake(tmp_path)) == before, "a manifest that is written again says the same"


def test_again_and_again(tmp_path: Path) -> None:
    lake = grown(tmp_path)
    before = versions(lake)
    for up_to in range(2, 9):
        compact(lake, AT, up_to, least=2)
        assert versions(lake) == versions(Lake(tmp_path)) == before
    assert len(lake.paths("orders")) == 3, "one of each source, and the file's"
    assert compact(lake, AT, up_to=8, least=2) == 0


def test_who_reads_has_time_to_finish(tmp_path: Path) -> None:
    lake = grown(tmp_path)
    held = lake.paths("orders")
    compact(lake, AT, up_to=5, least=2)
    assert all(path.is_file() for path in held)
    compact(lake, AT + timedelta(minutes=14), up_to=7, least=2)
    assert all(path.is_file() for path in held)
    compact(lake, AT + timedelta(minutes=16), up_to=8, least=2)
    assert not all(path.is_file() for path in held)
    assert versions(Lake(tmp_path)) == versions(lake)


def test_large_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tierwise.lake.compacting._LARGE", 2)
    assert compact(grown(tmp_path), AT, up_to=8, least=2) == 1, "only the log is small"


KILLED = """\
import os, signal, sys
from datetime import datetime
from pathlib import Path
from tierwise.lake import Lake
from tierwise.lake.compacting import compact

at, real = int(sys.argv[2]), os.replace
def replace(*paths):
    global at
    at -= 1
    if not at:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)
os.replace = replace
compact(Lake(Path(sys.argv[1])), datetime(2026, 6, 1), 8, 2)
"""


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_killed_on_the_way(tmp_path: Path, moment: int) -> None:
    lake = grown(tmp_path)
    before = versions(lake)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(moment)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert versions(Lake(tmp_path)) == versions(lake) == before
    assert compact(lake, AT, up_to=8, least=2) == 4
    assert versions(Lake(tmp_path)) == before


def test_an_erased_person_is_in_no_file_at_all(tmp_path: Path) -> None:
    lake = grown(tmp_path)
    compact(lake, AT, up_to=7, least=2)
    versions(lake)  # makes copies
    rewrite_without(lake, [1], [], [])
    for path in tmp_path.rglob("*.parquet"):
        if "source_record_id" in pq.read_schema(path).names:
            assert 1 not in pq.read_table(path)["source_record_id"].to_pylist(), path
