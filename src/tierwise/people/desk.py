"""The verbs about one person, on an open project: show, export, erase, and what the owner does with keys.

Every one of them is recorded in the audit, with the customer's number and never with what they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from tierwise.errors import BadRequest
from tierwise.people.erase import Premises, survey
from tierwise.people.files import digest_of
from tierwise.people.held import everything, held, write_json
from tierwise.people.person import Person, find_customer, person
from tierwise.store import Actor

__all__ = ["Desk", "Erasing"]


class Erasing(Protocol):
    """What erases, in the process that holds the engine."""

    def erase(self, key: str, waiting: Callable[[str], None] | None = None, wait: bool = True) -> dict[str, Any]:
        """Erase a person; return the receipt."""
        ...

    def finish(self) -> list[dict[str, Any]]:
        """Finish the erasures that a killed process left; return their receipts."""
        ...


class Desk:
    """The verbs about one person.

    Args:
        premises: where everything lies.
        key_spaces: whose numbers a person may be named by.
        clock: gives the current instant with its zone.
        actor: who is asking.
        erasing: erases where the engine is.
        computed: gives the row of the results of a customer, if there is one.
    """

    def __init__(
        self,
        premises: Premises,
        key_spaces: tuple[str, ...],
        clock: Callable[[], datetime],
        actor: Actor,
        erasing: Erasing,
        computed: Callable[[int], Mapping[str, Any] | None],
    ) -> None:
        self._premises, self._key_spaces, self._clock, self._actor = premises, key_spaces, clock, actor
        self._erasing, self._computed = erasing, computed

    def find(self, key: str) -> int:
        """Return the customer a person means by a number, an identifier, or ``id:42``.

        Raises:
            UnknownName: when there is nobody.
            Erased: when the person has been erased.
            BadRequest: when several have it.
        """
        return find_customer(self._premises.store, key, self._key_spaces)

    def search(self, text: str) -> list[int]:
        """Return every customer who has a number or an identifier, by their ids; nobody is an answer too.

        Raises:
            BadRequest: when it begins like ``id:42`` and is none.
        """
        store = self._premises.store
        found = store.ids.find(text) or ([] if text.startswith("id:") else store.people.find(text))
        return sorted(set(found))

    def show(self, key: str, *, masked: bool = False) -> dict[str, Any]:
        """Return a customer's numbers and personal values, decrypted, or masked."""
        who = self._person(key)
        self._record("person.show", f"customer:{who.customer_id}", {"masked": masked})
        return held(self._premises.store, who, masked=masked)

    def export(self, key: str, to: Path) -> dict[str, Any]:
        """Write everything held on a person to a JSON file; the file is registered, and goes when they are erased."""
        if to.suffix != ".json":
            raise BadRequest(f"`{to.name}` is no .json file", "write --to person.json")
        premises, who = self._premises, self._person(key)
        computed = self._computed(who.customer_id)
        found = everything(premises.store, premises.lake, premises.quarantine, who, computed)
        write_json(found, to)
        path = to.resolve()
        premises.store.exports.record(str(path), "person", digest_of(path), self._actor, self._clock())
        self._record("person.export", f"customer:{who.customer_id}")
        rows = sum(len(rows) for rows in found["rows"].values())
        return {"to": str(to), "customer_id": who.customer_id, "values": len(who.values), "rows": rows}

    def erase(
        self,
        key: str,
        *,
        dry_run: bool = False,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Erase a person from everything Tierwise has written; return the receipt.

        An erasure that was killed half-way is finished first, by whoever erases next. The brand's own input files are
        named in the receipt and not touched; rows of the person that come again are refused.

        Args:
            key: the brand's number, an identifier, or ``id:42``.
            dry_run: only say what would be destroyed.
            wait: whether to wait for a run that is at work.
            waiting: called with a sentence that says who is waited for.

        Raises:
            UnknownName: when there is nobody.
            Erased: when the person has been erased before.
            ProjectBusy: when a run is at work and `wait` is false, or another process reads the store.
        """
        if dry_run:
            return {"dry_run": True, **survey(self._premises, self._person(key))}
        return self._erasing.erase(key, waiting, wait)

    def write_receipt(self, receipt: Mapping[str, Any], to: Path) -> None:
        """Write a receipt to a JSON file."""
        write_json(receipt, to)

    def finish(self) -> list[dict[str, Any]]:
        """Finish the erasures that a killed process left; return their receipts."""
        if not self._premises.store.erasures.pending():
            return []
        return self._erasing.finish()

    def rotate_key(self, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """Wrap every key with a new master key; one that was killed half-way is gone on with.

        Args:
            progress: called with the keys wrapped so far.
        """
        done = 0
        for done in self._premises.store.vault.rotate():
            progress(done)
        self._record("vault.rotate", "vault", {"keys": done})
        return {"keys": done}

    def purge(self) -> dict[str, Any]:
        """Destroy the keys of quarantined originals older than 90 days."""
        purged = self._premises.store.originals.purge(self._clock())
        if purged:
            self._record("quarantine.purge", "vault", {"imports": purged})
        return {"imports": purged}

    def _record(self, action: str, on: str, details: Mapping[str, Any] | None = None) -> None:
        self._premises.store.audit.record(self._clock(), self._actor, action, on, details)

    def _person(self, key: str) -> Person:
        return person(self._premises.store, self.find(key))
