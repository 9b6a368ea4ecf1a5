"""Checks what is declared about points: every rule that earns some, and every condition that multiplies them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tierwise.definitions.language.checker import Scope, check_expression
from tierwise.definitions.language.kinds import BOOLEAN, Kind
from tierwise.definitions.language.parser import SyntaxProblem, parse
from tierwise.definitions.language.typed import (
    Aggregate,
    Apply,
    AsOf,
    ColumnOf,
    Const,
    Expr,
    ParameterOf,
    RelatedOf,
    walk_typed,
)
from tierwise.definitions.load import Definitions
from tierwise.errors import Problem

__all__ = ["points_problems"]

#: What a row alone can answer; an aggregate in it is one over the rows that are part of the row.
_OF_A_ROW: Final = (Apply, AsOf, ColumnOf, Const, ParameterOf, RelatedOf)


def points_problems(definitions: Definitions, scope: Scope) -> Iterator[Problem]:
    """Return what is wrong with the points that are declared.

    Args:
        definitions: what was declared.
        scope: what their expressions can refer to.
    """
    for index, (name, programme) in enumerate(definitions.points.items()):
        path = f"points.{name}"
        if index:
            message = f"`{name}` is a second programme of points; a brand has one"
            yield Problem("points", message, definitions.place(path), "put its rules under the first one")
        for rule, form in programme.earn.items():
            where = f"{path}.earn.{rule}"
            problems, expr = _checked(form.text, where, scope, definitions, None)
            yield from problems
            if isinstance(expr, Aggregate) and expr.where is not None and _asks_customers(expr.where):
                message = f"the condition of `{rule}` asks something of the customer, not only of the row"
                hint = "write it as a condition under `multiply:`, or ask a column"
                yield Problem("points", message, definitions.place(f"{where}.where"), hint)
        for multiplier, form_ in programme.multiply.items():
            where = f"{path}.multiply.{multiplier}"
            yield from _checked(form_.when, f"{where}.when", scope, definitions, BOOLEAN)[0]


def _asks_customers(condition: Expr) -> bool:
    return any(not isinstance(node, (*_OF_A_ROW, Aggregate)) for node in walk_typed(condition))


def _checked(
    text: str, path: str, scope: Scope, definitions: Definitions, expect: Kind | None
) -> tuple[list[Problem], Expr | None]:
    place = definitions.place(path)
    try:
        node = parse(text, place=place)
    except SyntaxProblem as error:
        return [error.problem], None
    checked = check_expression(node, scope, text=text, place=place, expect=expect)
    return list(checked.problems), checked.expr
