"""Puts other texts in the place of declared ones, leaving everything else of their file as somebody wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tierwise.errors import Place

__all__ = ["Replacement", "edited"]


@dataclass(frozen=True)
class Replacement:
    """A text that stands at a place, and the one that is to stand there."""

    place: Place
    was: str
    is_: str


def edited(text: str, replacements: Sequence[Replacement]) -> str | None:
    """Return a file's text with all the replacements made; nothing when one of them is not written as it reads.

    That is so of a text over several lines, and of one with characters that YAML writes otherwise.

    Args:
        text: what the file says.
        replacements: what is to stand where.

    Example:
        >>> where = Place("definitions/tags.yaml", 2, 9)
        >>> edited("tags:\\n  rich: spend >= 10 # gold\\n", [Replacement(where, "spend >= 10", "spend >= 20")])
        'tags:\\n  rich: spend >= 20 # gold\\n'
    """
    lines = text.splitlines(keepends=True)
    # From the end: what stands before on the same line stays where it is.
    for one in sorted(replacements, key=lambda one: (one.place.line, one.place.column), reverse=True):
        if not 0 < one.place.line <= len(lines):
            return None
        line, start = lines[one.place.line - 1], one.place.column - 1
        if start < 0 or not line.startswith(one.was, start):
            return None
        lines[one.place.line - 1] = f"{line[:start]}{one.is_}{line[start + len(one.was) :]}"
    return "".join(lines)
