"""A person is recognised by whole words: a number inside another number is somebody else."""

from __future__ import annotations

import pytest

from tierwise.people.person import Person

ANN = Person(1, (1,), (("crm", "a-1"), ("app", "王")), (), ())


@pytest.mark.parametrize("text", ["1,a-1,x", "a-1", '{"id": "a-1"}', "x,王,y", "a-1;"])
def test_named(text: str) -> None:
    assert ANN.named_in(text)


@pytest.mark.parametrize("text", [None, "", "1,a-12,x", "ba-1", "王芳"])
def test_not_named(text: str | None) -> None:
    assert not ANN.named_in(text)


def test_nobody_is_named_nowhere() -> None:
    assert not Person(1, (), (), ()).named_in("anything")
