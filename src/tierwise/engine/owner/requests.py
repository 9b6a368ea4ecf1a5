"""What is asked of the engine's owner: a verb with its arguments, by whom and when, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from tierwise.engine.backends.duckdb.engine import DuckEngine

__all__ = ["Callbacks", "Desk", "Elsewhere", "Kind", "Request", "Verb", "Work"]

#: A reading verb, a writing one, a writing one that may be asked again when its owner died on the way, and one of
#: those that has the engine's file to itself: those who read wait for it.
Kind = Literal["read", "write", "repeat", "alone"]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb the owner does: its name, and what it may do."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Request:
    """One verb asked for.

    Args:
        verb: its name.
        arguments: what it is called with.
        actor: who asks, as text.
        at: the instant the asker's clock showed, with its zone.
        pid: the asker's process.
        key: the same for every attempt at the same request, and for no other.
        again: whether an earlier attempt may have been done, unheard of.
        wait: whether a writing verb waits for its turn.
    """

    verb: str
    arguments: Mapping[str, Any]
    actor: str
    at: datetime
    pid: int
    key: str
    again: bool = False
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What stays with the caller: whom to tell how far the work is and for whom it waits, and whether to wait."""

    progress: Callable[[str, int, int], None] | None = None
    waiting: Callable[[str], None] | None = None
    wait: bool = True


class Desk(Protocol):
    """Where a verb is handed in."""

    def call(self, verb: str, arguments: Mapping[str, Any], callbacks: Callbacks) -> Any:
        """Have a verb done and return its answer."""
        ...


class Work(Protocol):
    """What the owner does for those who ask; the façade brings it along."""

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """Return the closed list of verbs by name."""
        ...

    def perform(self, engine: DuckEngine, request: Request, callbacks: Callbacks) -> Any:
        """Do a verb with a connection of its own."""
        ...

    def recover(self, at: datetime, pid: int) -> Sequence[str]:
        """Put right what an owner left that died; return the verbs that are to be done before all others."""
        ...

    def close(self) -> None:
        """Let go of what the work had open."""
        ...


class Elsewhere(Exception):
    """The owner takes no more requests, or has died: ask whoever comes after it.

    Args:
        begun: whether the request may have been begun.
    """

    def __init__(self, begun: bool = False) -> None:
        super().__init__("the engine's owner takes no more requests")
        self.begun = begun
