"""An experiment from its rows to its verdicts: checks first, then each metric of each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from scipy.stats import false_discovery_control

from tierwise.errors import TooLittleData, UnknownName, near_name
from tierwise.evaluation.checks import Check, checked, planned_shares
from tierwise.evaluation.columns import FloatArray, arms_of, numbers
from tierwise.evaluation.comparison import Effect, compare, why_not
from tierwise.evaluation.design import Design, Metric
from tierwise.evaluation.moments import Moments, moments_of
from tierwise.evaluation.sequential import bounds
from tierwise.evaluation.verdict import Finding, Judged, find

__all__ = ["Analysis", "Arm", "adjusted", "analyse"]

#: The state of the whole: it may be read, with care, or not.
_STATES: Final = ("passed", "warned", "failed")


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: how many rows are in it, and the share that was planned."""

    name: str
    count: int
    planned: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an experiment says. Where a check failed there are no findings, unless they were asked for anyway."""

    control: str
    arms: tuple[Arm, ...]
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]

    @property
    def state(self) -> str:
        """Return the state of the worst check."""
        return max((check.state for check in self.checks), key=_STATES.index)

    def as_json(self) -> dict[str, Any]:
        """Return the analysis as plain values."""
        return {
            "control": self.control,
            "arms": [{"name": arm.name, "count": arm.count, "planned": arm.planned} for arm in self.arms],
            "state": self.state,
            "checks": [check.as_json() for check in self.checks],
            "findings": [finding.as_json() for finding in self.findings],
        }


def analyse(rows: pa.Table, design: Design, *, anyway: bool = False) -> Analysis:
    """Return what an experiment says.

    Args:
        rows: A row for each customer: the arm and what came of it.
        design: What the columns mean, and what was planned.
        anyway: Whether to compare although a check failed.

    Raises:
        UnknownName: A column, the control or the arm of a planned share is not there.
        BadRequest: A column has missing or impossible values.
        TooLittleData: There is only one arm.

    Example:
        >>> rows = pa.table({"arm": ["a", "b"] * 200, "bought": ([0, 1] * 10 + [0, 0] * 10) * 10})
        >>> found = analyse(rows, Design("arm", "a", (Metric("bought"),)))
        >>> found.checks[0].state, found.findings[0].kind, found.findings[0].said["zh"][:16]
        ('passed', 'better', 'b 使 bought 上升，不是')
    """
    arms, names = arms_of(rows, design.arm)
    if design.control not in names:
        raise UnknownName(f"nobody is in the control `{design.control}`", near_name(design.control, names))
    if len(names) < 2:
        raise TooLittleData(f"everybody is in the arm `{names[0]}`", "an effect needs a control beside the treatment")
    checks = tuple(checked(rows, design, arms, names))
    counts = np.bincount(arms, minlength=len(names)).tolist()
    shares = planned_shares(design.shares, names)
    sized = tuple(Arm(name, count, share) for name, count, share in zip(names, counts, shares, strict=True))
    if not anyway and any(check.state == "failed" for check in checks):
        return Analysis(design.control, sized, checks, ())
    columns = list(dict.fromkeys(name for metric in design.metrics for name in metric.columns))
    values = [numbers(rows, name) for name in columns]
    places = {name: at for at, name in enumerate(columns)}
    moments = dict(zip(names, moments_of(arms, len(names), values), strict=True))
    binary = {name: _is_binary(found) for name, found in zip(columns, values, strict=True)}
    return Analysis(design.control, sized, checks, tuple(_findings(design, names, places, moments, binary)))


def adjusted(p_values: Sequence[float], correction: str) -> list[float]:
    """Return p of each comparison once all of them are allowed for.

    Args:
        p_values: p of each by itself.
        correction: ``holm`` (none of those found is by chance; Holm 1979), ``benjamini_hochberg`` (few are) or
            ``none``.

    Example:
        >>> adjusted([0.01, 0.04, 0.03], "holm")
        [0.03, 0.06, 0.06]
    """
    if correction == "none" or not p_values:
        return list(p_values)
    if correction == "benjamini_hochberg":
        return [float(p) for p in false_discovery_control(p_values)]
    found = [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, p_values[at] * (len(p_values) - rank)))
        found[at] = highest
    return found


def _findings(
    design: Design,
    names: Sequence[str],
    places: Mapping[str, int],
    moments: Mapping[str, Moments],
    binary: Mapping[str, bool],
) -> list[Finding]:
    control = moments[design.control]
    asked = [(metric, arm) for metric in design.metrics for arm in names if arm != design.control]
    refused: dict[tuple[str, str], Finding] = {}
    effects: dict[tuple[str, str], Effect] = {}
    for metric, arm in asked:
        share = binary[metric.value] and not metric.over
        reason = why_not(metric, places, share, control, moments[arm])
        if reason is None:
            effects[metric.name, arm] = compare(metric, places, control, moments[arm], design.alpha)
        else:
            refused[metric.name, arm] = Finding(metric.name, arm, metric.guardrail, "too_little", reason)
    judged = _judged(design, [(metric, arm) for metric, arm in asked if (metric.name, arm) in effects], effects)
    return [
        refused.get((metric.name, arm))
        or find(
            design,
            metric,
            arm,
            binary[metric.value] and not metric.over,
            effects[metric.name, arm],
            judged[metric.name, arm],
        )
        for metric, arm in asked
    ]


def _judged(
    design: Design, compared: Sequence[tuple[Metric, str]], effects: Mapping[tuple[str, str], Effect]
) -> dict[tuple[str, str], Judged]:
    """Return what each effect is judged by; a guardrail is not corrected, so that harm is not overlooked."""
    goals = [(metric.name, arm) for metric, arm in compared if not metric.guardrail]
    found: dict[tuple[str, str], Judged] = {}
    corrected = dict(zip(goals, adjusted([effects[key].p for key in goals], design.correction), strict=True))
    for metric, arm in compared:
        key = metric.name, arm
        many = 1 if metric.guardrail else len(goals)
        if design.looks is None:
            found[key] = Judged(many, corrected.get(key, effects[key].p))
        else:
            # Holm's steps have no meaning between looks: the comparisons share the error instead (Bonferroni).
            share = 1 if design.correction == "none" else many
            found[key] = Judged(many, None, bounds(design.looks, design.alpha / share)[design.look - 1])
    return found


def _is_binary(values: FloatArray) -> bool:
    return bool(((values == 0) | (values == 1)).all())
