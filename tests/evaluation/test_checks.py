"""What must hold before a difference is read: each check passes where it holds and speaks where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.evaluation import Design, Metric, analyse
from tierwise.evaluation.analysis import Analysis
from tierwise.evaluation.checks import planned_shares, sample_ratio

SIZE = 200


def experiment(anyway: bool = False, control: str = "c", **columns: Any) -> Analysis:
    """Two arms of 200; every second buys in the treatment, every fourth in the control."""
    arms = ["c"] * SIZE + ["t"] * SIZE
    bought = [int(row % 4 == 0) for row in range(SIZE)] + [row % 2 for row in range(SIZE)]
    rows = {"arm": arms, "bought": bought, **columns}
    named: dict[str, Any] = {
        name: name for name in columns if name in {"unit", "assigned_at", "exposed_at", "messaged", "window"}
    }
    return analyse(pa.table(rows), Design("arm", control, (Metric("bought"),), **named), anyway=anyway)


def states(found: Analysis) -> dict[str, str]:
    return {check.name: check.state for check in found.checks}


@pytest.mark.parametrize(
    ("counts", "shares", "state"),
    [
        ([5_000, 5_050], [0.5, 0.5], "passed"),
        ([44_700, 45_489], [0.5, 0.5], "warned"),
        ([5_000, 5_400], [0.5, 0.5], "failed"),
        ([9_000, 1_000], [0.9, 0.1], "passed"),
        ([3_300, 3_350, 3_350], [1 / 3] * 3, "passed"),
        ([3_000, 3_500, 3_500], [1 / 3] * 3, "failed"),
        ([6, 2], [0.5, 0.5], "warned"),
    ],
)
def test_the_sample_ratio(counts: list[int], shares: list[float], state: str) -> None:
    assert sample_ratio(np.array(counts), [f"arm {at}" for at in range(len(counts))], shares).state == state


def test_planned_shares_are_of_the_arms() -> None:
    with pytest.raises(UnknownName, match="nobody is in the arm `tt`"):
        planned_shares({"c": 1, "tt": 1}, ["c", "t"])
    with pytest.raises(BadRequest, match="the arm `t` has no planned share"):
        planned_shares({"c": 1}, ["c", "t"])


def test_everything_holds() -> None:
    found = experiment(
        unit=list(range(2 * SIZE)),
        window=[30] * 2 * SIZE,
        assigned_at=["2026-03-01 10:00:00"] * 2 * SIZE,
        exposed_at=[""] * SIZE + ["2026-03-01 10:00:00"] * SIZE,
        messaged=[0] * SIZE + [1] * SIZE,
    )
    assert states(found) == dict.fromkeys(
        ("sample_ratio", "one_arm_each", "equal_windows", "assigned_first", "control_left_alone"), "passed"
    )
    assert found.state == "passed"
    assert [finding.kind for finding in found.findings] == ["better"]


def test_unequal_windows_are_not_compared() -> None:
    found = experiment(window=[30] * SIZE + [60] * SIZE)
    assert states(found)["equal_windows"] == "failed"
    assert "c 30, t 60" in found.checks[1].said["en"]
    assert not found.findings
    assert experiment(window=[30] * SIZE + [60] * SIZE, anyway=True).findings
    # Windows that differ from customer to customer, but not from arm to arm, are fair.
    rng = np.random.default_rng(1)
    assert states(experiment(window=rng.integers(10, 60, 2 * SIZE)))["equal_windows"] == "passed"
    longer = np.concatenate([rng.integers(10, 60, SIZE), rng.integers(30, 80, SIZE)])
    assert states(experiment(window=longer))["equal_windows"] == "failed"


def test_exposure_before_assignment() -> None:
    assigned = ["2026-03-02"] * 2 * SIZE
    early = [None] * SIZE + ["2026-03-01"] * 3 + ["2026-03-03"] * (SIZE - 3)
    found = experiment(assigned_at=assigned, exposed_at=early)
    assert states(found)["assigned_first"] == "failed"
    assert "3 customers were exposed before" in found.checks[1].said["en"]
    assert "3 位客户" in found.checks[1].said["zh"]
    nobody = experiment(assigned_at=["", *assigned[1:]], exposed_at=["2026-03-03"] * 2 * SIZE)
    assert states(nobody)["assigned_first"] == "failed"


def test_a_control_that_was_messaged() -> None:
    """The comparison of the assignments still holds; that it is too small an effect is said."""
    found = experiment(messaged=[1] * 20 + [0] * (SIZE - 20) + [1] * SIZE)
    assert states(found)["control_left_alone"] == "warned"
    assert found.state == "warned"
    assert "20 customers of the control (10.0%)" in found.checks[1].said["en"]
    assert found.findings[0].kind == "better"


def test_nobody_is_counted_twice() -> None:
    units = list(range(2 * SIZE))
    assert states(experiment(unit=[0, 0, *units[2:]]))["one_arm_each"] == "failed"
    both = experiment(unit=units[:SIZE] + units[:5] + units[SIZE + 5 :])
    assert "5 customers are in several arms" in both.checks[1].said["en"]
    with pytest.raises(BadRequest, match="1 rows have no `unit`"):
        experiment(unit=["", *(str(unit) for unit in units[1:])])


def test_no_window_of_nothing() -> None:
    with pytest.raises(BadRequest, match="not above 0"):
        experiment(window=[0, *[30] * (2 * SIZE - 1)])
