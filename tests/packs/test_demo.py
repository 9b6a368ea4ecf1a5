"""The demo pack finds the simulated shop's truth: a shop is drawn, a run puts everyone in a tier, the truth judges."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tierwise
from tierwise.packs import pack_folder
from tierwise.shop import write_shop

CUSTOMERS, SEED = 4_000, 1
#: Tiering → what share of all customers must be in their true tier.
ACCURACY = {"purchase": 0.88, "lifecycle": 0.90, "engagement": 0.90}
#: What share of those truly in a tier is found there, and of those found there truly is.
PER_TIER = 0.70

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("demo_pack"),
    pytest.mark.skipif(not hasattr(tierwise, "open"), reason="needs the façade"),
]


@dataclass(frozen=True)
class Outcome:
    """What a run said, its customers and their truth, both by number."""

    report: Mapping[str, Any]
    customers: Mapping[str, Mapping[str, Any]]
    truth: Mapping[str, Mapping[str, Any]]
    tiers: Mapping[str, tuple[str, ...]]
    segments: tuple[str, ...]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("pack") / "demo"
    shutil.copytree(pack_folder("demo"), folder)
    write_shop(folder / "data", customers=CUSTOMERS, seed=SEED)
    project = tierwise.open(folder)
    report = project.run()
    truth = [row for part in sorted((folder / "data" / "truth").glob("*.parquet")) for row in _rows(part)]
    return Outcome(
        report=report,
        customers={row["customer_key"]: row for row in project.table("customers").to_pylist()},
        truth={row["customer_key"]: row for row in truth},
        tiers={name: tuple(form.tiers) for name, form in project.definitions.tierings.items()},
        segments=tuple(project.definitions.segments),
    )


def _rows(part: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(part).to_pylist()
    return rows


def test_everyone_is_there_and_in_one_tier_of_each(outcome: Outcome) -> None:
    assert set(outcome.customers) == set(outcome.truth)
    for tiering, tiers in outcome.tiers.items():
        found = {row[tiering] for row in outcome.customers.values()}
        assert found == set(tiers), tiering


def test_every_row_is_accounted_for(outcome: Outcome) -> None:
    imports = {entry["source"]: entry for entry in outcome.report["imports"]}
    for entry in imports.values():
        fates = sum(entry[fate] for fate in ("new", "replaced", "duplicate", "quarantined"))
        assert entry["rows_read"] == fates, entry["source"]
        assert entry["quarantined"] == sum(entry["reasons"].values()), entry["source"]
    broken = {name for name, entry in imports.items() if entry["quarantined"]}
    assert broken == {"orders_backoffice"}, "only what was written by hand has mistakes"
    assert imports["orders_backoffice"]["duplicate"] > 0
    assert len(imports["orders_backoffice"]["reasons"]) >= 3


@pytest.mark.parametrize("tiering", ACCURACY)
def test_the_truth_is_found(outcome: Outcome, tiering: str) -> None:
    pairs = Counter((row[f"{tiering}_tier"], outcome.customers[key][tiering]) for key, row in outcome.truth.items())
    tiers = outcome.tiers[tiering]
    shown = confusion(pairs, tiers)
    right = sum(pairs[tier, tier] for tier in tiers)
    assert right >= ACCURACY[tiering] * pairs.total(), shown
    for tier in tiers:
        true = sum(pairs[tier, other] for other in tiers)
        found = sum(pairs[other, tier] for other in tiers)
        assert pairs[tier, tier] >= PER_TIER * true, f"recall of {tier}\n{shown}"
        assert pairs[tier, tier] >= PER_TIER * found, f"precision of {tier}\n{shown}"


def confusion(pairs: Counter[tuple[str, str]], tiers: tuple[str, ...]) -> str:
    """Return the table of true against found tiers, with recall beside and precision below.

    Example:
        >>> print(confusion(Counter({("a", "a"): 3, ("a", "b"): 1, ("b", "b"): 4}), ("a", "b")))
        true \\ found            a           b      recall
        a                       3           1       75.0%
        b                       0           4      100.0%
        precision          100.0%       80.0%  all  87.5%
    """
    right = sum(pairs[tier, tier] for tier in tiers) / max(pairs.total(), 1)
    lines = ["true \\ found".ljust(13) + "".join(f"{tier:>12}" for tier in tiers) + f"{'recall':>12}"]
    for tier in tiers:
        row = [pairs[tier, other] for other in tiers]
        recall = pairs[tier, tier] / max(sum(row), 1)
        lines.append(tier.ljust(13) + "".join(f"{count:>12}" for count in row) + f"{recall:>12.1%}")
    precision = [pairs[tier, tier] / max(sum(pairs[other, tier] for other in tiers), 1) for tier in tiers]
    lines.append(
        "precision".ljust(13) + "".join(f"{share:>12.1%}" for share in precision) + f"{f'all {right:6.1%}':>12}"
    )
    return "\n".join(lines)


def test_every_segment_holds_somebody_and_not_everybody(outcome: Outcome) -> None:
    sizes = {name: sum(bool(row[name]) for row in outcome.customers.values()) for name in outcome.segments}
    assert not [name for name, size in sizes.items() if not 0 < size < CUSTOMERS], sizes
