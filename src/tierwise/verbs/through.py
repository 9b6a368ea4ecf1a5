"""`reads` and `writes`: a method that runs where the engine is, wherever it is called."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.owner.requests import Callbacks, Kind, Request, Verb
from tierwise.errors import TierwiseError
from tierwise.store import Actor
from tierwise.verbs.opened import Opened, Rooms

__all__ = ["Group", "VerbsAtWork", "alone", "offered", "reads", "repeats", "writes"]


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


def alone(body: _Method[_G, _P, _R]) -> _Method[_G, _P, _R]:
    """Make a method a repeated verb that has the engine's file to itself: also those who read wait until it is done."""
    return _verb(body, "alone")


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


def offered(groups: Sequence[str]) -> Mapping[str, Verb]:
    """Return the verbs of the groups by name: the closed list of what the engine's owner does for others.

    Args:
        groups: modules of `tierwise.verbs`; the group is the class of the same name.
    """
    return _Offered(groups)


class _Offered(Mapping[str, Verb]):
    """The verbs of the groups; a group is imported when one of its verbs is looked up."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = groups

    def __getitem__(self, name: str) -> Verb:
        group, _, method = name.partition(".")
        body = vars(_group(group)).get(method) if group in self._groups else None
        if not inspect.isfunction(body) or "kind" not in body.__dict__:
            raise KeyError(name)
        return Verb(name, body.__dict__["kind"])

    def __iter__(self) -> Iterator[str]:
        for group in self._groups:
            for method, value in vars(_group(group)).items():
                if inspect.isfunction(value) and "kind" in value.__dict__:
                    yield f"{group}.{method}"

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _group(name: str) -> type:
    """Return the class of a group of verbs."""
    found: type = getattr(import_module(f"{__package__}.{name}"), name.capitalize())
    return found


class VerbsAtWork:
    """What the engine's owner does for those who ask: the verbs of the groups, on one project folder."""

    def __init__(self, groups: Sequence[str], folder: Path) -> None:
        self.verbs: Mapping[str, Verb] = offered(groups)
        self._rooms = Rooms(folder)

    def perform(self, engine: DuckEngine, request: Request, callbacks: Callbacks) -> Any:
        """Do a verb with a connection of its own; its clock goes on from what the asker's showed."""
        begun = time.monotonic()

        def clock() -> datetime:
            return request.at + timedelta(seconds=time.monotonic() - begun)

        opened = Opened(self._rooms, clock, Actor.parse(request.actor), engine=engine, request=request)
        group, _, method = request.verb.partition(".")
        body = getattr(_group(group)(opened), method)
        given = dict(request.arguments)
        if "progress" in inspect.signature(body).parameters:
            given["progress"] = callbacks.progress
        return body(**given)

    def recover(self, at: datetime, pid: int) -> Sequence[str]:
        """End the runs that an owner which died had begun; the erasures it had begun come before all else."""
        try:
            store = self._rooms.store(self._rooms.declared.current().definitions.settings.store)
        except TierwiseError:  # what cannot be read now is said to who asks for it; the next run does it too
            return ()
        self._rooms.end_dead_runs(store, at)
        return ("erasing.finish",) if store.erasures.pending() else ()

    def close(self) -> None:
        """Let go of the store."""
        self._rooms.close()
