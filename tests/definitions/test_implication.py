"""What is called implied is implied: tried on many values, and never the other way round."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from tierwise.definitions.check import check
from tierwise.definitions.implication import implies
from tierwise.definitions.language.typed import Apply, Const, Expr, TagOf
from tierwise.definitions.load import define

CONDITIONS = [f"{x} {sign} {n}" for x in "xy" for sign in ("<", "<=", ">", ">=", "==") for n in (1, 2)] + [
    "2 < x", "x > 1 and y > 1", "x > 2 or y > 2", "x > 1 or y == 2", "x >= 1 and x <= 2", "True", "False", "not (x > 1)",
    "x != 1", "x is None",
]  # fmt: skip


def expressions() -> dict[str, Expr]:
    definitions, _ = define(
        "test",
        tags={"x": "count(orders)", "y": "count(items)"},
        segments={f"s{n}": c for n, c in enumerate(CONDITIONS)},
    )
    assert definitions is not None
    catalogue, problems = check(definitions)
    assert catalogue is not None, problems
    found = {condition: catalogue.segments[f"s{n}"].expr for n, condition in enumerate(CONDITIONS)}
    return {condition: expr for condition, expr in found.items() if expr is not None}


def test_only_what_is_true_of_every_value_is_implied() -> None:
    found = expressions()
    values = [{"x": x, "y": y} for x, y in product((0, 1, 2, 3), repeat=2)]
    truth = {c: [bool(eval(c, {}, value)) for value in values] for c in CONDITIONS}
    for one, other in product(CONDITIONS, repeat=2):
        holds = all(not a or b for a, b in zip(truth[one], truth[other], strict=True))
        assert holds or not implies(found[one], found[other]), f"{one} does not imply {other}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x > 2", "x > 1"), ("x > 1", "x >= 1"), ("x == 2", "x > 1"), ("x <= 1", "x < 2"), ("2 < x", "x > 1"),
        ("x > 1 and y > 1", "y >= 1"), ("x > 2", "x > 2 or y > 2"), ("False", "x > 1"), ("x > 1", "True"),
    ],
)  # fmt: skip
def test_what_can_be_seen(one: str, other: str) -> None:
    found = expressions()
    if (one, other) == ("x <= 1", "x < 2"):
        assert implies(found[one], found[other])
        return
    assert implies(found[one], found[other])


def test_constants_of_other_kinds_are_left_alone() -> None:
    found = expressions()["x > 1"]
    assert isinstance(found, Apply)
    text = Apply(">", (TagOf("x", kind=found.args[0].kind), Const("a", kind=found.args[0].kind)), kind=found.kind)
    assert not implies(text, found)
    assert Decimal(1) == 1
