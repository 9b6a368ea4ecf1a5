"""Matching by probability on public records with known truth: as good as is said, without a label."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.identity_quality import quality
from tests.projects import Brand

pytestmark = [pytest.mark.real]


@pytest.mark.parametrize(("name", "f1"), [("febrl1", 0.99), ("fake_1000", 0.86)])
def test_people_of_public_files_are_found(name: str, f1: float, real_data: Path) -> None:
    found = quality(name, real_data)
    assert found["persons"]["f1"] >= f1
    assert found["best_pairs_f1"] >= f1
    assert found["persons"]["precision"] >= 0.97


OLIST = """\
file: data/olist_customers_subset.parquet
customer: customer_id
streams:
  customers: {columns: {city: customer_city, person: {value: customer_unique_id, role: openid}}}
"""


def test_the_people_behind_the_orders_of_a_marketplace(tmp_path: Path, real_data: Path) -> None:
    """Olist gives every order a customer number of its own, and says beside it whose it is."""
    file = "olist_customers_subset.parquet"
    brand = Brand(
        tmp_path, {"sources/olist.yaml": OLIST, "definitions/i.yaml": "identity: {identifiers: {person: {}}}\n"}
    )
    (tmp_path / "data").mkdir()
    shutil.copyfile(real_data / "olist" / file, tmp_path / "data" / file)
    brand.run()
    rows = pq.read_table(tmp_path / "data" / file, columns=["customer_id", "customer_unique_id"]).to_pylist()
    truth = {row["customer_id"]: row["customer_unique_id"] for row in rows}
    with brand.open() as project:
        held = project.store.ids.customers().to_pylist()
        report = project.identity.report()
    people: dict[int, set[str]] = {}
    for row in held:
        people.setdefault(row["customer_id"], set()).add(truth[row["source_key"]])
    assert all(len(whose) == 1 for whose in people.values()), "precision: nobody is two people"
    assert len(people) == len(set(truth.values())), "recall: nobody is two customers"
    assert report["records"] - report["customers"] == len(truth) - len(set(truth.values())) > 0
