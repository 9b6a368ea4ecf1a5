"""Who does something: every effect in the store names its actor."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SYSTEM", "Actor"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or a program that acts: the kind of actor, who of that kind, and the roles held.

    Example:
        >>> str(Actor("cli", "ann"))
        'cli:ann'
        >>> Actor.parse("cli:ann") == Actor("cli", "ann")
        True
    """

    kind: str
    id: str = ""
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.kind and ":" not in self.kind, f"not a kind of actor: {self.kind!r}"

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind

    @classmethod
    def parse(cls, text: str) -> Actor:
        """Return the actor that `str` wrote; roles are not part of the text."""
        kind, _, name = text.partition(":")
        return cls(kind, name)


#: The program itself, when nobody asked.
SYSTEM = Actor("system")
