"""Whether a tiering tells what customers will be worth: how it shares out what came later, and better thresholds.

In reading order: `sharing` (who brings how much: Lorenz, Gini), `judging` (a tiering against the time after it, with
intervals and one score), `drift` (how much inputs and tiers move), `rules` (the numbers in a tiering's rules),
`thresholds` (other numbers that would have done better).
"""

from tierwise.value.tiers.drift import Migration, drift, migration
from tierwise.value.tiers.judging import Difference, Judgement, Step, TierWorth, compare, judge
from tierwise.value.tiers.rules import Rules, Threshold
from tierwise.value.tiers.sharing import concentration
from tierwise.value.tiers.thresholds import Found, better_thresholds

__all__ = [
    "Difference",
    "Found",
    "Judgement",
    "Migration",
    "Rules",
    "Step",
    "Threshold",
    "TierWorth",
    "better_thresholds",
    "compare",
    "concentration",
    "drift",
    "judge",
    "migration",
]
