"""What the last run found: the overview; tiers, segments and tags with their sizes and what they are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastapi import APIRouter, Query

from tierwise.definitions.check import Catalogue, Rule
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.sentences import sentence
from tierwise.definitions.language.treejson import tree_to_json
from tierwise.definitions.language.words import Labels
from tierwise.definitions.lineage import Lineage, lineage
from tierwise.definitions.plain import plain
from tierwise.engine.labels import both, labels_of
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import rows_of

__all__ = ["overview", "router", "segment", "segments", "tag", "tags", "tiering", "tierings"]

router = APIRouter(prefix="/v1", tags=["answers"])
_READ = who_may("answers.read")


@router.get("/overview")
def overview(
    days: int = Query(30, ge=1, le=366, description="so many days are compared with as many before them"),
    caller: Caller = _READ,
) -> dict[str, Any]:
    """Return what a first page shows: customers, sales of the last days, tiers with who came and went, segments."""
    found, hidden = plain(caller.project.browsing.overview(days)), caller.hidden()
    since = found["sales"]["now"]["since"] if found["sales"] else None
    kept = [row for row in found["tierings"] if row["tiering"] not in hidden]
    for row in kept:
        row["flows"] = None if since is None else _flows(caller, row["tiering"], since, found["as_of"])
    return {
        **found,
        "tierings": kept,
        "segments": [row for row in found["segments"] if row["segment"] not in hidden],
        "jobs_at_work": len(caller.project.jobs.list(100, state="running")),
        "jobs_waiting": len(caller.project.jobs.list(100, state="queued")),
    }


@router.get("/tierings")
def tierings(caller: Caller = _READ) -> dict[str, Any]:
    """Return every tier with its labels, how many customers it has, the instant and whether that is fresh."""
    return {"items": _shown(caller, "tiers", "tiering")}


@router.get("/tierings/{name}")
def tiering(name: str, caller: Caller = _READ) -> dict[str, Any]:
    """Return one tiering: its tiers with their rules in words and their sizes, what it reads and what reads it."""
    catalogue = _visible(caller, name, caller.project.catalogue.tierings, "tiering")
    form, labels = catalogue.definitions.tierings[name], labels_of(catalogue)
    sizes = {row["tier"]: row for row in _shown(caller, "tiers", "tiering") if row["tiering"] == name}
    tiers = [
        {
            "tier": tier,
            "label": both(form.tiers[tier].label, tier),
            "rule": _rule(rule, labels),
            "stay": _rule(catalogue.stays[name][tier], labels) if tier in catalogue.stays.get(name, {}) else None,
            **{column: sizes.get(tier, {}).get(column) for column in ("customers", "share", "as_of", "state")},
        }
        for tier, rule in catalogue.tierings[name].items()
    ]
    about = {"name": name, "label": both(form.label, name), "about": form.about, "ordered": form.ordered}
    keep = None if form.keep is None else form.keep.model_dump(mode="json")
    return plain({**about, "keep": keep, "tiers": tiers, **_lineage(caller, name)})  # type: ignore[no-any-return]


@router.get("/segments")
def segments(caller: Caller = _READ) -> dict[str, Any]:
    """Return every segment with its labels, how many customers it has, the instant and whether that is fresh."""
    return {"items": _shown(caller, "segments", "segment")}


@router.get("/segments/{name}")
def segment(name: str, caller: Caller = _READ) -> dict[str, Any]:
    """Return one segment: its rule in words and as a tree, its size, what it reads and what reads it."""
    catalogue = _visible(caller, name, caller.project.catalogue.segments, "segment")
    form = catalogue.definitions.segments[name]
    (size,) = [row for row in _shown(caller, "segments", "segment") if row["segment"] == name]
    about = {"name": name, "label": both(form.label, name), "about": form.about, "list": form.list or None}
    rule = None if form.list else _rule(catalogue.segments[name], labels_of(catalogue))
    kept = {column: size[column] for column in ("customers", "share", "as_of", "state")}
    return plain({**about, "rule": rule, **kept, **_lineage(caller, name)})  # type: ignore[no-any-return]


@router.get("/tags")
def tags(caller: Caller = _READ) -> dict[str, Any]:
    """Return every tag with its kind, labels, expression, how many customers it is known of, its range, its lineage."""
    catalogue, found = caller.project.catalogue, []
    lines = lineage(catalogue)
    for row in _shown(caller, "tags", "tag"):
        name = row["tag"]
        form = catalogue.definitions.tags[name]
        said = {"value": catalogue.tags[name].text, "unit": form.unit, "about": form.about}
        found.append({**row, **said, **_lineage(caller, name, lines)})
    return {"items": found}


@router.get("/tags/{name}")
def tag(name: str, caller: Caller = _READ) -> dict[str, Any]:
    """Return one tag: its expression in words, how its values are spread over the customers, its lineage."""
    catalogue = _visible(caller, name, caller.project.catalogue.tags, "tag")
    form = catalogue.definitions.tags[name]
    about = {"name": name, "label": both(form.label, name), "about": form.about, "unit": form.unit}
    about |= {
        "sensitive": sorted(catalogue.sensitive[name]),
        "value": _rule(catalogue.tags[name], labels_of(catalogue)),
    }
    return plain({**about, **caller.project.browsing.spread(name), **_lineage(caller, name)})  # type: ignore[no-any-return]


def _flows(caller: Caller, tiering: str, since: str, until: str) -> list[dict[str, Any]] | None:
    """Return who went where between two instants; nothing where the history does not reach back so far."""
    try:
        return rows_of(caller.project.history.migration(tiering, since, until))
    except (BadRequest, UnknownName):
        return None


def _shown(caller: Caller, what: str, name: str) -> list[dict[str, Any]]:
    hidden = caller.hidden()
    return [row for row in rows_of(caller.project.show(what)) if row[name] not in hidden]


def _visible(caller: Caller, name: str, known: Collection[str], what: str) -> Catalogue:
    """Return the catalogue, if whoever asks may see the name.

    Raises:
        UnknownName: when it is not there, or not for them.
    """
    names = [one for one in known if one not in caller.hidden()]
    if name not in names:
        raise UnknownName(f"there is no {what} `{name}`", near_name(name, names))
    return caller.project.catalogue


def _rule(rule: Rule, labels: Labels) -> dict[str, Any]:
    """Return a rule as text, as a tree and as sentences; the last tier's takes everyone."""
    if rule.node is None:
        return {"text": rule.text, "tree": None, "sentence": {"zh": "其余客户", "en": "everybody else"}}
    said = {"zh": sentence(rule.node, "zh", labels), "en": sentence(rule.node, "en", labels)}
    return {"text": print_tree(rule.node), "tree": tree_to_json(rule.node), "sentence": said}


def _lineage(caller: Caller, name: str, lines: Mapping[str, Lineage] | None = None) -> dict[str, Any]:
    """Return what a definition reads and what reads it, as far as whoever asks may see it."""
    found, hidden = (lines or lineage(caller.project.catalogue))[name], caller.hidden()
    reads = {
        "streams": list(found.streams),
        "attributes": list(found.attributes),
        "parameters": list(found.parameters),
        "definitions": [one for one in found.definitions if one not in hidden],
        "history": [one for one in found.history if one not in hidden],
    }
    return {"reads": reads, "used_by": [one for one in found.used_by if one not in hidden]}
