"""What each tag, tiering and segment reads, and what reads it: the way from rows to answers, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.typed import (
    Aggregate,
    AttributeOf,
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

__all__ = ["Lineage", "lineage"]


@dataclass(frozen=True)
class Lineage:
    """What one definition reads by itself: streams, attributes, parameters and other definitions; and who reads it.

    `history` are the definitions whose recorded past it reads.
    """

    streams: tuple[str, ...]
    attributes: tuple[str, ...]
    parameters: tuple[str, ...]
    definitions: tuple[str, ...]
    history: tuple[str, ...]
    used_by: tuple[str, ...] = ()


def lineage(catalogue: Catalogue) -> Mapping[str, Lineage]:
    """Return the lineage of every tag, tiering and segment.

    Example:
        >>> from tierwise.definitions.check import check
        >>> from tierwise.definitions.load import define
        >>> definitions, _ = define("shop", tags={"n": "count(orders)", "busy": "n > 3"})
        >>> catalogue, _ = check(definitions)
        >>> found = lineage(catalogue)
        >>> found["n"].streams, found["n"].used_by, found["busy"].definitions
        (('orders',), ('busy',), ('n',))
    """
    reads = {name: _reads(rules) for name, rules in catalogue.written.items()}
    used: dict[str, dict[str, None]] = {name: {} for name in reads}
    for reader, found in reads.items():
        for name in (*found["definitions"], *found["history"]):
            used.get(name, {})[reader] = None
    return {
        name: Lineage(**{what: tuple(names) for what, names in found.items()}, used_by=tuple(used[name]))
        for name, found in reads.items()
    }


def _reads(rules: list[Expr]) -> dict[str, dict[str, None]]:
    found: dict[str, dict[str, None]] = {
        what: {} for what in ("streams", "attributes", "parameters", "definitions", "history")
    }
    for rule in rules:
        for part in walk_typed(rule):
            for what, name in _names(part):
                found[what][name] = None
    return found


def _names(part: Expr) -> Iterator[tuple[str, str]]:
    match part:
        case Aggregate(stream=stream):
            yield "streams", stream
        case RelatedOf(rows=rows):
            yield "streams", rows.stream
        case Followed(steps=steps, without=without):
            yield from (("streams", step.stream) for step in steps)
            if without is not None:
                yield "streams", without.stream
        case AttributeOf(name=name):
            yield "attributes", name
        case ParameterOf(name=name):
            yield "parameters", name
        case TagOf(name=name) | SegmentOf(name=name) | TierOf(tiering=name):
            yield "definitions", name
        case HistoryOf(name=name):
            yield "history", name
