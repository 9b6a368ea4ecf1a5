"""Online Retail month by month: importing and refreshing gives the memberships of runs as of each month's end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import tierwise
from tierwise.project import Project

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "online_retail"
MONTHS = [date(2010, 12, 1), *(date(2011, month, 1) for month in range(1, 13))]

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.xdist_group("online_retail")]


@pytest.fixture(scope="module")
def months(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one file a month."""
    file = real_data / "online_retail" / "online_retail_I_2010_2011.parquet"
    if not file.exists():
        pytest.skip("no online_retail among the public data sets")
    folder = tmp_path_factory.mktemp("months")
    table = pq.read_table(file)
    month = pc.strftime(table["InvoiceDate"], format="%Y-%m")
    for first in MONTHS:
        pq.write_table(table.filter(pc.equal(month, f"{first:%Y-%m}")), folder / f"{first:%Y-%m}.parquet")
    return folder


def _example(folder: Path) -> Path:
    return shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("engine", "lake", "store"))


def _last_day(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _moves(project: Project) -> set[tuple[Any, ...]]:
    """The membership log without who was numbered how, and by which run."""
    keys = dict(
        zip(*project.table("known_customers").select(["customer_id", "customer_key"]).to_pydict().values(), strict=True)
    )
    columns = ("customer_id", "kind", "name", "was", "is", "at")
    rows = list(zip(*project.table("memberships").select(list(columns)).to_pydict().values(), strict=True))
    moves = {(keys[customer], *rest) for customer, *rest in rows}
    assert len(moves) == len(rows), "nobody moves twice at once"
    return moves


def _rows(project: Project) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in project.table("customers").to_pylist():
        yield row["customer_key"], {name: value for name, value in row.items() if name != "customer_id"}


def test_twelve_refreshes_are_twelve_runs_as_of(months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    now = datetime(2012, 1, 1, tzinfo=UTC)
    refreshed, whole = _example(tmp_path / "refreshed"), _example(tmp_path / "whole")
    monkeypatch.setenv("ONLINE_RETAIL", str(arriving / "*.parquet"))
    with tierwise.open(refreshed, clock=lambda: now) as project:
        for first in MONTHS:
            shutil.copy(months / f"{first:%Y-%m}.parquet", arriving)
            report = project.refresh(as_of=f"{_last_day(first)}", publish=True)
            assert report["recorded"] and [one["new"] > 0 for one in report["imports"]].count(True) == 1
        by_refresh, rows = _moves(project), dict(_rows(project))
    with tierwise.open(whole, clock=lambda: now) as project:
        for first in MONTHS:
            report = project.run(as_of=f"{_last_day(first)}")
        assert _moves(project) == by_refresh
        assert dict(_rows(project)) == rows
    assert len(rows) == 4_371
    assert {at for *_, at in by_refresh} == {
        datetime.combine(_last_day(first) + timedelta(days=1), datetime.min.time())
        - timedelta(microseconds=1)
        - timedelta(hours=1 if date(2011, 3, 27) <= _last_day(first) < date(2011, 10, 30) else 0)
        for first in MONTHS
    }, "at each month's end in London somebody moved"
