"""The definitions of a project folder, read again when one of their files changes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tierwise.definitions.check import Catalogue, check
from tierwise.definitions.load import SETTINGS_FILE, Definitions, load
from tierwise.definitions.written import read_back, recall, write_down
from tierwise.engine.standing import recorded_declaration
from tierwise.errors import DefinitionsInvalid, Problem, SourceUnreadable
from tierwise.lake import Lake

__all__ = ["Declaration", "Declared", "declared_then"]

_State = list[tuple[str, tuple[int, int, int] | None]]
#: Where the modules lie that read definitions: what an earlier version has read is read again.
_READERS: Final = Path(__file__).parent.parent / "definitions"


@dataclass
class Declaration:
    """What one state of the files declares."""

    folder: Path
    loaded: tuple[Definitions | None, list[Problem]]
    _checked: tuple[Catalogue | None, list[Problem]] | None = field(default=None, repr=False)

    @property
    def definitions(self) -> Definitions:
        """Return what was declared.

        Raises:
            DefinitionsInvalid: when it cannot be read.
        """
        definitions, problems = self.loaded
        errors = [problem for problem in problems if problem.severity == "error"]
        if definitions is None or errors:
            raise DefinitionsInvalid(errors)
        return definitions

    @property
    def catalogue(self) -> Catalogue:
        """Return the checked definitions.

        Raises:
            DefinitionsInvalid: with every problem, when there is one.
        """
        catalogue, problems = self.checked()
        errors = [problem for problem in problems if problem.severity == "error"]
        if catalogue is None or errors:
            raise DefinitionsInvalid(errors)
        return catalogue

    def checked(self) -> tuple[Catalogue | None, list[Problem]]:
        """Return the catalogue, if there can be one, and every problem but those of the sources' files."""
        if self._checked is None:
            self._checked = self._check()
        return self._checked

    def _check(self) -> tuple[Catalogue | None, list[Problem]]:
        definitions, problems = self.loaded
        found = list(problems)
        if definitions is None:
            return None, found
        # Imported late: most projects' lookups need no file to be read.
        from tierwise.sources.lookups import lookup_columns

        columns: dict[str, Sequence[str]] = {}
        for name, lookup in definitions.lookups.items():
            try:
                columns[name] = lookup_columns(lookup, self.folder)
            except SourceUnreadable as error:
                found.append(Problem("source", error.message, definitions.place(f"lookups.{name}.file"), error.hint))
        catalogue, more = check(definitions, columns)
        if catalogue is not None and definitions.settings.engine.kind == "spark":
            from tierwise.engine.gaps import gaps  # it compiles, which no other project needs here

            more = [*more, *gaps(catalogue)]
        return catalogue, found + more


class Declared:
    """Gives the current declaration of a folder; safe for threads.

    Reading YAML is slow, so what was read without a problem is kept in `engine/` until a file of it changes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "engine" / "declared.json"
        self._lock = threading.Lock()
        self._known: tuple[_State, _State, Declaration] | None = None

    def current(self) -> Declaration:
        """Return what the files declare now.

        Raises:
            ProjectNotFound: when there is no ``tierwise.yaml`` in the folder.
        """
        with self._lock:
            written = self._written()
            if self._known is None or self._known[:2] != (written, _lookups(self._known[2])):
                declaration = self._kept(written) or self._loaded(written)
                self._known = written, _lookups(declaration), declaration
            return self._known[2]

    def _loaded(self, written: _State) -> Declaration:
        definitions, problems = load(self.folder)
        if definitions is not None and not problems and self._file.parent.is_dir():
            said = json.dumps({"of": _as_json(written), **write_down(definitions)}, ensure_ascii=False)
            draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            with suppress(OSError):  # a folder that cannot be written, or a full disk, only makes the next one slower
                draft.write_text(said, encoding="utf-8")
                os.replace(draft, self._file)
        return Declaration(self.folder, (definitions, problems))

    def _kept(self, written: _State) -> Declaration | None:
        """Return what the files declared when they were read last, if they are still the same."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if kept["of"] != _as_json(written):
                return None
            definitions = recall(kept, self.folder)
        except (OSError, ValueError, KeyError, TypeError):  # not there, or not what we wrote
            return None
        return None if definitions is None else Declaration(self.folder, (definitions, []))

    def _written(self) -> _State:
        paths = [self.folder / SETTINGS_FILE]
        for room in ("sources", "definitions"):
            paths += sorted(self.folder.glob(f"{room}/**/*.y*ml"))
        return [(str(path), _stamp(path)) for path in paths]


def declared_then(lake: Lake, folder: Path, up_to: int | None = None) -> Declaration | None:
    """Return what the newest recorded run was declared with, up to a manifest of the lake; nothing before one."""
    written = recorded_declaration(lake, up_to)
    return None if written is None else Declaration(folder, read_back(written, folder))


def _lookups(declaration: Declaration) -> _State:
    """Return the state of the files whose columns the check depends on."""
    definitions = declaration.loaded[0]
    paths = [declaration.folder / lookup.file for lookup in definitions.lookups.values()] if definitions else []
    return [(str(path), _stamp(path)) for path in paths]


def _as_json(written: _State) -> list[Any]:
    """Return the state of the files, and of the modules that read them, as JSON gives it back."""
    readers = [(path.name, _stamp(path)) for path in sorted(_READERS.glob("*.py"))]
    return [[path, None if stamp is None else list(stamp)] for path, stamp in [*written, *readers]]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what differs when a file was edited or replaced, nothing of one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
