"""Ready-made definitions that `tierwise init --pack` copies into a new project: a folder below this one per pack."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tierwise.errors import BadRequest, near_name

__all__ = ["pack_folder", "pack_names"]

_HERE: Final = Path(__file__).parent


def pack_names() -> tuple[str, ...]:
    """Return the names of the packs.

    Example:
        >>> "demo" in pack_names()
        True
    """
    return tuple(sorted(settings.parent.name for settings in _HERE.glob("*/tierwise.yaml")))


def pack_folder(name: str) -> Path:
    """Return the folder of a pack: a project folder without data.

    Raises:
        BadRequest: when there is no pack of this name.

    Example:
        >>> (pack_folder("demo") / "tierwise.yaml").is_file()
        True
    """
    names = pack_names()
    if name not in names:
        raise BadRequest(f"there is no pack `{name}`", near_name(name, names))
    return _HERE / name
