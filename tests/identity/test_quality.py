"""Matching by probability on public records with known truth: as good as is said, without a label."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.identity_quality import quality

pytestmark = [pytest.mark.real]


@pytest.mark.parametrize(("name", "f1"), [("febrl1", 0.99), ("fake_1000", 0.86)])
def test_people_of_public_files_are_found(name: str, f1: float, real_data: Path) -> None:
    found = quality(name, real_data)
    assert found["persons"]["f1"] >= f1
    assert found["best_pairs_f1"] >= f1
    assert found["persons"]["precision"] >= 0.97
