"""What each definition reads: which of them other rows, or other definitions, can give another answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.typed import (
    Aggregate,
    AttributeOf,
    Expr,
    Followed,
    SegmentOf,
    TagOf,
    TierOf,
    walk_typed,
)

__all__ = ["reading", "reading_streams", "streams_read"]


def reading_streams(catalogue: Catalogue, streams: Collection[str]) -> list[str]:
    """Return the tags, tierings and segments that read rows of some streams, themselves or through what they name.

    Args:
        catalogue: the checked definitions.
        streams: names of streams.
    """
    written = catalogue.written
    own = [name for name, rules in written.items() if not streams_read(rules).isdisjoint(streams)]
    return reading(catalogue, own)


def reading(catalogue: Catalogue, names: Iterable[str]) -> list[str]:
    """Return some names and all that read them, in the order in which results have them."""
    read_by: dict[str, set[str]] = {}
    for name, rules in catalogue.written.items():
        for read in _names(rules):
            read_by.setdefault(read, set()).add(name)
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += read_by.get(name, ())
    return [name for name in (*catalogue.tags, *catalogue.tierings, *catalogue.segments) if name in found]


def streams_read(rules: Iterable[Expr]) -> set[str]:
    """Return the streams whose rows some expressions read; attributes stand in those of customers."""
    found: set[str] = set()
    for rule in rules:
        for part in walk_typed(rule):
            if isinstance(part, Aggregate):
                found.add(part.stream)
            elif isinstance(part, Followed):
                steps = (*part.steps, *([part.without] if part.without is not None else []))
                found |= {step.stream for step in steps}
            elif isinstance(part, AttributeOf):
                found.add("customers")
    return found


def _names(rules: Iterable[Expr]) -> Iterator[str]:
    for rule in rules:
        for part in walk_typed(rule):
            if isinstance(part, TagOf | SegmentOf):
                yield part.name
            elif isinstance(part, TierOf):
                yield part.tiering
