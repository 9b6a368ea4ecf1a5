"""Expressions of the language: read, written, described, counted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.functions import FUNCTIONS
from tierwise.definitions.language.nodes import Node, walk
from tierwise.definitions.language.parser import SyntaxProblem, parse
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.sentences import sentence
from tierwise.definitions.language.treejson import tree_from_json, tree_to_json
from tierwise.definitions.plain import plain
from tierwise.engine.labels import labels_of
from tierwise.errors import DefinitionsInvalid, Forbidden
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import Body

__all__ = ["Written", "check", "estimate", "language", "refuse_hidden", "router"]

router = APIRouter(prefix="/v1", tags=["expressions"])
_READ = who_may("definitions.read")


class Written(Body):
    """An expression, as text or as a tree."""

    text: str | None = Field(None, max_length=20_000, examples=["spend_365d > 1000"])
    tree: dict[str, Any] | None = None


@router.post("/expressions/check")
def check(written: Written, caller: Caller = _READ) -> dict[str, Any]:
    """Return an expression in every form: canonical text, tree, sentences, kind; and what is wrong with it."""
    catalogue = caller.project.catalogue
    try:
        node = _node(written)
    except SyntaxProblem as error:
        return {"valid": False, "problems": [error.problem.as_json()]}
    text = print_tree(node)
    labels = labels_of(catalogue)
    said = {"text": text, "tree": tree_to_json(node)}
    said |= {"sentence": {"zh": sentence(node, "zh", labels), "en": sentence(node, "en", labels)}}
    try:
        _, expr = catalogue.expression(written.text if written.text is not None else text)
    except DefinitionsInvalid as error:
        return {"valid": False, **said, "problems": [problem.as_json() for problem in error.problems]}
    return {"valid": True, **said, "kind": str(expr.kind), "problems": []}


@router.post("/expressions/estimate")
def estimate(written: Written, caller: Caller = who_may("answers.read")) -> dict[str, Any]:
    """Count the customers for whom a condition holds, one part of it after the other."""
    try:
        node = _node(written)
    except SyntaxProblem as error:
        raise DefinitionsInvalid([error.problem]) from None
    refuse_hidden(node, caller)
    found: dict[str, Any] = plain(caller.project.estimate(written.text or print_tree(node)))
    return found


@router.get("/language")
def language(caller: Caller = _READ) -> dict[str, Any]:
    """Return what an expression may be made of here: functions, streams with their columns, and what is declared."""
    catalogue = caller.project.catalogue
    functions = [
        {
            "name": one.name,
            "group": one.group,
            "about": one.about,
            "sentence": dict(one.sentence),
            "gives": str(one.result),
            "parameters": [
                {name: getattr(param, name) for name in ("name", "takes", "required", "keyword", "many", "choices")}
                for param in one.params
            ],
        }
        for one in FUNCTIONS.values()
    ]
    streams = [
        {
            "name": stream.name,
            "label": stream.label,
            "about": stream.about,
            "columns": [
                {"name": c.name, "kind": str(c.kind), "label": c.label, "about": c.about} for c in stream.columns
            ],
        }
        for stream in catalogue.streams.values()
    ]
    return plain({"functions": functions, "streams": streams, "names": _names(catalogue, caller)})  # type: ignore[no-any-return]


def refuse_hidden(node: Node, caller: Caller) -> None:
    """Refuse to count by what the caller may not see: a count by a rule over one customer tells it.

    Raises:
        Forbidden: when the expression reads something sensitive that they may not.
    """
    hidden = caller.hidden()
    for _, part in walk(node) if hidden else ():
        name = getattr(part, "name", None) or getattr(part, "value", None)
        if isinstance(name, str) and name in hidden:
            raise Forbidden(f"`{name}` is sensitive", "ask somebody with the right `sensitive.read`")


def _names(catalogue: Catalogue, caller: Caller) -> list[dict[str, Any]]:
    """Return what is declared here and may be seen: what it is, its kind, what people call it."""
    hidden, labels = caller.hidden(), labels_of(catalogue)
    found = [("tags", name, str(rule.expr.kind)) for name, rule in catalogue.tags.items() if rule.expr is not None]
    found += [("tierings", name, "tier") for name in catalogue.tierings]
    found += [("segments", name, "boolean") for name in catalogue.segments]
    found += [("parameters", name, str(kind)) for name, (kind, _) in catalogue.parameters.items()]
    return [
        {
            "name": name,
            "of": of,
            "kind": kind,
            "label": {"zh": labels.text(of, name, "zh"), "en": labels.text(of, name, "en")},
            **({"tiers": list(catalogue.tierings[name])} if of == "tierings" else {}),
        }
        for of, name, kind in found
        if name not in hidden
    ]


def _node(written: Written) -> Node:
    if written.tree is not None:
        return tree_from_json(written.tree)
    return parse(written.text or "")
