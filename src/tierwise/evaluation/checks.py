"""Whether a comparison may be read at all: what does not hold is said before any difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import chi2

from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.evaluation.columns import IntArray, column, flags, instants, numbers
from tierwise.evaluation.comparison import compare
from tierwise.evaluation.design import Design, Metric
from tierwise.evaluation.moments import moments_of

__all__ = ["Check", "checked", "planned_shares", "sample_ratio"]

#: Shares that chance alone would bring so seldom are a warning, and so much more seldom a reason to read nothing.
_RATIO_WARNED: Final = 0.01
_RATIO_FAILED: Final = 0.001
_EXPECTED_LEAST: Final = 5
#: The same outcome watched for longer in one arm by more than this share is no longer the same.
_WINDOW_APART: Final = 0.01


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold: `state` is ``passed``, ``warned`` or ``failed``, `said` a sentence in each language."""

    name: str
    state: str
    said: Mapping[str, str]
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return {"name": self.name, "state": self.state, "said": dict(self.said), **self.figures}


def checked(rows: pa.Table, design: Design, arms: IntArray, names: Sequence[str]) -> list[Check]:
    """Return every check that the columns allow, the sample ratio first.

    Raises:
        BadRequest: A column cannot be read, or a planned share is missing.
        UnknownName: A column is not there, or a planned share is of no arm.
    """
    counts = np.bincount(arms, minlength=len(names))
    found = [sample_ratio(counts, names, planned_shares(design.shares, names))]
    if design.unit:
        found.append(_one_row_each(rows, design.unit, arms))
    if design.window:
        found.append(_equal_windows(rows, design, arms, names))
    if design.assigned_at and design.exposed_at:
        found.append(_assigned_first(rows, design))
    if design.messaged:
        found.append(_control_left_alone(rows, design, arms, names))
    return found


