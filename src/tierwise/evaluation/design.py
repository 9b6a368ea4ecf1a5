"""What an experiment is about: its arms, what is compared between them, and how often one looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.evaluation.sequential import Looks

__all__ = ["CORRECTIONS", "Design", "Metric", "read_metric"]

#: How several comparisons are allowed for: none is wrong, or few of those that are found are.
CORRECTIONS: Final = ("holm", "benjamini_hochberg", "none")


@dataclass(frozen=True, slots=True)
class Metric:
    """What is compared: the mean of a column or, with `over`, the sum of a column over the sum of another.

    `covariate` (and `covariate_over`) is the same as it was of each customer before the experiment: what it explains
    is taken off (CUPED; Deng, Xu, Kohavi and Walker, WSDM 2013). Of a `guardrail` less is better, and only harm counts.
    """

    value: str
    over: str = ""
    covariate: str = ""
    covariate_over: str = ""
    guardrail: bool = False

    @property
    def name(self) -> str:
        """Return how it is called."""
        return f"{self.value}/{self.over}" if self.over else self.value

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns it is made of."""
        return tuple(name for name in (self.value, self.over, self.covariate, self.covariate_over) if name)


def read_metric(text: str, columns: Sequence[str], *, guardrail: bool = False) -> Metric:
    """Return a metric as it is written: ``column``, ``column/column``, and ``~`` before what was known earlier.

    Raises:
        BadRequest: It cannot be understood.
        UnknownName: A column is not there.

    Example:
        >>> read_metric("spend / orders ~ spend_before / orders_before", ["spend", "orders", "spend_before",
        ... "orders_before"]).name
        'spend/orders'
    """
    sides = [text.strip()] if text.strip() in columns else [side.strip() for side in text.split("~")]
    if len(sides) > 2:
        raise BadRequest(f"`{text}` has more than one `~`", "write outcome ~ covariate")
    named = [_ratio(side, text, columns) for side in sides]
    value, over = named[0]
    before, before_over = named[1] if len(named) == 2 else ("", "")
    if before and bool(over) != bool(before_over):
        raise BadRequest(
            f"of `{text}` one side is a ratio and the other is not", "write spend/orders ~ spend_before/orders_before"
        )
    return Metric(value, over, before, before_over, guardrail)


def _ratio(side: str, text: str, columns: Sequence[str]) -> tuple[str, str]:
    parts = [side] if side in columns else [part.strip() for part in side.split("/")]
    if len(parts) > 2 or not all(parts):
        raise BadRequest(f"`{text}` is no metric", "write column, column/column or column ~ column")
    for part in parts:
        if part not in columns:
            raise UnknownName(f"there is no column `{part}`", near_name(part, columns))
    return parts[0], parts[1] if len(parts) == 2 else ""


@dataclass(frozen=True, slots=True)
class Design:
    """An experiment: which columns say what, and what was planned.

    `arm` is the column of the assignment and `control` the arm the others are compared with. `shares` are the planned
    weights of the arms, equal where nothing is said. `looks` are planned looks and `look` which one this is, from 1.
    The other columns are optional: `unit` (whose row it is), `assigned_at`, `exposed_at`, `messaged` (whether the
    customer was sent something) and `window` (for how long the outcome was observed, in any unit).
    """

    arm: str
    control: str
    metrics: tuple[Metric, ...]
    shares: Mapping[str, float] = field(default_factory=dict)
    alpha: float = 0.05
    correction: str = "holm"
    looks: Looks | None = None
    look: int = 0
    unit: str = ""
    assigned_at: str = ""
    exposed_at: str = ""
    messaged: str = ""
    window: str = ""

    def __post_init__(self) -> None:
        if not self.metrics:
            raise BadRequest("there is no metric", "name what is compared")
        names = [metric.name for metric in self.metrics]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadRequest(f"`{twice[0]}` is a metric twice")
        if not 0 < self.alpha < 0.5:
            raise BadRequest(f"the error is {self.alpha:g}; it is between 0 and 0.5", "write 0.05")
        if self.correction not in CORRECTIONS:
            hint = near_name(self.correction, CORRECTIONS)
            raise BadRequest(f"several comparisons cannot be allowed for by `{self.correction}`", hint)
        if self.looks is not None and not 1 <= self.look <= len(self.looks.fractions):
            raise BadRequest(f"this is look {self.look}; {len(self.looks.fractions)} are planned", "count from 1")
        if self.looks is None and self.look:
            raise BadRequest(f"this is look {self.look}, but no looks are planned", "say how many were planned")
        if any(not 0 < share < float("inf") for share in self.shares.values()):
            raise BadRequest("a planned share is not above 0", "leave an arm out that gets nobody")

    @property
    def columns(self) -> tuple[str, ...]:
        """Return every column that is read, each once."""
        named = [self.arm, *(name for metric in self.metrics for name in metric.columns)]
        named += [self.unit, self.assigned_at, self.exposed_at, self.messaged, self.window]
        return tuple(dict.fromkeys(name for name in named if name))
