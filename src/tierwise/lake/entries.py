"""What a manifest says: which files were added together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Entry", "LakeFile", "plain", "sync"]


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One Parquet file: the table it belongs to, its path below the lake's folder, how many rows.

    `first` is the number of the oldest manifest that has rows in it, when files were put together; 0 otherwise.
    """

    table: str
    path: str
    rows: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One manifest: what was added together. `number` counts from 1; the lake's version is the newest number."""

    number: int
    kind: str
    files: tuple[LakeFile, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


def plain(file: LakeFile) -> dict[str, Any]:
    """Return a file as a manifest says it."""
    said = asdict(file)
    return said if file.first else {name: value for name, value in said.items() if name != "first"}


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