def planned_shares(shares: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """Return the planned share of each arm; equal ones where none is planned.

    Raises:
        UnknownName: A share is of no arm.
        BadRequest: An arm has none.

    Example:
        >>> planned_shares({"a": 3, "b": 1}, ["a", "b"])
        [0.75, 0.25]
    """
    if not shares:
        return [1 / len(names)] * len(names)
    for name in shares:
        if name not in names:
            raise UnknownName(f"nobody is in the arm `{name}`", near_name(name, names))
    missing = [name for name in names if name not in shares]
    if missing:
        raise BadRequest(f"the arm `{missing[0]}` has no planned share", "write one for each arm, or for none")
    total = sum(shares.values())
    return [shares[name] / total for name in names]


def sample_ratio(counts: NDArray[np.int64], names: Sequence[str], shares: Sequence[float]) -> Check:
    """Return whether the arms have the shares that were planned (Pearson's chi-squared test).

    Where they have not, something between assigning and counting treats the arms differently, and so would whatever
    is compared (Fabijan et al., KDD 2019).

    Example:
        >>> found = sample_ratio(np.array([44_700, 45_489]), ["gate_30", "gate_40"], [0.5, 0.5])
        >>> found.state, round(found.figures["p"], 4)
        ('warned', 0.0086)
    """
    total = int(counts.sum())
    expected = np.asarray(shares) * total
    planned = " : ".join(f"{share:.3g}" for share in shares)
    sizes = " : ".join(f"{count:,}" for count in counts.tolist())
    who = " : ".join(names)
    if expected.min() < _EXPECTED_LEAST:
        said = {
            "zh": f"样本太小，无法核对分组比例（{who} = {sizes}）",
            "en": f"too few rows to check the sample ratio ({who} = {sizes})",
        }
        return Check("sample_ratio", "warned", said, {"p": None})
    statistic = float((np.square(counts - expected) / expected).sum())
    p = float(chi2.sf(statistic, len(names) - 1))
    figures = {"p": p, "statistic": statistic}
    odds = f"{p:.2g}" if p >= 1e-4 else "0.0001"
    sign = "=" if p >= 1e-4 else "<"
    if p >= _RATIO_WARNED:
        said = {
            "zh": f"各组人数与计划相符（{who} = {sizes}，p {sign} {odds}）",
            "en": f"the arms have the sizes that were planned ({who} = {sizes}, p {sign} {odds})",
        }
        return Check("sample_ratio", "passed", said, figures)
    said = {
        "zh": f"样本比例不符：计划 {who} = {planned}，实际 {sizes}，偶然出现的概率 {sign} {odds}；先查清分组与统计口径",
        "en": f"sample ratio mismatch: {who} should be {planned} and is {sizes}, which chance brings with "
        f"p {sign} {odds}; find out first what treats the arms differently",
    }
    return Check("sample_ratio", "failed" if p < _RATIO_FAILED else "warned", said, figures)


def _one_row_each(rows: pa.Table, name: str, arms: IntArray) -> Check:
    units = column(rows, name)
    if units.null_count:
        raise BadRequest(f"{units.null_count:,} rows have no `{name}`", "every row is somebody's")
    pairs = pa.table({"unit": units, "arm": pa.array(arms)})
    per_unit = pairs.group_by("unit").aggregate([("arm", "count"), ("arm", "count_distinct")])
    several = int(pc.sum(pc.greater(per_unit["arm_count_distinct"], 1)).as_py() or 0)
    again = int(pc.sum(pc.greater(per_unit["arm_count"], 1)).as_py() or 0)
    figures = {"in_several_arms": several, "in_several_rows": again}
    if several:
        said = {
            "zh": f"{several:,} 位客户同时在几个组里：分组不成立",
            "en": f"{several:,} customers are in several arms: they were not assigned to one",
        }
    elif again:
        said = {
            "zh": f"{again:,} 位客户有多行：先合并为每人一行",
            "en": f"{again:,} customers have several rows: put them together, a row for each",
        }
    else:
        said = {"zh": "每位客户一行、一组", "en": "every customer has one row, in one arm"}
    return Check("one_arm_each", "failed" if several or again else "passed", said, figures)


def _equal_windows(rows: pa.Table, design: Design, arms: IntArray, names: Sequence[str]) -> Check:
    windows = numbers(rows, design.window)
    if (windows <= 0).any():
        raise BadRequest(f"`{design.window}` is not above 0 everywhere", "leave out who was not observed")
    found = moments_of(arms, len(names), [windows])
    control = names.index(design.control)
    means = {name: float(arm.mean[0]) for name, arm in zip(names, found, strict=True)}
    apart = []
    for at, name in enumerate(names):
        gap = abs(means[name] / means[design.control] - 1)
        if at == control or gap <= _WINDOW_APART:
            continue
        constant = found[at].products[0, 0] + found[control].products[0, 0] <= 0
        fewest = min(found[at].count, found[control].count)
        metric = Metric(design.window)
        by_chance = 0.0
        if not constant and fewest > 1:
            by_chance = compare(metric, {design.window: 0}, found[control], found[at], design.alpha).p
        if by_chance < _RATIO_FAILED:
            apart.append(name)
    shown = ", ".join(f"{name} {mean:,.4g}" for name, mean in means.items())
    figures = {"windows": means}
    if apart:
        said = {
            "zh": f"各组的观察期不同（{shown}）：结果不可比较，请统一观察期",
            "en": f"the arms were observed for different times ({shown}): cut all at the same",
        }
        return Check("equal_windows", "failed", said, figures)
    said = {"zh": f"各组的观察期相同（{shown}）", "en": f"the arms were observed for equal times ({shown})"}
    return Check("equal_windows", "passed", said, figures)


def _assigned_first(rows: pa.Table, design: Design) -> Check:
    assigned, exposed = instants(rows, design.assigned_at), instants(rows, design.exposed_at)
    early = int(np.count_nonzero(exposed < assigned))
    unknown = int(np.count_nonzero(np.isnat(assigned) & ~np.isnat(exposed)))
    figures = {"exposed_before_assigned": early, "exposed_unassigned": unknown}
    if early or unknown:
        said = {
            "zh": f"{early + unknown:,} 位客户在分组之前就已曝光：分组不成立",
            "en": f"{early + unknown:,} customers were exposed before they were assigned: the assignment came too late",
        }
        return Check("assigned_first", "failed", said, figures)
    said = {"zh": "曝光都在分组之后", "en": "nobody was exposed before being assigned"}
    return Check("assigned_first", "passed", said, figures)


def _control_left_alone(rows: pa.Table, design: Design, arms: IntArray, names: Sequence[str]) -> Check:
    messaged = flags(rows, design.messaged)
    of_control = arms == names.index(design.control)
    reached = int(np.count_nonzero(messaged & of_control))
    figures = {"messaged_in_control": reached}
    if reached:
        share = reached / int(np.count_nonzero(of_control))
        said = {
            "zh": f"对照组有 {reached:,} 位客户（{share:.1%}）也收到了消息：真实效果比所示更大",
            "en": f"{reached:,} customers of the control ({share:.1%}) were messaged too: "
            "the effect is larger than shown",
        }
        return Check("control_left_alone", "warned", said, figures)
    said = {"zh": "对照组无人收到消息", "en": "nobody of the control was messaged"}
    return Check("control_left_alone", "passed", said, figures)
