"""The owner: the one process that has the engine open, doing what it and others ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.owner.claim import Claim, Holder
from tierwise.engine.owner.requests import Callbacks, Elsewhere, Kind, Request, Work
from tierwise.engine.owner.turns import Turns
from tierwise.errors import BadRequest

__all__ = ["ENGINE_FILE", "Doing", "Owner"]

#: The engine's file in its folder.
ENGINE_FILE: Final = "tierwise.duckdb"
_LOOK_SECONDS: Final = 0.1


@dataclass(eq=False)
class Doing:
    """One request at work: how far it is, and whether its asker has gone away."""

    request: Request
    step: str = ""
    title: str = ""
    cancelled: bool = False
    engine: DuckEngine | None = field(default=None, repr=False)

    def __str__(self) -> str:
        what = self.title or self.request.verb.rpartition(".")[2]
        return f"{what} of {self.request.actor}, pid {self.request.pid}"

    def check(self) -> None:
        """End the work of one who has gone away."""
        if self.cancelled:
            raise KeyboardInterrupt

    def cancel(self) -> None:
        """Let the work end as soon as it can, from another thread."""
        self.cancelled = True
        if self.engine is not None:
            self.engine.interrupt()


class Owner:
    """The engine, held; safe for threads.

    Args:
        claim: the lock on the engine's folder.
        holder: who this is, as others read it.
        work: what it does for those who ask.
    """

    def __init__(self, claim: Claim, holder: Holder, work: Work) -> None:
        self.claim = claim
        self.holder = holder
        self.work = work
        self.users = 1
        self.retired = threading.Event()
        self.leaving = threading.Event()
        self.given_back = threading.Event()
        self._turns = Turns()
        self._changed = threading.Condition()
        self._doing: list[Doing] = []
        self._engine: DuckEngine | None = None
        self._shut = False
        self.door = threading.Lock()
        self.at_leaving: list[Callable[[], None]] = []

    @property
    def folder(self) -> Path:
        """Return the engine's folder."""
        return self.claim.path.parent

    # -- requests ---------------------------------------------------------------------------------------------------

    def perform(self, request: Request, callbacks: Callbacks, begun: Callable[[Doing], None] | None = None) -> Any:
        """Do a verb and return its answer.

        Args:
            request: what is asked.
            callbacks: whom to tell meanwhile.
            begun: called with the request at work, through which it can be cancelled.

        Raises:
            Elsewhere: when this owner takes no more requests.
            BadRequest: when there is no such verb.
        """
        verb = self.work.verbs.get(request.verb)
        if verb is None:
            raise BadRequest(
                f"process {self.holder.pid} runs Tierwise {self.holder.version} and does not know `{request.verb}`",
                "end it with `tierwise engine stop`, then ask again",
            )
        doing = Doing(request)
        writes = verb.kind != "read"
        with self._admitted(doing, writes):
            if begun is not None:
                begun(doing)
            turn = self._turns.turn(self._before, request.wait, callbacks.waiting, doing.check)
            with turn if writes else nullcontext(), self._connected(doing, verb.kind) as engine:
                return self.work.perform(engine, request, self._told(doing, callbacks))

    @contextmanager
    def _admitted(self, doing: Doing, writes: bool) -> Iterator[None]:
        with self._changed:
            # One that leaves while a run works still answers those who read: they would wait for the run's end.
            closed = self.leaving.is_set() and (writes or not self._turns.busy)
            if closed or self.retired.is_set():
                raise Elsewhere
            if not self.claim.holds():  # the folder was moved, or engine/ deleted: these tables are nobody's any more
                self.leave()
                raise Elsewhere
            self._doing.append(doing)
        try:
            yield
        finally:
            with self._changed:
                self._doing.remove(doing)
                self._changed.notify_all()

    @contextmanager
    def _connected(self, doing: Doing, kind: Kind) -> Iterator[DuckEngine]:
        """Give a verb its connection: pinned for one that reads, the only one there is for one that is alone."""
        try:
            engine = self._alone(doing) if kind == "alone" else self._cursor(doing)
            with engine:
                doing.check()
                if kind == "read":
                    engine.pin()
                yield engine
        finally:
            with self._changed:
                doing.engine = None
                self._shut = self._shut and kind != "alone"
                self._changed.notify_all()

    def _cursor(self, doing: Doing) -> DuckEngine:
        with self._changed:
            while self._shut:
                self._changed.wait(_LOOK_SECONDS)
                doing.check()
            doing.engine = self._opened().cursor()
            return doing.engine

    def _alone(self, doing: Doing) -> DuckEngine:
        """Wait until nobody reads any more, and open the file for one."""
        with self._changed:
            self._shut = True
            while any(one.engine is not None for one in self._doing):
                self._changed.wait(_LOOK_SECONDS)
                doing.check()
            if self._engine is not None:
                self._engine.close()
                self._engine = None
            doing.engine = DuckEngine(self.folder / ENGINE_FILE)
            return doing.engine

    def _opened(self) -> DuckEngine:
        with self._changed:
            if self._engine is None:
                self._engine = DuckEngine(self.folder / ENGINE_FILE)
                self._engine.confine([self.folder.parent / "lake", self.folder])
            return self._engine

    def _told(self, doing: Doing, callbacks: Callbacks) -> Callbacks:
        def progress(step: str, done: int, total: int) -> None:
            doing.check()
            doing.step = step
            if step.startswith("run "):
                doing.title = step
            if callbacks.progress is not None:
                callbacks.progress(step, done, total)

        return Callbacks(progress)

    def _before(self) -> str:
        """Say who has the turn to write."""
        writers = [one for one in self._doing if self.work.verbs[one.request.verb].kind != "read"]
        return str(writers[0]) if writers else "another"

    def open_at(self, socket: str) -> None:
        """Let others know where the door is."""
        self.holder = replace(self.holder, socket=socket)
        self.claim.note(self.holder)

    # -- about itself -----------------------------------------------------------------------------------------------

    def doing(self) -> list[dict[str, Any]]:
        """Return what is at work or waits, as plain values."""
        with self._changed:
            return [
                {
                    "verb": one.request.verb,
                    "title": one.title,
                    "actor": one.request.actor,
                    "pid": one.request.pid,
                    "asked_at": one.request.at.isoformat(),
                    "step": one.step,
                    "state": "working" if one.engine is not None else "waiting",
                }
                for one in self._doing
            ]

    # -- leaving ----------------------------------------------------------------------------------------------------

    def leave(self, at_exit: bool = False) -> None:
        """Take no more requests, finish those at work, give the engine back; returns at once, but at exit when done."""
        first = not self.leaving.is_set()
        self.leaving.set()
        self._turns.close()
        if first and at_exit:  # a process that ends starts no threads
            self._leave()
        elif first:
            threading.Thread(target=self._leave, name="tierwise-leaving", daemon=True).start()
        elif at_exit:
            self.given_back.wait()

    def _leave(self) -> None:
        with self._changed:
            while self._doing:
                self._changed.wait(1.0)
            self.retired.set()  # from here on nobody is admitted
        try:
            with self.door:
                for step in self.at_leaving:
                    step()
            if self._engine is not None:
                self._engine.close()
            self.work.close()
        finally:
            self.claim.release()
            self.given_back.set()
