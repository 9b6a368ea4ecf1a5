"""`reads` and `writes`: a method that runs where the engine is, wherever it is called."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.owner.requests import Callbacks, Kind, Request, Verb
from tierwise.errors import TierwiseError
from tierwise.store import Actor
from tierwise.verbs.opened import Opened, Rooms

__all__ = ["Group", "VerbsAtWork", "offered", "reads", "repeats", "writes"]


class Group(Protocol):
    """A group of verbs: an object whose only state is what is open."""

    opened: Opened


_G = TypeVar("_G", bound=Group)
_P = ParamSpec("_P")
_R = TypeVar("_R")
_Method = Callable[Concatenate[_G, _P], _R]
#: Arguments that stay with the caller: they say how to wait and what to tell meanwhile.
_KEPT: Final = ("progress", "waiting", "wait")


def reads(body: _Method[_G, _P, _R]) -> _Method[_G, _P, _R]:
    """Make a method a verb that only reads: many run at once, each on one state of the tables, also during a run.

    Its arguments and its answer are plain values, instants, decimals, and at most one Arrow table each.
    """
    return _verb(body, "read")


def writes(body: _Method[_G, _P, _R]) -> _Method[_G, _P, _R]:
    """Make a method a verb that writes tables or the lake: one at a time, in the order they were asked.

    Three optional arguments of it stay with the caller: `progress` is called with (step, done, total), `waiting` with a
    sentence while another one is at work, and `wait=False` refuses to wait. When the owner dies while it works, the
    caller is told so.
    """
    return _verb(body, "write")


def repeats(body: _Method[_G, _P, _R]) -> _Method[_G, _P, _R]:
    """Make a method a writing verb that is asked again when the owner dies while it works.

    It finds out by `opened.request` (its `key`, when `again` is set) what an earlier attempt has done.
    """
    return _verb(body, "repeat")


def _verb(body: _Method[_G, _P, _R], kind: Kind) -> _Method[_G, _P, _R]:
    signature = inspect.signature(body)

    @functools.wraps(body)
    def called(self: _G, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if self.opened.at_work:
            return body(self, *args, **kwargs)
        given = dict(signature.bind(self, *args, **kwargs).arguments)
        given.pop(next(iter(signature.parameters)))
        kept = {name: given.pop(name) for name in _KEPT if name in given}
        answer: _R = self.opened.desk.call(_name(type(self), body.__name__), given, Callbacks(**kept))
        return answer

    called.__dict__["kind"] = kind
    return called


def _name(group: type, method: str) -> str:
    return f"{group.__name__.lower()}.{method}"


def offered(groups: Sequence[type]) -> dict[str, Verb]:
    """Return the verbs of the groups by name: the closed list of what the engine's owner does for others."""
    return {
        _name(group, method): Verb(_name(group, method), value.__dict__["kind"])
        for group in groups
        for method, value in vars(group).items()
        if inspect.isfunction(value) and "kind" in value.__dict__
    }


class VerbsAtWork:
    """What the engine's owner does for those who ask: the verbs of the groups, on one project folder."""

    def __init__(self, groups: Sequence[type], folder: Path) -> None:
        self.verbs: Mapping[str, Verb] = offered(groups)
        self._groups = groups
        self._rooms = Rooms(folder)

    def perform(self, engine: DuckEngine, request: Request, callbacks: Callbacks) -> Any:
        """Do a verb with a connection of its own; its clock goes on from what the asker's showed."""
        begun = time.monotonic()

        def clock() -> datetime:
            return request.at + timedelta(seconds=time.monotonic() - begun)

        opened = Opened(self._rooms, clock, Actor.parse(request.actor), engine=engine, request=request)
        group, _, method = request.verb.partition(".")
        found = next(one for one in self._groups if one.__name__.lower() == group)
        body = getattr(found(opened), method)
        given = dict(request.arguments)
        if "progress" in inspect.signature(body).parameters:
            given["progress"] = callbacks.progress
        return body(**given)

    def recover(self, at: datetime, pid: int) -> None:
        """End the runs that an owner which died had begun."""
        try:
            store = self._rooms.store(self._rooms.declared.current().definitions.settings.store)
        except TierwiseError:  # what cannot be read now is said to who asks for it; the next run ends them too
            return
        self._rooms.end_dead_runs(store, at)

    def close(self) -> None:
        """Let go of the store."""
        self._rooms.close()
