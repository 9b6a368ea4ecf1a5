"""How many customers an experiment needs and for how long, or what those there are can show."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from scipy.optimize import brentq

from tierwise.errors import BadRequest
from tierwise.evaluation.sequential import Looks, bounds, crossing

__all__ = ["Plan", "Trial", "detectable", "needed", "power_of"]

_MOST: Final = 10**12


@dataclass(frozen=True, slots=True)
class Trial:
    """What is known before: the metric as it is, and how the experiment will be made.

    Args:
        mean: The metric's mean now; without a deviation it is the share of customers who do something.
        deviation: The metric's standard deviation, if it is no share.
        alpha: The two-sided error of everything together.
        arms: How many treatments there are beside the control; each has an equal part of what the control leaves.
        control: The control's share of all customers; by default an equal one.
        looks: The planned looks.
        correlation: With what is known of each customer before (its square is the variance that it explains).
        metrics: How many metrics are compared.
    """

    mean: float
    deviation: float | None = None
    alpha: float = 0.05
    arms: int = 1
    control: float | None = None
    looks: Looks = field(default_factory=Looks)
    correlation: float = 0.0
    metrics: int = 1

    def __post_init__(self) -> None:
        if self.deviation is None and not 0 < self.mean < 1:
            raise BadRequest(
                f"a share is between 0 and 1, not {self.mean:g}", "give the standard deviation of an amount"
            )
        if self.deviation is not None and not 0 < self.deviation < math.inf:
            raise BadRequest(f"the standard deviation is {self.deviation:g}; it is above 0")
        if not math.isfinite(self.mean):
            raise BadRequest("the mean is no number")
        if not 0 < self.alpha < 0.5:
            raise BadRequest(f"the error is {self.alpha:g}; it is between 0 and 0.5", "write 0.05")
        if self.arms < 1 or self.metrics < 1:
            raise BadRequest("there is at least one treatment and one metric")
        if self.control is not None and not 0 < self.control < 1:
            raise BadRequest(f"the control's share is {self.control:g}; it is between 0 and 1")
        if not -1 < self.correlation < 1:
            raise BadRequest(f"the correlation is {self.correlation:g}; it is between -1 and 1")

    @property
    def control_share(self) -> float:
        """Return the control's share of all customers."""
        return 1 / (self.arms + 1) if self.control is None else self.control

    @property
    def limits(self) -> tuple[float, ...]:
        """Return the bounds of the looks; several comparisons share the error (Bonferroni)."""
        return bounds(self.looks, self.alpha / (self.arms * self.metrics))

    def spread(self, effect: float) -> float:
        """Return the variance of a difference of the means when all customers together are one."""
        share = self.control_share
        treated = (1 - share) / self.arms
        if self.deviation is None:
            after = self.mean + effect
            if not 0 < after < 1:
                raise BadRequest(f"a share of {self.mean:g} cannot change by {effect:+g}", "it stays between 0 and 1")
            variances = self.mean * (1 - self.mean), after * (1 - after)
        else:
            variances = self.deviation**2, self.deviation**2
        return (variances[0] / share + variances[1] / treated) * (1 - self.correlation**2)


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment that would find an effect so often: whom it needs.

    `customers` is all of them, `control` and `treatment` those of the control and of each treatment. `stops_at` is how
    many are in on average when it ends, if one stops at the first look that shows the effect.
    """

    effect: float
    power: float
    customers: int
    control: int
    treatment: int
    stops_at: float

    def days(self, per_day: float, window_days: float = 0) -> int:
        """Return how long it takes, the window of the last customer's outcome included.

        Raises:
            BadRequest: Nobody comes, or the window is negative.
        """
        if not 0 < per_day < math.inf:
            raise BadRequest(f"{per_day:g} customers a day never fill an experiment")
        if not 0 <= window_days < math.inf:
            raise BadRequest(f"the window is {window_days:g} days; it is not negative")
        return math.ceil(self.customers / per_day + window_days)


def power_of(trial: Trial, effect: float, customers: int) -> float:
    """Return how often an effect would be found.

    Args:
        trial: What is known before.
        effect: The difference of the means.
        customers: All customers of all arms.

    Raises:
        BadRequest: There is no effect, or too few customers.

    Example:
        >>> round(power_of(Trial(0.10), 0.02, 7_678), 3)
        0.8
    """
    _checked(effect, customers)
    drift = abs(effect) / math.sqrt(trial.spread(effect) / customers)
    return sum(crossing(trial.looks, trial.limits, drift))


def needed(trial: Trial, effect: float, power: float = 0.8) -> Plan:
    """Return how many customers find an effect so often.

    Raises:
        BadRequest: There is no effect, the power is no probability, or no number of customers would do.

    Example:
        >>> plan = needed(Trial(0.10), 0.02)
        >>> plan.control, plan.treatment, plan.days(per_day=500, window_days=14)
        (3839, 3839, 30)
    """
    _checked(effect, 2)
    drift = _drift(trial, power)
    exact = drift**2 * trial.spread(effect) / effect**2
    if exact > _MOST:
        raise BadRequest(f"an effect of {effect:g} would need {exact:.1e} customers", "ask for a larger one")
    control = math.ceil(exact * trial.control_share)
    treatment = math.ceil(exact * (1 - trial.control_share) / trial.arms)
    customers = control + trial.arms * treatment
    return _plan(trial, effect, customers, control, treatment)


def detectable(trial: Trial, customers: int, power: float = 0.8) -> Plan:
    """Return the smallest rise of the mean that so many customers find so often.

    Raises:
        BadRequest: There are too few customers, the power is no probability, or no rise would be found so often.

    Example:
        >>> round(detectable(Trial(0.10), 7_678).effect, 4)
        0.02
    """
    _checked(1.0, customers)
    drift = _drift(trial, power)

    def short(effect: float) -> float:
        return effect - drift * math.sqrt(trial.spread(effect) / customers)

    if trial.deviation is None:
        least, most = (1 - trial.mean) * 1e-9, (1 - trial.mean) * (1 - 1e-9)
        if short(most) < 0:
            raise BadRequest(f"{customers:,} customers find no rise of a share of {trial.mean:g}", "take more")
        effect = float(brentq(short, least, most))
    else:
        effect = drift * math.sqrt(trial.spread(0.0) / customers)
    control = round(customers * trial.control_share)
    return _plan(trial, effect, customers, control, (customers - control) // trial.arms)


def _plan(trial: Trial, effect: float, customers: int, control: int, treatment: int) -> Plan:
    drift = abs(effect) / math.sqrt(trial.spread(effect) / customers)
    first = crossing(trial.looks, trial.limits, drift)
    found = sum(first)
    stops = sum(p * fraction for p, fraction in zip(first, trial.looks.fractions, strict=True)) + (1 - found)
    return Plan(effect, found, customers, control, treatment, stops * customers)


def _drift(trial: Trial, power: float) -> float:
    """Return how many standard errors of the last look the effect must be."""
    if not trial.alpha < power < 1:
        raise BadRequest(f"the power is {power:g}; it is between the error and 1", "write 0.8")
    limits = trial.limits
    return float(brentq(lambda drift: sum(crossing(trial.looks, limits, drift)) - power, 0.0, 20.0, xtol=1e-8))


def _checked(effect: float, customers: int) -> None:
    if not math.isfinite(effect) or effect == 0:
        raise BadRequest(f"an effect of {effect:g} cannot be found", "say what difference would matter")
    if customers < 2:
        raise BadRequest(f"{customers} customers make no experiment")
