"""Two public experiments with published effects: an e-mail test of three arms, and a game whose arms do not match."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Brand
from tierwise.project import Project

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    brand = Brand(tmp_path_factory.mktemp("experiments"), {"tierwise.yaml": "name: experiments\n"})
    with brand.open() as opened:
        yield opened


def _of(found: dict[str, Any], metric: str, arm: str) -> dict[str, Any]:
    [finding] = [one for one in found["findings"] if (one["metric"], one["arm"]) == (metric, arm)]
    assert isinstance(finding, dict)
    return finding


def test_hillstrom(project: Project, real_data: Path) -> None:
    found = project.experiments.analyse(
        real_data / "hillstrom" / "hillstrom.csv.gz",
        arm="segment",
        control="No E-Mail",
        metrics=["visit", "conversion", "spend ~ history", "spend/conversion"],
    )
    assert found["state"] == "passed"
    women, men = "Womens E-Mail", "Mens E-Mail"
    assert _of(found, "visit", women)["effect"] == pytest.approx(0.0452, abs=5e-5)
    assert _of(found, "visit", men)["effect"] == pytest.approx(0.0766, abs=5e-5)
    assert _of(found, "conversion", women)["effect"] == pytest.approx(0.003111, abs=1e-6)
    assert _of(found, "conversion", men)["effect"] == pytest.approx(0.006805, abs=1e-6)
    for arm, effect, error in ((women, 0.424412, 0.130333), (men, 0.769827, 0.145247)):
        spend = _of(found, "spend", arm)
        assert spend["treatment"] - spend["control"] == pytest.approx(effect, abs=1e-6)
        assert (spend["high"] - spend["low"]) / 2 / 1.96 == pytest.approx(error, rel=2e-3)
        # What was spent in the year before explains next to nothing here, and it is said.
        assert spend["explained"] < 0.01
        assert spend["verdict"] == "better"
        assert _of(found, "spend/conversion", arm)["verdict"] == "unclear"
    assert "15.14% against 10.62%" in _of(found, "visit", women)["said"]["en"]
    assert "相差 +7.66 个百分点" in _of(found, "visit", men)["said"]["zh"]


def test_cookie_cats(project: Project, real_data: Path) -> None:
    """Most write-ups miss that the arms have not the sizes that were planned."""
    found = project.experiments.analyse(
        real_data / "cookie_cats" / "cookie_cats.csv.gz",
        arm="version",
        control="gate_30",
        metrics=["retention_7", "retention_1"],
        correction="none",
        unit="userid",
    )
    assert found["state"] == "warned"
    assert found["checks"][0]["name"] == "sample_ratio"
    assert found["checks"][0]["p"] == pytest.approx(0.0086, abs=5e-5)
    assert "mismatch" in found["checks"][0]["said"]["en"]
    assert found["checks"][1]["state"] == "passed"
    week, day = _of(found, "retention_7", "gate_40"), _of(found, "retention_1", "gate_40")
    assert week["effect"] == pytest.approx(-0.0082, abs=5e-6)
    assert week["p"] == pytest.approx(0.0016, abs=5e-5)
    assert (week["low"], week["high"]) == pytest.approx((-0.0133, -0.0031), abs=5e-5)
    assert (week["verdict"], day["verdict"]) == ("worse", "unclear")
    assert day["p"] == pytest.approx(0.0744, abs=5e-4)
