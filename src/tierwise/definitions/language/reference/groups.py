"""Functions over a group of customers: from the values of its members to a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tierwise.definitions.language.reference.numbers import exact_sum, mean
from tierwise.definitions.language.typed import GroupOf

__all__ = ["of_group"]


def of_group(node: GroupOf, values: Sequence[Any]) -> Any:
    """Return the function of the node; `values` are those of `x` of all members, missing ones among them."""
    known = [value for value in values if value is not None]
    match node.function:
        case "group_count":
            return len(values) if node.x is None else sum(value is True for value in values)
        case "group_sum":
            return exact_sum(known, node.kind)
        case "group_avg":
            return mean(known)
        case "group_min":
            return min(known, default=None)
        case "group_max":
            return max(known, default=None)
    raise AssertionError(node)
