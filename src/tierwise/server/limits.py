"""How often somebody may ask: a bucket of tokens for each, filled again as time passes; in this process's memory."""

from __future__ import annotations

import threading
from datetime import datetime

from tierwise.errors import TooMany

__all__ = ["Limit"]

#: More names than this are not told apart any longer: those who asked least lately are forgotten.
_MOST_NAMES = 10_000


class Limit:
    """Lets each name ask so often; safe for threads.

    Args:
        burst: how many times at once.
        per_second: how many times a second on the long run.

    Example:
        >>> from datetime import UTC, timedelta
        >>> limit, at = Limit(2, 0.5), datetime(2026, 3, 1, tzinfo=UTC)
        >>> limit.take("ann", at), limit.take("ann", at)
        (None, None)
        >>> limit.take("ann", at)
        Traceback (most recent call last):
        ...
        tierwise.errors.TooMany: too many requests
          ask again in 2 s
        >>> limit.take("ann", at + timedelta(seconds=2))
    """

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst, self._per_second = burst, per_second
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, datetime]] = {}

    def take(self, name: str, at: datetime) -> None:
        """Take one token of a name.

        Raises:
            TooMany: when there is none.
        """
        with self._lock:
            left, since = self._left.pop(name, (float(self._burst), at))
            left = min(self._burst, left + max(0.0, (at - since).total_seconds()) * self._per_second)
            enough = left >= 1
            self._left[name] = (left - 1 if enough else left, at)  # at the end: the first one asked least lately
            while len(self._left) > _MOST_NAMES:
                del self._left[next(iter(self._left))]
        if not enough:
            wait = max(1, round((1 - left) / self._per_second))
            raise TooMany("too many requests", f"ask again in {wait} s", retry_after=wait)
