"""Turns: writing verbs work one at a time, in the order they were asked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tierwise.engine.owner.requests import Elsewhere
from tierwise.errors import ProjectBusy

__all__ = ["Turns"]

_LOOK_SECONDS: Final = 0.1


class Turns:
    """A queue of those who write."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether somebody has the turn."""
        return bool(self._queue)

    @property
    def waiting(self) -> int:
        """Return how many wait."""
        return max(len(self._queue) - 1, 0)

    def close(self) -> None:
        """Send away those who wait; who has the turn goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def turn(
        self, before: Callable[[], str], wait: bool, waiting: Callable[[str], None] | None, check: Callable[[], None]
    ) -> Iterator[None]:
        """Wait for the turn and have it for the block.

        Args:
            before: says who has the turn.
            wait: whether to wait at all.
            waiting: told whom one waits for, again when that changes.
            check: called now and then; it raises when the asker has gone away.

        Raises:
            ProjectBusy: when somebody has the turn and `wait` is false.
            Elsewhere: when the queue was closed meanwhile.
        """
        ticket, said = object(), ""
        with self._changed:
            if self._queue and not wait:
                raise ProjectBusy(f"{before()} is at work", "wait for it, or ask again without --no-wait")
            self._queue.append(ticket)
        try:
            while not self._mine(ticket):
                if waiting is not None and said != (now := before()):
                    waiting(f"waiting for {now}")
                    said = now
                check()
                if self._closed:
                    break
            if self._closed:
                raise Elsewhere
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _mine(self, ticket: object) -> bool:
        with self._changed:
            if self._queue[0] is not ticket and not self._closed:
                self._changed.wait(_LOOK_SECONDS)
            return self._queue[0] is ticket
