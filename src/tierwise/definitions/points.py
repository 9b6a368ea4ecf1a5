"""What a brand declares about points: what earns them, for how long they wait and last, and what multiplies them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tierwise.definitions.language.times import Duration, parse_date, parse_duration
from tierwise.definitions.model import Expression, Form, Label

__all__ = ["EarnRule", "Multiplier", "PointsProgramme"]

_ROUNDINGS: Final = {"down": ROUND_FLOOR, "nearest": ROUND_HALF_UP, "up": ROUND_CEILING}
_MOST: Final = 10**6


def _decimal(value: object) -> object:
    """A number as YAML writes it, exactly as it is written."""
    if isinstance(value, bool):
        raise ValueError("a number is meant")
    if isinstance(value, int | float | str):
        try:
            found = Decimal(str(value))
        except ArithmeticError:
            raise ValueError(f"`{value}` is no number") from None
        if not found.is_finite() or not 0 < found <= _MOST:
            raise ValueError(f"`{value}` is not between 0 and {_MOST:,}")
        return found
    return value


_Exact = Annotated[Decimal, BeforeValidator(_decimal)]


class EarnRule(Form):
    """Rows of a stream that earn points: `points` for each `per` of an amount, or for each order, row or day.

    Example:
        >>> rule = EarnRule.model_validate({"from": "orders", "amount": "kept_amount", "per": 10, "points": 3})
        >>> rule.earned(Decimal("99.90")), rule.earned(Decimal("9.90"))
        (29, 2)
    """

    from_: str = Field(alias="from")
    where: Expression = ""
    amount: str = ""
    per: _Exact = Decimal(1)
    points: _Exact = Decimal(1)
    round: Literal["down", "nearest", "up"] = "down"
    each: Literal["order", "row", "day"] = "order"
    since: str = ""
    until: str = ""
    label: Label = Label()

    @field_validator("since", "until")
    @classmethod
    def _date(cls, value: str) -> str:
        if value and parse_date(value) is None:
            raise ValueError(f"`{value}` is not a date, written 2026-11-11")
        return value

    @property
    def text(self) -> str:
        """Return what is added up over the rows, in the language of rules."""
        rows = f"{self.from_}.{self.amount}" if self.amount else self.from_
        where = f", where={self.where}" if self.where else ""
        since = f', since="{self.since}"' if self.since else ""
        until = f', until="{self.until}"' if self.until else ""
        return f"{'sum' if self.amount else 'count'}({rows}{where}{since}{until})"

    def earned(self, amount: Decimal, factor: Decimal = Decimal(1)) -> int:
        """Return the whole points for an amount: nothing for one that is not above 0."""
        if amount <= 0:
            return 0
        exact = amount * self.points * factor / self.per
        return int(exact.to_integral_value(rounding=_ROUNDINGS[self.round]))


class Multiplier(Form):
    """What multiplies points: `by` a factor, for whom `when` holds at the time of the row; the rules it is for."""

    by: _Exact
    when: Expression
    rules: tuple[str, ...] = ()
    label: Label = Label()

    @field_validator("rules", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class PointsProgramme(Form):
    """The brand's points: how long they wait and last, what one is worth, who adjusts, what earns them.

    `pending` is the return window; `expires` how long they last once they are available, for ever by default. `worth`
    is what one is worth in the project's currency. Adjustments above `adjust_alone` points need a second person.
    """

    earn: Mapping[str, EarnRule] = Field(default_factory=dict)
    multiply: Mapping[str, Multiplier] = Field(default_factory=dict)
    pending: str = ""
    expires: str = ""
    worth: _Exact | None = None
    adjust_alone: int = Field(default=1000, ge=0)
    label: Label = Label()

    @field_validator("pending", "expires")
    @classmethod
    def _length(cls, value: str) -> str:
        length = parse_duration(value) if value else None
        if value and (length is None or not (length.months or length.micros)):
            raise ValueError(f"`{value}` is not a length of time, written 14d or 1y")
        return value

    @model_validator(mode="after")
    def _known(self) -> PointsProgramme:
        for name, multiplier in self.multiply.items():
            for rule in multiplier.rules:
                if rule not in self.earn:
                    raise ValueError(f"`multiply.{name}` names the rule `{rule}`, which is not under `earn`")
        return self

    @property
    def waits(self) -> Duration | None:
        """Return how long points are pending."""
        return parse_duration(self.pending) if self.pending else None

    @property
    def lasts(self) -> Duration | None:
        """Return how long points last once they are available."""
        return parse_duration(self.expires) if self.expires else None
