"""What is asked of the engine's owner: a verb with its arguments, by whom and when, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["Callbacks", "Desk", "Kind", "Verb"]

Kind = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb the owner does: its name, and whether it only reads."""

    name: str
    kind: Kind


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
