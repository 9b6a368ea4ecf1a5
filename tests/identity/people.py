"""Records with identifiers in a real store, and what linking makes of them, for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tierwise.definitions.identity import Identity
from tierwise.identity.linking import Linker
from tierwise.store import SYSTEM, Store
from tierwise.store.people import VALUES

__all__ = ["AT", "DECLARED", "Town", "groups", "singles"]

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
DECLARED = Identity.model_validate(
    {
        "identifiers": {
            "id_number": {"exclusive": True},
            "phone": {"limit": 5},
            "email": {},
            "device": {"strength": "weak", "limit": 4},
            "cookie": {"strength": "weak", "limit": 4},
        }
    }
)
ROLES = {"id_number": "id_number", "phone": "phone", "email": "email", "device": "openid", "cookie": "openid"}


class Town:
    """A store whose records are named by texts: `add` brings some, `together` says who is whose customer."""

    def __init__(self, store: Store, declared: Identity = DECLARED) -> None:
        self.store, self.declared = store, declared
        self.names: dict[int, str] = {}

    @property
    def numbers(self) -> dict[str, int]:
        return {name: number for number, name in self.names.items()}

    def add(self, people: Mapping[str, Mapping[str, str | Sequence[str]]], space: str = "crm") -> list[int]:
        """Bring records, each with its identifiers by field; return their numbers."""
        spaces = pa.array([space] * len(people), pa.string())
        keys = pa.array([*people], pa.string())
        found = self.store.ids.assign(pa.table({"key_space": spaces, "source_key": keys}), at=AT)
        numbers: list[int] = found["source_record_id"].to_pylist()
        self.names |= dict(zip(numbers, people, strict=True))
        rows = [
            {"source_record_id": number, "field": field, "role": ROLES.get(field, field), "value": text, "line": line}
            for number, values in zip(numbers, people.values(), strict=True)
            for field, texts in values.items()
            for line, text in enumerate([texts] if isinstance(texts, str) else texts, 1)
        ]
        self.store.people.put(pa.Table.from_pylist(rows, schema=VALUES), AT)
        return numbers

    def linker(self) -> Linker:
        return Linker(self.store, self.declared, SYSTEM, AT)

    def link(self, arrived: Sequence[int] | None = None) -> dict[str, Any]:
        return self.linker().link(0, arrived)

    def customers(self) -> dict[str, int]:
        """Return the customer of every record by name."""
        held = self.store.ids.customers()
        return {
            self.names[record]: customer
            for record, customer in zip(
                *(held[c].to_pylist() for c in ("source_record_id", "customer_id")), strict=True
            )
        }

    def together(self) -> set[frozenset[str]]:
        """Return who is one customer with whom."""
        found: dict[int, set[str]] = {}
        for name, customer in self.customers().items():
            found.setdefault(customer, set()).add(name)
        return {frozenset(names) for names in found.values()}


def groups(*texts: str) -> set[frozenset[str]]:
    """Return sets of names from words: ``groups("a b", "c")``."""
    return {frozenset(text.split()) for text in texts}


def singles(names: Iterable[str]) -> set[frozenset[str]]:
    """Return each name alone."""
    return {frozenset([name]) for name in names}
