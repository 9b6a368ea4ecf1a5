"""A desk whose owner is this process, for as long as it is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.owner.requests import Callbacks, Verb

__all__ = ["LocalDesk", "Perform"]

Perform = Callable[[DuckEngine, str, Mapping[str, Any], Callbacks], Any]


class LocalDesk:
    """Opens the engine when the first verb is handed in."""

    def __init__(self, folder: Path, verbs: Mapping[str, Verb], perform: Perform) -> None:
        self._folder = folder
        self._verbs = verbs
        self._perform = perform
        self._engine: DuckEngine | None = None

    def call(self, verb: str, arguments: Mapping[str, Any], callbacks: Callbacks) -> Any:
        """Have a verb done and return its answer."""
        if self._engine is None:
            self._engine = DuckEngine(self._folder / "tierwise.duckdb")
            self._engine.confine([self._folder.parent / "lake", self._folder])
        with self._engine.cursor() as cursor:
            if self._verbs[verb].kind == "read":
                cursor.pin()
            return self._perform(cursor, verb, arguments, callbacks)

    def close(self) -> None:
        """Close the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
