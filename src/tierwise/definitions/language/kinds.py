"""The kinds a value can have, and which kind an operation gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "BOOLEAN", "DATE", "DECIMAL", "DURATION", "EARTH_RADIUS_KM", "FLOAT", "INSTANT", "INTEGER", "KIND_NAMES",
    "MONEY", "NUMBERS", "TEXT", "Kind", "kind_named", "list_of", "tier_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a value; a list knows its element kind, a tier knows its tiering.

    Physical meaning: integer = 64 bit; decimal = 18 digits, 6 of them after the point; money = 18 digits, 2 after the
    point, in major units; float = binary64, rounded to 9 significant digits before it meets a threshold; instant =
    microseconds in UTC; text = NFC, compared by code point.

    Example:
        >>> str(list_of(TEXT)), str(tier_of("grade"))
        ('list of text', 'tier of grade')
    """

    name: str
    of: Kind | None = None
    tiering: str = ""

    def __str__(self) -> str:
        if self.of is not None:
            return f"list of {self.of}"
        if self.tiering:
            return f"tier of {self.tiering}"
        return self.name

    @property
    def is_number(self) -> bool:
        """Whether arithmetic applies."""
        return self in NUMBERS

    @property
    def is_time(self) -> bool:
        """Whether it is a date or an instant."""
        return self.name in ("date", "instant")

    @property
    def is_ordered(self) -> bool:
        """Whether ``< <= > >=`` apply."""
        return self.is_number or self.is_time or self.name in ("text", "duration")


BOOLEAN: Final = Kind("boolean")
INTEGER: Final = Kind("integer")
DECIMAL: Final = Kind("decimal")
MONEY: Final = Kind("money")
FLOAT: Final = Kind("float")
TEXT: Final = Kind("text")
DATE: Final = Kind("date")
INSTANT: Final = Kind("instant")
DURATION: Final = Kind("duration")

#: The mean radius of the earth, for distances.
EARTH_RADIUS_KM: Final = 6371.0088

NUMBERS: Final = frozenset({INTEGER, DECIMAL, MONEY, FLOAT})

_BY_NAME: Final = {k.name: k for k in (BOOLEAN, INTEGER, DECIMAL, MONEY, FLOAT, TEXT, DATE, INSTANT, DURATION)}
#: Kinds a column, an attribute or a parameter may be declared with.
KIND_NAMES: Final = tuple(_BY_NAME)


def kind_named(name: str) -> Kind:
    """Return the kind with this name; raises KeyError for an unknown one.

    Example:
        >>> kind_named("money") is MONEY
        True
    """
    return _BY_NAME[name]


def list_of(kind: Kind) -> Kind:
    """Return the kind of a list of `kind`."""
    return Kind("list", of=kind)


def tier_of(tiering: str) -> Kind:
    """Return the kind of a tier of the tiering with this name."""
    return Kind("tier", tiering=tiering)
