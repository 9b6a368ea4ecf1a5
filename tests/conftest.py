"""Settings every test shares: a fixed terminal, one Hypothesis profile, and marks that say why they skip."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("NO_COLOR", "1")
os.environ["COLUMNS"] = "120"

settings.register_profile("house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def _real_data() -> Path | None:
    folder = os.environ.get("TIERWISE_DATA")
    return Path(folder) if folder and Path(folder).is_dir() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    reasons = {
        "real": "" if _real_data() else "no public data sets: set TIERWISE_DATA to their folder",
        "spark": "" if importlib.util.find_spec("pyspark") else "pyspark is not installed (extra `spark`)",
        "postgres": ""
        if os.environ.get("TIERWISE_POSTGRES")
        else "set TIERWISE_POSTGRES to the URL of an empty database",
    }
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the public data sets; the test is skipped where there is none."""
    folder = _real_data()
    if folder is None:
        pytest.skip("no public data sets: set TIERWISE_DATA to their folder")
    return folder
