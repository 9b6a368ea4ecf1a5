"""What the membership log says strictly before an instant, told from its entries one after another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from tierwise.definitions.language.reference.world import Change, Moment
from tierwise.definitions.language.typed import HistoryOf, Value

__all__ = ["history"]


def history(node: HistoryOf, changes: Sequence[Change], now: Moment) -> Value:
    """Return what the node asks of a customer's entries, which stand in any order."""
    known = [c for c in changes if (c.kind, c.name) == (node.of, node.name) and c.at < now.as_of]
    known.sort(key=lambda change: (change.at, change.seq))
    since = datetime.min if node.within is None else now.zone.add(now.as_of, node.within, -1)
    match node.function:
        case "tier_since":
            return known[-1].at if known else None
        case "was_tier":
            spells = pairwise([*((change.into, change.at) for change in known), ("", now.as_of)])
            return any(tier == node.value and at < until and until > since for (tier, at), (_, until) in spells)
    moved = [c for c in known if c.cause != "first_run" and c.at > since]
    if node.function == "entered":
        return any(change.into == node.value != change.was for change in moved)
    return any(change.was == node.value != change.into for change in moved)
