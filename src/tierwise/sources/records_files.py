"""Which files a source means, and what is in them as one fingerprint."""

from __future__ import annotations

import glob
import hashlib
import os
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from tierwise.errors import SourceUnreadable, near_name

__all__ = ["Stamp", "find_files", "fingerprint", "stamp_of", "unchanged_since"]

#: More names of a folder than this are not looked at for a near one.
_NAMES_READ: Final = 10_000


class Stamp(NamedTuple):
    """What tells that a file is still the one that was opened."""

    device: int
    inode: int
    size: int
    changed_ns: int


def stamp_of(path: Path) -> Stamp:
    """Return the state of a file, to be compared when it has been read.

    Raises:
        SourceUnreadable: It is not there any more.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise SourceUnreadable(f"{path}: cannot be read ({error.strerror})", "check the name and the rights") from error
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def unchanged_since(path: Path, stamp: Stamp) -> None:
    """Refuse a file that was written, cut or replaced while it was read: half of it would be of one state.

    Raises:
        SourceUnreadable: It has changed.
    """
    if stamp_of(path) != stamp:
        hint = "import it when it is complete; write it under another name first, then rename it"
        raise SourceUnreadable(f"{path}: has changed while it was read, nothing of it is imported", hint)


def find_files(pattern: str, base: Path) -> list[Path]:
    """Return the files a source names, sorted: a path, or a pattern with ``*``, ``?``, ``[…]``, ``**``.

    A relative pattern starts in `base`. A file whose name is the pattern itself wins; folders are not files.

    Raises:
        SourceUnreadable: No such file, or one that cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.csv", "a.csv", "notes.txt"):
        ...         _ = Path(folder, name).write_text("id")
        ...     [path.name for path in find_files("*.csv", Path(folder))]
        ['a.csv', 'b.csv']
    """
    if not pattern.strip() or "\0" in pattern:
        raise SourceUnreadable(f"{pattern!r} is not the name of a file", "write `data/orders.csv` or `data/*.csv`")
    path = base / pattern
    try:
        if path.is_dir():
            raise SourceUnreadable(f"{path}: is a folder", f"write `file: {pattern.rstrip('/')}/*.csv` for its files")
        if path.exists():
            return [_checked(path)]
        if glob.has_magic(pattern):
            rooted = pattern if Path(pattern).is_absolute() else os.path.join(glob.escape(str(base)), pattern)
            found = sorted({Path(name) for name in glob.iglob(rooted, recursive=True)})
            if files := [_checked(each) for each in found if not each.is_dir()]:
                return files
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceUnreadable(f"{path}: cannot be read ({reason})", "check the name and the rights") from error
    raise _missing(path, pattern)


def fingerprint(path: Path) -> str:
    """Return a hash of the file's bytes, as they are on disk.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.csv")
        ...     _ = path.write_text("id")
        ...     len(fingerprint(path))
        32
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise SourceUnreadable(f"{path}: cannot be read ({error.strerror})", "check the name and the rights") from error


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise SourceUnreadable(f"{path}: is not a regular file", "name a file, no device, pipe or broken link")
    if not os.access(path, os.R_OK):
        raise SourceUnreadable(f"{path}: may not be read by this user", "change the rights of the file")
    return path


def _missing(path: Path, pattern: str) -> SourceUnreadable:
    """Return the refusal for what is not there, with the nearest names in the first folder that is."""
    fixed = [part for part in path.parts if part]
    if glob.has_magic(pattern):
        first = next((i for i, part in enumerate(fixed) if glob.has_magic(part)), len(fixed) - 1)
        fixed = fixed[: first + 1]
    wanted = Path(*fixed)
    while not wanted.parent.is_dir() and wanted.parent != wanted:
        wanted = wanted.parent
    try:
        with os.scandir(wanted.parent) as entries:
            names = [entry.name for entry in islice(entries, _NAMES_READ) if not entry.name.startswith(".")]
    except OSError:
        names = []
    kind = "no file matches this pattern" if glob.has_magic(pattern) else "there is no such file"
    hint = near_name(wanted.name, names) or (f"{wanted.parent} is empty" if not names else "")
    return SourceUnreadable(f"{path}: {kind}", hint or f"look for its name in {wanted.parent}")
