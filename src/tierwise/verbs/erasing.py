"""Erasing people: one after the other, with the engine's file to itself, whoever holds the project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tierwise.people.erase import Premises, erase, finish_pending, receipt_of
from tierwise.people.person import find_customer
from tierwise.verbs.opened import Opened
from tierwise.verbs.through import alone

__all__ = ["Erasing"]


class Erasing:
    """The verbs that erase; they hang on the façade as `project.people.erase` and `project.people.finish`."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @alone
    def erase(self, key: str, waiting: Callable[[str], None] | None = None, wait: bool = True) -> dict[str, Any]:
        """Erase a person from everything that was written; return the receipt.

        What a killed process left is finished first. One who is erased in the middle of a run is erased after it.
        """
        opened, premises, now = self.opened, self._premises, self.opened.clock()
        asked = opened.store.erasures.of(key, opened.definitions.key_spaces)
        try:
            finished = finish_pending(premises, opened.engine, now)
            if asked is not None:
                for receipt in finished:
                    if receipt["erasure_id"] == asked.erasure_id:
                        return receipt
                again = opened.request is not None and opened.request.again
                if asked.state == "done" and (again or asked.erasure_id in opened.rooms.untold):
                    opened.rooms.untold.discard(asked.erasure_id)
                    return receipt_of(asked)
            customer_id = find_customer(opened.store, key, opened.definitions.key_spaces)
            return erase(premises, opened.engine, customer_id, opened.actor, now)
        finally:
            opened.rooms.forget()

    @alone
    def finish(self, waiting: Callable[[str], None] | None = None, wait: bool = True) -> list[dict[str, Any]]:
        """Finish the erasures that a killed process left; return their receipts."""
        try:
            finished = finish_pending(self._premises, self.opened.engine, self.opened.clock())
            self.opened.rooms.untold |= {receipt["erasure_id"] for receipt in finished}
            return finished
        finally:
            self.opened.rooms.forget()

    @property
    def _premises(self) -> Premises:
        return Premises(self.opened.folder, self.opened.store, self.opened.lake)
