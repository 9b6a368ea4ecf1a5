"""Hypothesis strategies for whole cases; they need the extra `testing`, which brings hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from tierwise.testing.drawing import draw_case
from tierwise.testing.worlds import Case

__all__ = ["cases"]

_T = TypeVar("_T")


@st.composite
def cases(draw: st.DrawFn, tags: int = 25, depth: int = 3) -> Case:
    """Return cases as `tierwise.testing.drawing.draw_case` draws them."""

    def pick(options: Sequence[_T]) -> _T:
        return draw(st.sampled_from(options))

    return draw_case(pick, tags, depth)
