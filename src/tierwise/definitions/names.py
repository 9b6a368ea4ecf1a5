"""Which names a definition may have."""

from __future__ import annotations

import keyword
import unicodedata

__all__ = ["name_problem"]


def name_problem(name: str) -> str:
    """Return what is wrong with a name, or "".

    Example:
        >>> name_problem("spend_365d"), name_problem("365d")
        ('', '`365d` is not a name')
    """
    if unicodedata.normalize("NFKC", name) != name:
        return f"`{name}` would be read as `{unicodedata.normalize('NFKC', name)}`"
    if keyword.iskeyword(name):
        return f"`{name}` is a reserved word"
    if not name.isidentifier() or len(name) > 63:
        return f"`{name}` is not a name" if len(name) <= 63 else f"`{name[:20]}…` is longer than 63 characters"
    return ""
