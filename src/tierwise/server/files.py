"""The definition files as the console edits them: checked as a whole before one of them changes, and never torn."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tierwise.definitions.load import SETTINGS_FILE
from tierwise.errors import BadRequest, DefinitionsInvalid, Outdated, Problem, UnknownName
from tierwise.verbs.declared import Declared

__all__ = ["NO_FILE", "DefinitionFiles", "FileText", "SavedFile"]

#: A file that may be edited: the settings, or YAML below `sources/` or `definitions/`, nothing hidden.
_EDITABLE: Final = re.compile(r"(?:sources|definitions)/(?:[^/\\.][^/\\]*/)*[^/\\.][^/\\]*\.ya?ml")
_MOST_BYTES: Final = 1 << 20
#: The version of a file that is not there.
NO_FILE: Final = "none"


@dataclass(frozen=True)
class FileText:
    """One file as it is; `version` changes whenever its text does."""

    path: str
    text: str
    version: str


@dataclass(frozen=True)
class SavedFile:
    """A file that was saved, or would be: its version before and after, and what is to be warned of."""

    path: str
    before: str
    after: str
    digest: str
    warnings: Sequence[Problem]


class DefinitionFiles:
    """The files of one project folder that the console may read and write; safe for threads.

    Args:
        folder: the project's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def all(self) -> list[FileText]:
        """Return every file, the settings first."""
        found = [self._folder / SETTINGS_FILE]
        for room in ("sources", "definitions"):
            found += sorted(path for path in (self._folder / room).glob("**/*.y*ml") if path.is_file())
        names = [path.relative_to(self._folder).as_posix() for path in found]
        return [self.read(name) for name in names if name == SETTINGS_FILE or _EDITABLE.fullmatch(name)]

    def read(self, name: str) -> FileText:
        """Return one file.

        Raises:
            UnknownName: when there is none.
            BadRequest: when no file of this name belongs to the definitions.
        """
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError:
            raise UnknownName(f"there is no file `{name}`", "GET /v1/definitions lists them") from None
        return FileText(name, data.decode("utf-8-sig", errors="replace"), _version(data))

    def save(self, name: str, text: str | None, version: str, *, dry_run: bool = False) -> SavedFile:
        """Save a file, or remove it, once the whole project has been checked with it.

        Args:
            name: the file, below the project's folder.
            text: what it is to say; nothing removes it.
            version: that of the text which was edited; ``none`` for a new file.
            dry_run: only check.

        Raises:
            Outdated: when the file is another one meanwhile.
            DefinitionsInvalid: when something would be wrong, with every problem; nothing has been changed then.
            BadRequest: when no file of this name belongs to the definitions, or the text is no file's.
        """
        path = self._path(name)
        if text is None and name == SETTINGS_FILE:
            raise BadRequest(f"a project needs its `{SETTINGS_FILE}`", "edit it instead")
        data = None if text is None else text.encode("utf-8", errors="surrogatepass")
        if data is not None and (len(data) > _MOST_BYTES or "\0" in (text or "")):
            raise BadRequest("the text is no definition file's", f"at most {_MOST_BYTES >> 20} MB of text")
        with self._lock:
            there = path.read_bytes() if path.is_file() else None
            if _version(there) != version:
                raise Outdated(
                    f"`{name}` has been changed by somebody else meanwhile", "read it again and repeat what you changed"
                )
            digest, warnings = self._checked(name, data)
            if not dry_run:
                _replace(path, data)
        return SavedFile(name, version, _version(data), digest, warnings)

    def _checked(self, name: str, data: bytes | None) -> tuple[str, list[Problem]]:
        """Check the project with one file changed, in a folder beside it; return its digest and the warnings."""
        with tempfile.TemporaryDirectory(prefix="tierwise-edit-") as place:
            draft = Path(place)
            for one in self.all():
                _put(draft / one.path, (self._folder / one.path).read_bytes())
            for other in self._folder.iterdir():  # data files, whose columns the check looks at
                if other.name not in ("sources", "definitions", SETTINGS_FILE):
                    (draft / other.name).symlink_to(other)
            if data is None:
                (draft / name).unlink(missing_ok=True)
            else:
                _put(draft / name, data)
            declaration = Declared(draft).current()
            _, problems = declaration.checked()
            errors = [problem for problem in problems if problem.severity == "error"]
            if errors:
                raise DefinitionsInvalid(errors)
            return declaration.definitions.digest, [problem for problem in problems if problem.severity != "error"]

    def _path(self, name: str) -> Path:
        if name != SETTINGS_FILE and not _EDITABLE.fullmatch(name):
            raise BadRequest(
                f"`{name[:200]}` is no definition file", "one is tierwise.yaml, sources/….yaml or definitions/….yaml"
            )
        path = self._folder / name
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise BadRequest(f"`{name}` leads out of the project", "name a file in it")
        return path


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _replace(path: Path, data: bytes | None) -> None:
    """Write a file so that it is the old one or the new one, whatever happens."""
    if data is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, draft)
        else:
            Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _version(data: bytes | None) -> str:
    return NO_FILE if data is None else hashlib.sha256(data).hexdigest()[:16]
