"""Room for deep expressions: how many Python frames writing or rewriting a statement may take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["deep"]

_DEEPEST: Final = 20_000


@contextmanager
def deep() -> Iterator[None]:
    """Give more stack than Python gives at first."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
