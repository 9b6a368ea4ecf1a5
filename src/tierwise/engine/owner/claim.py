"""Who owns `engine/`: a locked file in it, which the system unlocks when its process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tierwise.errors import EngineRefused, ProjectNotFound

__all__ = ["LOCK_FILE", "Claim", "Holder", "identity", "read_holder"]

LOCK_FILE: Final = "owner.lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a project, as the holder wrote it down; only the lock itself proves that it still does.

    Args:
        pid: its process.
        since: when it took the project, ISO 8601 in UTC.
        command: what was started.
        actor: who started it, as text.
        version: its Tierwise.
        protocol: the language its door speaks.
        folder: the project's folder as it knows it.
        socket: its door, a path in `engine/` or an absolute one; empty until the door is open.
    """

    pid: int
    since: str
    command: str
    actor: str
    version: str
    protocol: int
    folder: str
    socket: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} (`{self.command}` of {self.actor}, since {self.since})"


class Claim:
    """The lock, held."""

    def __init__(self, path: Path, handle: int, left: Holder | None) -> None:
        self.path = path
        self.left = left
        self._handle = handle

    @classmethod
    def take(cls, folder: Path) -> Claim | None:
        """Take the `engine/` folder, or return nothing when another has it; `left` is who died holding it.

        Raises:
            ProjectNotFound: when the project's folder is gone.
            EngineRefused: when the folder cannot be written.
        """
        try:
            if not folder.parent.is_dir():
                raise ProjectNotFound(f"the folder {folder.parent} is gone", "was it moved? open it where it is now")
        except OSError as error:
            raise _unwritable(folder, error) from error
        path = folder / LOCK_FILE
        while True:
            try:
                folder.mkdir(exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise _unwritable(folder, error) from error
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                if error.errno in (errno.EAGAIN, errno.EACCES):
                    return None
                raise _unwritable(folder, error) from error
            if _same(handle, path):
                return cls(path, handle, _holder(_content(handle)))
            os.close(handle)  # somebody deleted engine/ between the two steps

    def note(self, holder: Holder) -> None:
        """Write down who holds it."""
        content = json.dumps(asdict(holder), ensure_ascii=False).encode()
        os.pwrite(self._handle, content, 0)
        os.ftruncate(self._handle, len(content))

    def holds(self) -> bool:
        """Whether the lock is still the one that others find: not after the folder was moved or deleted."""
        return _same(self._handle, self.path)

    @property
    def number(self) -> tuple[int, int]:
        """Return what is the same for every path to the lock."""
        found = os.fstat(self._handle)
        return found.st_dev, found.st_ino

    def release(self) -> None:
        """Give it back; an empty file says that nothing was left undone."""
        os.ftruncate(self._handle, 0)
        os.close(self._handle)

    def forget(self) -> None:
        """Let it go and leave the file as it is: the next one takes it as it was left."""
        os.close(self._handle)


def read_holder(folder: Path) -> Holder | None:
    """Return who wrote itself down last, or nothing.

    Raises:
        EngineRefused: when the file belongs to somebody else.
    """
    try:
        return _holder((folder / LOCK_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(folder, error) from error


def identity(folder: Path) -> tuple[int, int] | None:
    """Return what is the same for every path to one `engine/` folder, or nothing when nobody has opened it yet."""
    try:
        found = os.stat(folder / LOCK_FILE)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _same(handle: int, path: Path) -> bool:
    mine = os.fstat(handle)
    return identity(path.parent) == (mine.st_dev, mine.st_ino)


def _content(handle: int) -> bytes:
    return os.pread(handle, 1 << 16, 0)


def _holder(content: bytes) -> Holder | None:
    """Return what is written down; nothing of a file that is empty or half written."""
    try:
        found = json.loads(content)
        return Holder(**{name: found[name] for name in Holder.__dataclass_fields__})
    except (ValueError, KeyError, TypeError):
        return None


def _unwritable(folder: Path, error: OSError) -> EngineRefused:
    try:
        owner = f" (it belongs to user {os.stat(folder).st_uid}, this is user {os.geteuid()})"
    except OSError:
        owner = ""
    return EngineRefused(
        f"{folder} cannot be written: {error.strerror}{owner}",
        "a project is opened by a user who may write in its engine/, lake/ and store/",
    )
