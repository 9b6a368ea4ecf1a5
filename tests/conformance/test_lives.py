"""Generated lives: rows late, twice, corrected, refunded, edits and words by hand between; every way of asking agrees."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tierwise.testing.lives import Life, disagreements
from tierwise.testing.strategies import lives

#: More of them: TIERWISE_CASES=2000 pytest tests/conformance/test_lives.py
CASES = int(os.environ.get("TIERWISE_CASES", "30"))
#: They are shared out, so that several processes do them.
PARTS = 10
SHOWN = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_refresh_full_run_as_of_and_reference_agree(part: int) -> None:
    @settings(
        max_examples=-(-CASES // PARTS),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    @given(life=lives())
    def agree(life: Life) -> None:
        found = disagreements(life)
        assert not found, "\n".join([f"{len(found)} differences in {life!r}", *found[:SHOWN]])

    agree()
