"""Reads back definitions that were written down when they were used, as the same frozen objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tierwise.definitions.load import Definitions, define
from tierwise.errors import Problem

__all__ = ["read_back"]


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
