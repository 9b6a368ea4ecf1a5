"""What the tierings that remember read: the streams whose rows can change them, and what they must not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tierwise.definitions.language.typed import (
    Aggregate,
    Apply,
    AsOf,
    AttributeOf,
    BucketOf,
    ColumnOf,
    Const,
    Expr,
    Followed,
    HistoryOf,
    ParameterOf,
    RelatedOf,
    SegmentOf,
    TagOf,
    TierOf,
    walk_typed,
)
from tierwise.definitions.load import Definitions
from tierwise.errors import Problem

__all__ = ["Reads", "forgetful", "read_by"]

#: What can be answered at any past instant from rows and definitions alone.
_FROM_ROWS: Final = (
    Aggregate, Apply, AsOf, AttributeOf, BucketOf, ColumnOf, Const, Followed, ParameterOf, RelatedOf, SegmentOf, TagOf,
    TierOf,
)  # fmt: skip


@dataclass
class Reads:
    """Everything some expressions read, through all the names in between.

    `outside` is the first node met whose answer depends on more than rows and definitions.
    """

    streams: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    outside: Expr | None = None


def read_by(written: Mapping[str, Sequence[Expr]], expressions: Sequence[Expr]) -> Reads:
    """Return what expressions read, directly or by the definitions they name.

    Args:
        written: the expressions of every tag, segment and tiering by name.
        expressions: where to begin.

    Example:
        >>> from tierwise.definitions.language.kinds import INTEGER
        >>> written = {"n": [Aggregate("count", "orders", kind=INTEGER)]}
        >>> read_by(written, [TagOf("n", kind=INTEGER)]).streams
        {'orders'}
    """
    found = Reads()
    for node in _reached(written, expressions):
        match node:
            case Aggregate(stream=stream):
                found.streams.add(stream)
            case Followed(steps=steps, without=without):
                found.streams |= {step.stream for step in (*steps, *([without] if without is not None else []))}
            case AttributeOf(name):
                found.attributes.add(name)
        if not isinstance(node, _FROM_ROWS) and found.outside is None:
            found.outside = node
    return found


def _reached(written: Mapping[str, Sequence[Expr]], expressions: Sequence[Expr]) -> Iterator[Expr]:
    pending, seen = list(expressions), set[str]()
    while pending:
        for node in walk_typed(pending.pop()):
            yield node
            match node:
                case TagOf(name) | SegmentOf(name) | TierOf(name) if name not in seen:
                    seen.add(name)
                    pending += written.get(name, ())


def forgetful(definitions: Definitions, written: Mapping[str, Mapping[str, Expr]]) -> list[Problem]:
    """Return the problems of tierings that remember: rules whose past answers cannot be worked out from the rows.

    Args:
        definitions: what was declared.
        written: the checked expressions of every tag, segment and tiering, by name and then by path.
    """
    problems = []
    by_name = {name: list(expressions.values()) for name, expressions in written.items()}
    for name, form in definitions.tierings.items():
        if not form.remembers:
            continue
        if len(form.tiers) == 1:
            path = f"tierings.{name}.tiers"
            message = f"`{name}` has one tier, so there is nothing to remember"
            problems.append(Problem("programme", message, definitions.place(path), "add a tier above `otherwise`"))
        for path, expression in written.get(name, {}).items():
            outside = read_by(by_name, [expression]).outside
            if outside is None:
                continue
            what = "reads recorded history" if isinstance(outside, HistoryOf) else "compares with other customers"
            message = (
                f"a rule of `{name}`, which remembers, {what}: what it was at every past instant depends on "
                "when it was run"
            )
            hint = "write the threshold as a number or a parameter; a tiering without `keep:` and `stay:` may compare"
            problems.append(Problem("programme", message, definitions.place(path), hint))
    return problems
