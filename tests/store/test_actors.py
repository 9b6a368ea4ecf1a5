"""Actors are written as text and read back."""

from __future__ import annotations

import pytest

from tierwise.store import SYSTEM, Actor


@pytest.mark.parametrize("actor", [SYSTEM, Actor("cli", "ann"), Actor("user", "7"), Actor("cli", "DOMAIN:ann")])
def test_text_and_back(actor: Actor) -> None:
    assert Actor.parse(str(actor)) == actor


def test_roles_are_not_part_of_the_text() -> None:
    assert str(Actor("user", "7", ("analyst",))) == "user:7"
