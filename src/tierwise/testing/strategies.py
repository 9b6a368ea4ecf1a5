"""Hypothesis strategies for cases and lives; they need the extra `testing`, which brings hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from tierwise.testing.drawing import draw_case
from tierwise.testing.lives import Life, draw_life
from tierwise.testing.worlds import Case

__all__ = ["cases", "lives"]

_T = TypeVar("_T")


@st.composite
def cases(draw: st.DrawFn, tags: int = 25, depth: int = 3) -> Case:
    """Return cases as `tierwise.testing.drawing.draw_case` draws them."""

    def pick(options: Sequence[_T]) -> _T:
        return draw(st.sampled_from(options))

    return draw_case(pick, tags, depth)


def lives(tags: int = 4, depth: int = 2) -> st.SearchStrategy[Life]:
    """Return lives as `tierwise.testing.lives.draw_life` draws them, each named by its seed."""
    return st.integers(0, 2**32 - 1).map(lambda seed: draw_life(seed, tags, depth))
