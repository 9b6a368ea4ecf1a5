"""The bucket that chance puts a customer into, in SQL: the same number as `definitions.assignment` gives."""

from __future__ import annotations

from sqlglot import exp

from tierwise.definitions.assignment import HEX_DIGITS
from tierwise.definitions.language.typed import BucketOf
from tierwise.engine.sql import cast, fn, number, text

__all__ = ["bucket_of"]


def bucket_of(expr: BucketOf, customer_id: exp.Expression) -> exp.Expression:
    """Return the number of a customer's bucket."""
    digest = fn("md5", fn("concat", text(f"{expr.salt}|"), cast(customer_id, "VARCHAR")))
    return cast(fn("concat", text("0x"), fn("substr", digest, number(1), number(HEX_DIGITS))), "BIGINT")
