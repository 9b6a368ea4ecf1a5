"""Reads back definitions that were written down when they were used, as the same frozen objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tierwise.definitions.load import Definitions, define
from tierwise.errors import Place, Problem

__all__ = ["read_back", "recall", "write_down"]


def read_back(written: Mapping[str, Any], folder: Path) -> tuple[Definitions | None, list[Problem]]:
    """Return definitions from what `Definitions.written` gave, and the problems of a form that is no longer known.

    Args:
        written: settings, and each section as a list of (name, form).
        folder: the project's folder, for the files that lookups name.

    Example:
        >>> definitions, _ = define("shop", tags={"n": "count(orders)"})
        >>> again, problems = read_back(definitions.written, Path())
        >>> again == definitions, problems
        (True, [])
    """
    sections = {section: dict(forms) for section, forms in written.items() if section != "settings"}
    definitions, problems = define(written["settings"], **sections)
    return (None if definitions is None else replace(definitions, folder=folder)), problems


def write_down(definitions: Definitions) -> dict[str, Any]:
    """Return definitions as JSON holds them, whole: what changes no answer and where everything stands included."""
    settings = definitions.settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    places = {path: [place.file, place.line, place.column, place.path] for path, place in definitions.places.items()}
    whole = {**definitions.written, "settings": settings}
    for section in ("identity", "consent"):
        form = getattr(definitions, section)
        if form is not None:
            whole[section] = form.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for section in ("points", "channels", "templates"):
        forms: Mapping[str, BaseModel] = getattr(definitions, section)
        whole[section] = [
            [name, form.model_dump(mode="json", by_alias=True, exclude_defaults=True)] for name, form in forms.items()
        ]
    return {"written": whole, "places": places}


def recall(written: Mapping[str, Any], folder: Path) -> Definitions | None:
    """Return the definitions that `write_down` gave, or nothing of a form that is no longer known.

    Example:
        >>> definitions, _ = define("shop", tags={"n": "count(orders)"})
        >>> recall(write_down(definitions), Path()) == definitions
        True
        >>> definitions, _ = define("shop", identity={"identifiers": {"card": {"fields": ["card_no"], "limit": 3}}})
        >>> recall(write_down(definitions), Path()).identity == definitions.identity
        True
        >>> definitions, _ = define("shop", points={"club": {"earn": {"buy": {"from": "orders", "per": "0.1"}}}})
        >>> recall(write_down(definitions), Path()).points == definitions.points
        True
        >>> definitions, _ = define("shop", channels={"hook": {"kind": "webhook", "inside": ["crm.local"]}})
        >>> recall(write_down(definitions), Path()).channels == definitions.channels
        True
    """
    definitions, problems = read_back(written["written"], folder)
    if definitions is None or problems:
        return None
    return replace(definitions, places={path: Place(*place) for path, place in written["places"].items()})
