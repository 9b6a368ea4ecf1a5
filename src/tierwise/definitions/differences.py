"""How two states of the definitions differ: what is new, gone, written otherwise, or reads something that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.nodes import Node, Parameter, walk
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.typed import SegmentOf, TagOf, TierOf, walk_typed
from tierwise.definitions.model import OTHERWISE

__all__ = ["Difference", "Part", "differences"]

_SECTIONS: Final = {
    "tags": "tag",
    "tierings": "tiering",
    "segments": "segment",
    "parameters": "parameter",
    "lookups": "lookup",
    "streams": "stream",
    "sources": "source",
}
_EXPRESSIONS: Final = ("value", "rule", "stay")
_COMPUTED: Final = ("tag", "tiering", "segment")


@dataclass(frozen=True, slots=True)
class Part:
    """One part that is written otherwise: its path in the definition, what stood there and what does; "" is nothing.

    The nodes are the trees of a part that is an expression.
    """

    path: str
    was: str
    text: str
    was_node: Node | None = None
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One definition that differs.

    `change` is ``new``, ``deleted``, ``changed``, or ``affected``: written as before, but something it reads is not.
    `because` names what that is. `recomputes` says whether its answers may be others.
    """

    kind: str
    name: str
    change: str
    parts: tuple[Part, ...] = ()
    because: tuple[str, ...] = ()
    recomputes: bool = True


def differences(old: Catalogue, new: Catalogue) -> list[Difference]:
    """Return every definition that differs, tags first, each kind in the order in which it is declared now.

    Example:
        >>> from tierwise.definitions.check import check
        >>> from tierwise.definitions.load import define
        >>> def checked(rule):
        ...     return check(define("shop", tags={"n": "count(orders)"}, segments={"busy": rule})[0])[0]
        >>> [(d.name, d.change, d.parts[0].was, d.parts[0].text) for d in differences(checked("n>3"), checked("n > 5"))]
        [('busy', 'changed', 'n > 3', 'n > 5')]
    """
    before, after = old.definitions.written, new.definitions.written
    found = []
    for section, kind in _SECTIONS.items():
        was, is_ = dict(before.get(section, ())), dict(after.get(section, ()))
        for name in (*is_, *(name for name in was if name not in is_)):
            if name not in was or name not in is_:
                parts = tuple(_parts(kind, was.get(name, {}), is_.get(name, {})))
                found.append(Difference(kind, name, "deleted" if name in was else "new", parts))
                continue
            moved = kind not in _COMPUTED or old.digests[name] != new.digests[name]
            parts = tuple(_parts(kind, was[name], is_[name]))
            if parts:
                found.append(Difference(kind, name, "changed", parts, recomputes=moved))
            elif moved and kind in _COMPUTED:
                found.append(Difference(kind, name, "affected", because=_because(old, new, name)))
    return found + _settings(before["settings"], after["settings"])


def _settings(was: Mapping[str, Any], is_: Mapping[str, Any]) -> list[Difference]:
    names = [name for name in dict.fromkeys((*was, *is_)) if was.get(name) != is_.get(name)]
    said = [Part("", _said(was.get(name)), _said(is_.get(name))) for name in names]
    return [Difference("setting", name, "changed", (part,)) for name, part in zip(names, said, strict=True)]


def _parts(kind: str, was: Mapping[str, Any], is_: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the parts that differ; an expression that is only spaced otherwise does not."""
    before, after = dict(_leaves(was)), dict(_leaves(is_))
    for path in dict.fromkeys((*after, *before)):
        one, other = before.get(path, ""), after.get(path, "")
        if kind in _COMPUTED and path.rpartition(".")[2] in _EXPRESSIONS:
            one_node, other_node = _tree(one), _tree(other)
            one = print_tree(one_node) if one_node is not None else one
            other = print_tree(other_node) if other_node is not None else other
            if one != other:
                yield Part(path, one, other, one_node, other_node)
        elif one != other:
            yield Part(path, one, other)
    if kind == "tiering":
        yield from _order(was, is_)


def _order(was: Mapping[str, Any], is_: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the order of the tiers both have, when it is another one: the first match wins."""
    one, other = was.get("tiers", {}), is_.get("tiers", {})
    before, after = [tier for tier in one if tier in other], [tier for tier in other if tier in one]
    if before != after:
        yield Part("tiers", ", ".join(before), ", ".join(after))


def _leaves(form: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in form.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", _said(value)


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _tree(text: str) -> Node | None:
    return parse(text) if text and text.strip() != OTHERWISE else None


def _because(old: Catalogue, new: Catalogue, name: str) -> tuple[str, ...]:
    """Return what a definition reads directly that has another hash, or another default."""
    rules = [*new.tierings.get(name, {}).values()]
    rules += [section[name] for section in (new.tags, new.segments) if name in section]
    found: dict[str, None] = {}
    for rule in rules:
        for part in walk_typed(rule.expr) if rule.expr is not None else ():
            match part:
                case TagOf(read) | SegmentOf(read) | TierOf(read):
                    if old.digests.get(read) != new.digests[read]:
                        found[read] = None
        for _, node in walk(rule.node) if rule.node is not None else ():
            if isinstance(node, Parameter) and old.parameters.get(node.name) != new.parameters[node.name]:
                found[node.name] = None
    return tuple(found)
