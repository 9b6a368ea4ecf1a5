"""`reads` and `writes`: a method that runs where the engine is, wherever it is called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from tierwise.engine.owner.requests import Callbacks, Kind, Verb
from tierwise.verbs.opened import Opened

__all__ = ["Group", "offered", "perform_in", "reads", "writes"]


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
    sentence while another one is at work, and `wait=False` refuses to wait.
    """
    return _verb(body, "write")


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


def perform_in(groups: Sequence[type], opened: Opened, verb: str, given: Mapping[str, Any], told: Callbacks) -> Any:
    """Do a verb of the groups in this process, with what is open here."""
    group, _, method = verb.partition(".")
    found = next(one for one in groups if one.__name__.lower() == group)
    body = getattr(found(opened), method)
    known = inspect.signature(body).parameters
    if "progress" in known and told.progress is not None:
        return body(**given, progress=told.progress)
    return body(**given)
