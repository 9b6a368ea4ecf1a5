"""One metric between two arms: the difference, its interval and how probable it is by chance alone.

The difference of two means is Welch's; sums over sums go by the delta method and what a covariate explains is taken
off (tea-tasting does both from moments).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtri
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import RatioOfMeans

from tierwise.evaluation.design import Metric
from tierwise.evaluation.moments import Moments

__all__ = ["Effect", "compare", "why_not"]

#: Of yes and no, so many of each are expected in each arm where the normal approximation is used (Cochran 1954).
_EXPECTED_LEAST: Final = 5
#: Of amounts, so many rows are expected in each arm that are not 0.
_AMOUNTS_LEAST: Final = 10
_ROWS_LEAST: Final = 30


@dataclass(frozen=True, slots=True)
class Effect:
    """What an arm did to a metric.

    `control` and `treatment` are the means as they are; `effect` is their difference once what the covariate explains
    is taken off, `low` and `high` its interval, `error` its standard error. The relative figures are missing where the
    control's mean is not above 0. `explained` is the share of the variance that the covariate took off.
    """

    control: float
    treatment: float
    effect: float
    low: float
    high: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    p: float
    error: float
    explained: float

    @property
    def z(self) -> float:
        """Return the difference in standard errors, as of a normal distribution with the same p."""
        return float(np.copysign(-ndtri(max(self.p, 1e-300) / 2), self.effect))

    def at(self, bound: float) -> tuple[float, float]:
        """Return the interval that reaches so many standard errors to both sides."""
        return self.effect - bound * self.error, self.effect + bound * self.error


def compare(metric: Metric, places: Mapping[str, int], control: Moments, treatment: Moments, alpha: float) -> Effect:
    """Return what the treatment did.

    Args:
        metric: What is compared.
        places: Which column of the moments each name is.
        control: The control's moments.
        treatment: The treatment's moments.
        alpha: The two-sided error, for the interval.
    """
    names = (metric.value, metric.over, metric.covariate, metric.covariate_over)
    one, other = _aggregates(control), _aggregates(treatment)
    found = _result(names, places, one, other, alpha)
    half = (found.effect_size_ci_upper - found.effect_size_ci_lower) / 2
    explained = 0.0
    if metric.covariate:
        bare = _result((*names[:2], "", ""), places, one, other, alpha)
        bare_half = (bare.effect_size_ci_upper - bare.effect_size_ci_lower) / 2
        explained = 1 - (half / bare_half) ** 2 if bare_half > 0 else 0.0
    means = [_mean(metric, places, arm) for arm in (control, treatment)]
    relative = means[0] > 0 and means[1] > 0
    return Effect(
        control=means[0],
        treatment=means[1],
        effect=float(found.effect_size),
        low=float(found.effect_size_ci_lower),
        high=float(found.effect_size_ci_upper),
        relative=float(found.rel_effect_size) if relative else None,
        relative_low=float(found.rel_effect_size_ci_lower) if relative else None,
        relative_high=float(found.rel_effect_size_ci_upper) if relative else None,
        p=float(found.pvalue),
        error=float(abs(found.effect_size / found.statistic)) if found.statistic else float(half / -ndtri(alpha / 2)),
        explained=float(explained),
    )


def why_not(
    metric: Metric, places: Mapping[str, int], binary: bool, control: Moments, treatment: Moments
) -> dict[str, str] | None:
    """Return why nothing can be said of a metric, in both languages; nothing where something can.

    Args:
        metric: What would be compared.
        places: Which column of the moments each name is.
        binary: Whether the metric is yes or no of each row.
        control: The control's moments.
        treatment: The treatment's moments.
    """
    both = control + treatment
    fewest = min(control.count, treatment.count)
    if fewest < _ROWS_LEAST:
        return {
            "zh": f"每组至少需要 {_ROWS_LEAST} 行，这里只有 {fewest} 行",
            "en": f"an arm has {fewest} rows; at least {_ROWS_LEAST} are needed",
        }
    at = places[metric.value]
    if metric.over:
        under = places[metric.over]
        if min(control.mean[under], treatment.mean[under]) <= 0:
            return {"zh": f"分母 {metric.over} 的合计不大于 0", "en": f"the sum of `{metric.over}` is not above 0"}
    elif both.products[at, at] <= 0 or min(control.products[at, at], treatment.products[at, at]) < 0:
        return {"zh": "所有行的值都相同，无从比较", "en": "every row has the same value: there is nothing to compare"}
    share = both.nonzero[at] / both.count
    if binary:
        expected = fewest * min(share, 1 - share)
        if expected < _EXPECTED_LEAST:
            some = int(min(both.nonzero[at], both.count - both.nonzero[at]))
            return {
                "zh": f"两组合计只有 {some} 例；每组预期至少 {_EXPECTED_LEAST} 例才能比较",
                "en": f"there are {some} cases in both arms together; at least {_EXPECTED_LEAST} are expected in each",
            }
    elif fewest * share < _AMOUNTS_LEAST:
        return {
            "zh": f"两组合计只有 {int(both.nonzero[at])} 行不为 0；每组预期至少 {_AMOUNTS_LEAST} 行",
            "en": f"{int(both.nonzero[at])} rows of both arms are not 0; at least {_AMOUNTS_LEAST} are expected "
            "in each",
        }
    return None


def _result(
    names: tuple[str, str, str, str],
    places: Mapping[str, int],
    control: Aggregates,
    treatment: Aggregates,
    alpha: float,
) -> Any:
    named = [str(places[name]) if name else None for name in names]
    metric = RatioOfMeans(
        named[0] or "",
        named[1],
        named[2],
        named[3],
        alternative="two-sided",
        confidence_level=1 - alpha,
        equal_var=False,
        use_t=True,
    )
    return metric.analyze_aggregates(control, treatment)


def _aggregates(arm: Moments) -> Aggregates:
    """Return the moments as the library has them; the columns are called by their numbers."""
    columns = range(arm.mean.size)
    covariance = arm.covariance()
    return Aggregates(
        count_=arm.count,
        mean_={str(one): float(arm.mean[one]) for one in columns},
        var_={str(one): float(covariance[one, one]) for one in columns},
        cov_={(str(one), str(two)): float(covariance[one, two]) for one in columns for two in columns if one < two},
    )


def _mean(metric: Metric, places: Mapping[str, int], arm: Moments) -> float:
    value = float(arm.mean[places[metric.value]])
    return value / float(arm.mean[places[metric.over]]) if metric.over else value
