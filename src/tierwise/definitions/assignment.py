"""The one way a customer falls by chance into a share: for samples, variants and holdouts alike."""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal
from typing import Final

__all__ = ["BUCKETS", "HEX_DIGITS", "bucket", "bucket_number", "buckets_in"]

#: How many of the digest's hexadecimal digits count.
HEX_DIGITS: Final = 13
#: How many buckets there are.
BUCKETS: Final = 16**HEX_DIGITS


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
