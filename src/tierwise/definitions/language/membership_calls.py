"""How calls about memberships are checked: segments, tiers, samples."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from tierwise.definitions.assignment import buckets_in
from tierwise.definitions.language.kinds import BOOLEAN, INSTANT, INTEGER, list_of, tier_of
from tierwise.definitions.language.next_tier import to_next
from tierwise.definitions.language.nodes import Call, Literal
from tierwise.definitions.language.typed import Apply, BucketOf, Const, Expr, HistoryOf, SegmentOf, TierOf
from tierwise.definitions.language.written import duration, name_argument, under

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker

__all__ = ["check_membership"]


def check_membership(checker: Checker, node: Call, address: str) -> Expr | None:
    """Return the checked call of a function about memberships, or None after reporting."""
    scope = checker.scope
    if node.function in ("entered", "left") and _is_of_segment(checker, node):
        return _of_segment(checker, node, address)
    if node.function == "sample":
        return _sample(checker, node, address)
    first = under(address, "args.0")
    if node.function == "segment":
        segment = name_argument(checker, node, 0, first, dict.fromkeys(scope.segments), "segment")
        return None if segment is None else SegmentOf(segment, kind=BOOLEAN, address=address)
    tiering = name_argument(checker, node, 0, first, scope.tierings, "tiering")
    if tiering is None:
        return None
    tier = TierOf(tiering, kind=tier_of(tiering), address=address)
    if node.function == "tier":
        return tier
    names = scope.tierings[tiering]
    if node.function in ("was_tier", "tier_since", "entered", "left"):
        return _of_tiering(checker, node, tiering, address)
    if not names.ordered:
        checker.report(
            node,
            address,
            "kind",
            f"the tiers of `{tiering}` have no rank",
            "declare `ordered: true` in the tiering, best tier first",
        )
        return None
    if node.function == "to_next":
        return to_next(checker, node, tier, names, address)
    name = name_argument(checker, node, 1, under(address, "args.1"), names.tiers, "tier")
    if name is None:
        return None
    reached = names.tiers[: names.tiers.index(name) + 1]
    listed = Const(reached, kind=list_of(tier.kind), address=under(address, "args.1"))
    return Apply("in", (replace(tier, address=first), listed), kind=BOOLEAN, address=address)


def _is_of_segment(checker: Checker, node: Call) -> bool:
    """Whether ``entered`` or ``left`` is asked of a segment: of all that is not a tiering, so that its name is near."""
    first = node.args[0]
    return not (isinstance(first, Literal) and first.value in checker.scope.tierings)


def _of_segment(checker: Checker, node: Call, address: str) -> Expr | None:
    known = dict.fromkeys((*checker.scope.segments, *checker.scope.tierings))
    segment = name_argument(checker, node, 0, under(address, "args.0"), known, "segment or tiering")
    if len(node.args) > 1:
        message = "only a tiering has tiers"
        checker.report(node.args[1], under(address, "args.1"), "argument", message, f'write {node.function}("vips")')
        return None
    within = duration(checker, node.option("within"), under(address, "within"), "within")
    if segment is None or (within is None and node.option("within") is not None):
        return None
    return HistoryOf(node.function, "segment", segment, "in", within, kind=BOOLEAN, address=address)


def _of_tiering(checker: Checker, node: Call, tiering: str, address: str) -> Expr | None:
    if node.function == "tier_since":
        return HistoryOf(node.function, "tier", tiering, kind=INSTANT, address=address)
    if len(node.args) < 2:
        message = f"{node.function}() of a tiering is about one of its tiers"
        checker.report(node, address, "argument", message, f'write {node.function}("{tiering}", "…")')
        return None
    tiers = checker.scope.tierings[tiering].tiers
    tier = name_argument(checker, node, 1, under(address, "args.1"), tiers, "tier")
    within = duration(checker, node.option("within"), under(address, "within"), "within")
    if tier is None or (within is None and node.option("within") is not None):
        return None
    return HistoryOf(node.function, "tier", tiering, tier, within, kind=BOOLEAN, address=address)


def _sample(checker: Checker, node: Call, address: str) -> Expr | None:
    share, salt = node.args[0], node.option("salt")
    value = share.value if isinstance(share, Literal) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= 1:
        checker.report(share, under(address, "args.0"), "argument", "the share of a sample is a number from 0 to 1")
        return None
    if not (isinstance(salt, Literal) and isinstance(salt.value, str) and salt.value):
        message = "`salt=` is a text of your own, in quotes: the same text draws the same customers"
        checker.report(node, under(address, "salt"), "argument", message, 'write sample(0.1, salt="spring")')
        return None
    number = BucketOf(salt.value, kind=INTEGER, address=address)
    return Apply("<", (number, Const(buckets_in(Decimal(value)), kind=INTEGER)), kind=BOOLEAN, address=address)
