"""The Online Retail example on the real file, cell by cell against a calculation of its own, without the engine."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import tierwise
from tests.examples.independent import Customer, Expected, quintiles, work_out

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "online_retail"
TIERINGS = ("rfm", "lifecycle", "value")
LONDON = ZoneInfo("Europe/London")

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.xdist_group("online_retail"),
    pytest.mark.skipif(not hasattr(tierwise, "open"), reason="needs the façade"),
]


@dataclass(frozen=True)
class Outcome:
    """What a run said, and its customers by number."""

    folder: Path
    report: Mapping[str, Any]
    customers: Mapping[str, Mapping[str, Any]]
    tiers: Mapping[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def file(real_data: Path) -> Path:
    found = real_data / "online_retail" / "online_retail_I_2010_2011.parquet"
    if not found.exists():
        pytest.skip("no online_retail among the public data sets")
    return found


@pytest.fixture(scope="module")
def expected(file: Path) -> Expected:
    return work_out(file)


@pytest.fixture(scope="module")
def outcome(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("example") / "online_retail"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("engine", "lake", "store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLINE_RETAIL", str(file))
        project = tierwise.open(folder)
        report = project.run()
        rows = project.table("customers").to_pylist()
    tiers = {name: tuple(form.tiers) for name, form in project.definitions.tierings.items()}
    yield Outcome(folder, report, {row["customer_key"]: row for row in rows}, tiers)


def test_every_row_is_accounted_for(outcome: Outcome, expected: Expected) -> None:
    (imported,) = outcome.report["imports"]
    accounted = sum(imported[fate] for fate in ("new", "replaced", "duplicate", "quarantined"))
    assert imported["rows_read"] == accounted == expected.rows == 541_909
    assert imported["reasons"] == dict(expected.reasons)
    assert imported["quarantined"] == expected.reasons.total()
    assert (imported["replaced"], imported["duplicate"]) == (0, 0)


def test_every_identified_customer_is_there_once(outcome: Outcome, expected: Expected) -> None:
    assert len(outcome.customers) == len(expected.customers) == 4_371
    assert set(outcome.customers) == set(expected.customers)


def test_everyone_is_in_exactly_one_tier(outcome: Outcome) -> None:
    assert set(outcome.tiers) == set(TIERINGS)
    for tiering, tiers in outcome.tiers.items():
        found = {row[tiering] for row in outcome.customers.values()}
        assert found <= set(tiers), tiering
        assert found == set(tiers), f"{tiering}: nobody is in {set(tiers) - found}"


def _utc(wall: datetime | None) -> datetime | None:
    return None if wall is None else wall.replace(tzinfo=LONDON).astimezone(UTC)


def _pounds(pence: int) -> Decimal:
    return Decimal(pence) / 100


CELLS: dict[str, Callable[[Customer], object]] = {
    "orders_count": lambda customer: len(customer.invoices),
    "spend": lambda customer: _pounds(customer.spend),
    "last_order_at": lambda customer: _utc(customer.last_order_at),
    "avg_ticket": lambda customer: customer.avg_ticket,
    "active_days": lambda customer: len(customer.order_days),
    "refunded": lambda customer: _pounds(customer.refunded),
    "net_spend": lambda customer: _pounds(customer.spend - customer.refunded),
    "products_count": lambda customer: len(customer.skus),
}


@pytest.mark.parametrize("tag", CELLS)
def test_a_tag_cell_by_cell(outcome: Outcome, expected: Expected, tag: str) -> None:
    wanted = {number: CELLS[tag](customer) for number, customer in expected.customers.items()}
    _compare({number: row[tag] for number, row in outcome.customers.items()}, wanted)


def test_the_rfm_scores_cell_by_cell(outcome: Outcome, expected: Expected) -> None:
    buyers = {number: customer for number, customer in expected.customers.items() if customer.placed_at}
    assert len(buyers) == 4_338
    days = {number: (expected.today - max(c.order_days)).days for number, c in buyers.items()}
    scores = {
        "r": quintiles(days, best="low"),
        "f": quintiles({number: len(customer.invoices) for number, customer in buyers.items()}),
        "m": quintiles({number: customer.spend for number, customer in buyers.items()}),
    }
    for tag, found in scores.items():
        assert set(found.values()) == {1, 2, 3, 4, 5}
        wanted = {number: found.get(number) for number in expected.customers}
        _compare({number: row[tag] for number, row in outcome.customers.items()}, wanted)


def _compare(found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    different = {n: (found.get(n), value) for n, value in wanted.items() if not _same(found.get(n), value)}
    assert not different, f"{len(different)} of {len(wanted)} differ, such as {dict(list(different.items())[:5])}"


def _same(found: object, wanted: object) -> bool:
    if isinstance(wanted, datetime) and isinstance(found, datetime):
        return (found.replace(tzinfo=UTC) if found.tzinfo is None else found) == wanted
    if isinstance(wanted, float) and isinstance(found, float):
        return math.isclose(found, wanted, rel_tol=1e-9)
    return found == wanted


def test_its_tierings_tell_what_comes(outcome: Outcome, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the last 90 days: above a shuffled tiering and above one for everybody, and better numbers hold up."""
    monkeypatch.setenv("ONLINE_RETAIL", str(file))
    chance = """\
tierings:
  shuffled: {ordered: true, tiers: {a: 'sample(0.1, salt="x")', b: 'sample(0.4, salt="y")', c: otherwise}}
  everybody: {tiers: {one: otherwise}}
"""
    (outcome.folder / "definitions" / "chance.yaml").write_text(chance, encoding="utf-8")
    with tierwise.open(outcome.folder) as project:
        good = project.tierings.quality("value", against="shuffled")
        shuffled, one = (project.tierings.quality(name) for name in ("shuffled", "everybody"))
        found = project.tierings.suggest("lifecycle")
    assert good["score_low"] > 0.4
    assert good["against"]["low"] > 0.4
    assert {gate["gate"]: gate["passed"] for gate in good["gates"]}["steps"]
    assert shuffled["score"] < 0.1
    assert one["score"] == 0
    assert found["improves"]
    assert found["low"] > 0
    assert {edit["path"].partition(".")[0] for edit in found["edits"]} == {"parameters"}
