"""How a call of ``followed`` is checked: its steps, how far they may be apart, what they share, what must not come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tierwise.definitions.language.kinds import BOOLEAN, FLOAT, Kind
from tierwise.definitions.language.nodes import Call, Column, Node, Step
from tierwise.definitions.language.times import Duration
from tierwise.definitions.language.typed import Expr, Followed, StepOf
from tierwise.definitions.language.written import duration, under
from tierwise.errors import near_name

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker

__all__ = ["check_sequence"]

#: No sequence has more steps.
_MOST_STEPS: Final = 10


def check_sequence(checker: Checker, node: Call, address: str) -> Expr | None:
    """Return the checked sequence, or None after reporting."""
    before = len(checker.problems)
    steps = [_step(checker, step, under(address, f"args.{i}")) for i, step in enumerate(node.args)]
    option = node.option("without")
    without = None if option is None else _step(checker, option, under(address, "without"))
    within, gap = (_exact(checker, node, address, name) for name in ("within", "gap"))
    same = _same(checker, node, address)
    if len(checker.problems) > before:
        return None
    if len(steps) > _MOST_STEPS:
        checker.report(node, address, "argument", f"a sequence has at most {_MOST_STEPS} steps")
    if len(steps) == 1 and gap is not None:
        checker.report(node, under(address, "gap"), "argument", "`gap=` is between steps, and there is only one")
    if len(steps) == 1 and (without is None or within is None):
        hint = 'write followed(events(type == "add_to_cart"), within="2d", without=items())'
        checker.report(node, address, "argument", "a single step needs both `within=` and `without=`", hint)
    if len(checker.problems) > before:
        return None
    found = tuple(step for step in steps if step is not None)
    return Followed(found, within, gap, same, without, kind=BOOLEAN, address=address)


def _step(checker: Checker, node: Node, address: str) -> StepOf | None:
    if not isinstance(node, Step):
        hint = 'write events(type == "add_to_cart"), or items() for any row'
        checker.report(node, address, "argument", "a step is a stream with at most one condition", hint)
        return None
    stream = checker.scope.streams.get(node.stream)
    if stream is None:
        hint = near_name(node.stream, checker.scope.streams)
        checker.report(node, address, "unknown-name", f"there is no stream `{node.stream}`", hint)
        return None
    if node.where is None:
        return StepOf(node.stream)
    where = checker.visit(node.where, under(address, "where"), stream)
    if where is not None and where.kind != BOOLEAN:
        message = f"a step has a condition on its rows, this is {where.kind}"
        checker.report(node.where, where.address, "kind", message, "compare it with something")
    return StepOf(node.stream, where)


def _exact(checker: Checker, node: Call, address: str, name: str) -> Duration | None:
    found = duration(checker, node.option(name), under(address, name), name)
    if found is not None and found.is_calendar:
        message = f"`{name}=` of a sequence is counted in exact time"
        checker.report(node, under(address, name), "argument", message, 'write it in days: "30d"')
    return found


def _same(checker: Checker, node: Call, address: str) -> str:
    """Return the column all steps share, or ""."""
    option, at = node.option("same"), under(address, "same")
    if option is None:
        return ""
    if not isinstance(option, Column):
        checker.report(option, at, "argument", "`same=` is a column that all steps have", "write same=sku")
        return ""
    kinds: dict[str, Kind] = {}
    for step in (*node.args, node.option("without")):
        stream = checker.scope.streams.get(step.stream) if isinstance(step, Step) else None
        if stream is None:
            continue
        kind = checker.column_kind(stream, option.name)
        if kind is None:
            hint = near_name(option.name, [column.name for column in stream.columns])
            checker.report(option, at, "unknown-name", f"`{stream.name}` has no column `{option.name}`", hint)
            return ""
        kinds[stream.name] = kind
    if len(set(kinds.values())) > 1:
        shown = ", ".join(f"{kind} in {stream}" for stream, kind in kinds.items())
        checker.report(option, at, "kind", f"`{option.name}` is not of one kind in all steps: {shown}")
    elif FLOAT in kinds.values():
        checker.report(option, at, "kind", f"`{option.name}` is a float, of which no two need be the same")
    return option.name
