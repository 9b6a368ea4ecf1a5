"""The one way a customer falls by chance into a share: for samples, variants and holdouts alike."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Final

from tierwise.errors import BadRequest

__all__ = [
    "BUCKETS",
    "HELD",
    "HEX_DIGITS",
    "Assignment",
    "Drawn",
    "Lasting",
    "Slice",
    "Split",
    "bucket",
    "bucket_number",
    "buckets_in",
]

#: How many of the digest's hexadecimal digits count.
HEX_DIGITS: Final = 13
#: How many buckets there are.
BUCKETS: Final = 16**HEX_DIGITS
#: Why a customer is in no variant: held out of everything, taken by another of the layer, or held out of this one.
HELD: Final = ("lasting", "layer", "holdout")


def bucket_number(customer_id: int, salt: str) -> int:
    """Return the customer's bucket as a whole number from 0 to 16^13 - 1.

    Example:
        >>> bucket_number(42, "s")
        1702284123601203
    """
    digest = hashlib.md5(f"{salt}|{customer_id}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:HEX_DIGITS], 16)


def bucket(customer_id: int, salt: str) -> float:
    """Return the customer's bucket as a number in [0, 1).

    Example:
        >>> round(bucket(42, "s"), 6)
        0.377983
    """
    return bucket_number(customer_id, salt) / BUCKETS


def buckets_in(share: Decimal) -> int:
    """Return how many buckets a share takes: those with a number below this are in it.

    Example:
        >>> buckets_in(Decimal("0.5")) * 2 == BUCKETS
        True
    """
    return math.ceil(share * BUCKETS)


@dataclass(frozen=True)
class Split:
    """Names with weights under one salt: every customer falls into exactly one.

    Example:
        >>> split = Split("welcome", {"mail": 3, "none": 1})
        >>> [split.of(customer) for customer in range(1, 6)]
        ['mail', 'mail', 'none', 'mail', 'mail']

    Raises:
        BadRequest: There is no name, or a weight is not above 0.
    """

    salt: str
    weights: Mapping[str, Decimal | int]

    def __post_init__(self) -> None:
        if not self.weights:
            raise BadRequest("there is nothing to draw from", "name at least one variant")
        for name, weight in self.weights.items():
            if not Decimal(weight).is_finite() or weight <= 0:
                raise BadRequest(f"the weight of `{name}` is {weight}; it is above 0", "leave it out")

    def of(self, customer_id: int) -> str:
        """Return the name a customer falls into."""
        names, edges = self._edges
        return names[bisect_right(edges, bucket_number(customer_id, self.salt))]

    @cached_property
    def _edges(self) -> tuple[list[str], list[int]]:
        """Return the names, and the bucket at which each but the first begins."""
        total = sum(Fraction(weight) for weight in self.weights.values())
        reached, edges = Fraction(0), []
        for weight in list(self.weights.values())[:-1]:
            reached += Fraction(weight) / total
            edges.append(math.ceil(reached * BUCKETS))
        return list(self.weights), edges


@dataclass(frozen=True, slots=True)
class Lasting:
    """A share of all customers who are left alone by everything, for a period that `name` names.

    A new name draws anew; a larger share under the same name holds everybody that the smaller one held.
    """

    share: Decimal
    name: str = "all"

    def holds(self, customer_id: int) -> bool:
        """Return whether a customer is left alone."""
        return bucket_number(customer_id, f"holdout:{self.name}") < buckets_in(self.share)


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a layer, from one share to another: who takes one part of a layer takes no other.

    Layers are independent of each other: what is tried in one meets every variant of the others alike.
    """

    layer: str
    start: Decimal = Decimal(0)
    end: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= 1:
            raise BadRequest(f"{self.start} to {self.end} is no part of the layer `{self.layer}`", "write 0 to 0.5")

    def takes(self, customer_id: int) -> bool:
        """Return whether a customer is in this part."""
        number = bucket_number(customer_id, f"layer:{self.layer}")
        return buckets_in(self.start) <= number < buckets_in(self.end)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where a customer was put: a variant, or nowhere and why (one of `HELD`)."""

    variant: str = ""
    held: str = ""


@dataclass(frozen=True)
class Assignment:
    """How a campaign or an experiment puts customers into its variants.

    In this order: who is held out of everything, who is another's in the layer, who is this one's own holdout; the
    rest falls into the variants. Each draw has a salt of its own, so none says anything about another, and the same
    customer always falls to the same place, whoever else is asked.

    Example:
        >>> assignment = Assignment("welcome", {"mail": 1, "sms": 1}, holdout=Decimal("0.2"))
        >>> [(drawn.variant or drawn.held) for drawn in map(assignment.of, range(1, 6))]
        ['holdout', 'sms', 'holdout', 'mail', 'mail']
    """

    name: str
    variants: Mapping[str, Decimal | int]
    holdout: Decimal = Decimal(0)
    lasting: Lasting | None = None
    part: Slice | None = None
    _split: Split = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shares = {"holdout": self.holdout} | ({"lasting holdout": self.lasting.share} if self.lasting else {})
        for what, share in shares.items():
            if not 0 <= share < 1:
                raise BadRequest(f"the {what} is {share}; it is a share below 1", "write 0.1")
        object.__setattr__(self, "_split", Split(f"variant:{self.name}", self.variants))

    def of(self, customer_id: int) -> Drawn:
        """Return where a customer falls."""
        if self.lasting is not None and self.lasting.holds(customer_id):
            return Drawn(held="lasting")
        if self.part is not None and not self.part.takes(customer_id):
            return Drawn(held="layer")
        if self.holdout and bucket_number(customer_id, f"holdout:{self.name}") < buckets_in(self.holdout):
            return Drawn(held="holdout")
        return Drawn(self._split.of(customer_id))
