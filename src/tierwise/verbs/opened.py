"""What of a project is open: its folder, definitions, lake and store and, for a verb at work, the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tierwise.definitions.check import Catalogue
from tierwise.definitions.load import Definitions
from tierwise.definitions.model import EngineForm
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.owner.requests import Desk, Request
from tierwise.errors import BadRequest, EngineRefused
from tierwise.lake import Lake
from tierwise.store import Actor, Store
from tierwise.store.session import KEY_FILE
from tierwise.verbs.declared import Declaration, Declared

if TYPE_CHECKING:  # what compiles and evaluates is imported when a cluster is asked for
    from tierwise.engine.cluster import Cluster
    from tierwise.sources.known import KnownKeys

__all__ = ["Opened", "Rooms"]

_T = TypeVar("_T")


class Rooms:
    """A project folder's memories in one process, shared by everything that works there; safe for threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = Lake(folder / "lake")
        self.declared = Declared(folder)
        self._store: Store | None = None
        self._cluster: tuple[EngineForm, Cluster] | None = None
        self._lock, self._turn = threading.Lock(), threading.RLock()
        self._kept: dict[str, tuple[Hashable, Any]] = {}
        #: Erasures of a process that died, finished for nobody: who asks again is told how they ended.
        self.untold: set[int] = set()

    @cached_property
    def known_keys(self) -> KnownKeys:
        """Return what tells whether the lake has a row; only who takes rows that are sent needs it."""
        from tierwise.sources.known import KnownKeys

        return KnownKeys()

    def store(self, declared: str) -> Store:
        """Return the store at a path in the folder or a URL, opened when first needed."""
        with self._lock:
            if self._store is None:
                where = declared if "://" in declared else str(self.folder / declared)
                key_file = self.folder / "store" / KEY_FILE
                self._store = Store.open(where, anchor=self._anchor(declared), key_file=key_file)
            return self._store

    def kept(self, name: str, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return what was made of a name's key, made anew when the key is another one than last time.

        The key has everything that it depends on; only the newest is kept.
        """
        known = self._kept.get(name)
        if known is not None and known[0] == key:
            found: _T = known[1]
            return found
        made = make()
        self._kept[name] = key, made
        return made

    def forget(self) -> None:
        """Forget what was kept, here and on a cluster: somebody was erased, whom it may name."""
        self._kept.clear()
        with self._turn:
            self._leave_cluster()

    def _anchor(self, declared: str) -> Path | None:
        """Return where the audit of a store on a server is anchored; a store that is a file has it beside itself."""
        if "://" not in declared:
            return None
        room = self.folder / "store"
        room.mkdir(exist_ok=True)
        return room / "audit.anchor"

    @contextmanager
    def cluster(self, declared: EngineForm) -> Iterator[Cluster]:
        """Give the cluster that is declared to one caller at a time, opened when first needed.

        Raises:
            EngineRefused: when it cannot be reached.
        """
        from tierwise.engine.cluster import Cluster

        with self._turn:
            known = self._cluster
            if known is None or known[0] != declared or not known[1].engine.is_alive:
                self._leave_cluster()
                opened = Cluster(declared.master, declared.conf, self.folder, declared.folder)
                self._cluster = declared, opened
            else:
                opened = known[1]
            try:
                yield opened
            except EngineRefused:  # what an executor held may be gone with it: the next one begins anew
                self._leave_cluster()
                raise

    def _leave_cluster(self) -> None:
        if self._cluster is not None:
            left, self._cluster = self._cluster[1], None
            left.close()

    def end_dead_runs(self, store: Store, at: datetime) -> None:
        """Mark as failed the runs nobody works on any more; only the engine's owner knows that nobody does."""
        for dead in store.runs.list(1000, state="running"):
            store.runs.fail(dead.run_id, at, "the process died")

    def close(self) -> None:
        """Let go of the store and of the cluster."""
        with self._turn:
            self._leave_cluster()
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None


class Opened:
    """A project as one caller has it open.

    Args:
        rooms: the folder's memories.
        clock: gives the current instant with its zone; nothing else reads a clock.
        actor: who is asking, for the records.
        desk: where verbs are handed in, for a caller.
        engine: the engine, for a verb at work.
        request: what was asked, for a verb at work.
    """

    def __init__(
        self,
        rooms: Rooms,
        clock: Callable[[], datetime],
        actor: Actor,
        desk: Desk | None = None,
        engine: DuckEngine | None = None,
        request: Request | None = None,
    ) -> None:
        self.rooms = rooms
        self.clock = clock
        self.actor = actor
        self._desk = desk
        self._engine = engine
        self.request = request
        self._declaration: Declaration | None = None

    @property
    def folder(self) -> Path:
        """Return the project's folder."""
        return self.rooms.folder

    @property
    def lake(self) -> Lake:
        """Return the lake."""
        return self.rooms.lake

    @property
    def quarantine(self) -> Path:
        """Return the folder of the quarantine's files."""
        return self.folder / "store" / "quarantine"

    @property
    def declaration(self) -> Declaration:
        """Return what is declared: for a verb at work always the same, elsewhere what the files say now."""
        if self._declaration is not None:
            return self._declaration
        current = self.rooms.declared.current()
        if self.at_work:
            self._declaration = current
        return current

    def go_by(self, declaration: Declaration) -> None:
        """Let this verb at work go by another declaration than that of now."""
        assert self.at_work, "what is declared now holds for everybody else"
        self._declaration = declaration

    @contextmanager
    def cluster(self, needed: bool = True) -> Iterator[Cluster | None]:
        """Give the cluster this project is computed on; nothing when that is the engine itself, or none is needed.

        Which one it is, the files say now, also when a verb goes by an earlier declaration: it changes no answer.

        Raises:
            EngineRefused: when it cannot be reached.
        """
        declared = self.rooms.declared.current().definitions.settings.engine
        if declared.kind == "duckdb" or not needed:
            yield None
            return
        with self.rooms.cluster(declared) as found:
            yield found

    @property
    def is_on_cluster(self) -> bool:
        """Whether this project's rows are read on a cluster, as the files say now."""
        return self.rooms.declared.current().definitions.settings.engine.kind != "duckdb"

    def refuse_on_cluster(self, what: str, instead: str) -> None:
        """Refuse what works on the rows of the engine itself, when they are on a cluster.

        Raises:
            BadRequest: when they are.
        """
        if self.is_on_cluster:
            raise BadRequest(
                f"{what} is computed by DuckDB, and this project's rows are on a Spark cluster",
                f"{instead}; or write `engine: duckdb` in tierwise.yaml",
            )

    @property
    def definitions(self) -> Definitions:
        """Return the definitions.

        Raises:
            DefinitionsInvalid: when they cannot be read.
        """
        return self.declaration.definitions

    @property
    def catalogue(self) -> Catalogue:
        """Return the checked definitions.

        Raises:
            DefinitionsInvalid: with every problem, when there is one.
        """
        return self.declaration.catalogue

    @property
    def store(self) -> Store:
        """Return the store, opened when first needed."""
        return self.rooms.store(self.definitions.settings.store)

    @property
    def at_work(self) -> bool:
        """Whether this is a verb at work, which has the engine."""
        return self._engine is not None

    @property
    def desk(self) -> Desk:
        """Return where a caller hands verbs in."""
        assert self._desk is not None, "a verb at work does its work itself"
        return self._desk

    @property
    def engine(self) -> DuckEngine:
        """Return the engine; only a verb at work has it."""
        assert self._engine is not None, "the engine belongs to its owner: make this a verb (tierwise.verbs.through)"
        return self._engine

    def now(self) -> datetime:
        """Return the current instant as naive UTC; for a verb at work, that at which it was asked."""
        now = self.clock() if self.request is None else self.request.at
        return now.astimezone(UTC).replace(tzinfo=None)
