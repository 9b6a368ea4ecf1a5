"""How calls of scalar functions are checked: their arguments' kinds, and the kind they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import re2

from tierwise.definitions.language.functions import FUNCTIONS, Param
from tierwise.definitions.language.kinds import BOOLEAN, DURATION, INSTANT, TEXT, Kind
from tierwise.definitions.language.nodes import Call, Literal, Node
from tierwise.definitions.language.typed import Apply, Const, Expr
from tierwise.definitions.language.written import duration, name_argument, under

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker

__all__ = ["check_scalar"]

#: A lunar year has at most 385 days: every anniversary is that near.
_LUNAR_DAYS: Final = 385
_Scalar = Callable[["Checker", Call, list[Expr], str], Expr | None]


def check_scalar(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    """Return the checked call of a scalar function whose arguments are checked, or None after reporting."""
    return _SCALARS.get(node.function, _plain)(checker, node, args, address)


def _plain(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    """A function whose every parameter has one fixed kind."""
    function = FUNCTIONS[node.function]
    params = [param for param in function.params if not param.keyword]
    converted = [
        _fit(checker, arg, param, written) for arg, param, written in zip(args, params, node.args, strict=True)
    ]
    if any(arg is None for arg in converted):
        return None
    assert isinstance(function.result, Kind)
    return Apply(
        node.function, tuple(arg for arg in converted if arg is not None), kind=function.result, address=address
    )


def _fit(checker: Checker, arg: Expr, param: Param, node: Node) -> Expr | None:
    match param.takes:
        case "time":
            if arg.kind.is_time:
                return arg
            if isinstance(arg, Const) and isinstance(arg.value, str):
                return checker.read_text(arg.value, INSTANT, node, arg.address)
            checker.report(node, arg.address, "kind", f"a date or an instant is needed here, this is {arg.kind}")
            return None
        case "number":
            return checker.as_number(arg, node, arg.address)
        case "text":
            if arg.kind == TEXT:
                return arg
            checker.report(node, arg.address, "kind", f"text is needed here, this is {arg.kind}")
            return None
    raise AssertionError(param.takes)


def _anniversary(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    within = duration(checker, node.option("within"), under(address, "within"), "within")
    date = _fit(checker, args[0], Param("x", "time"), node.args[0])
    if within is None or date is None:
        return None
    if not within.is_whole_days:
        checker.report(node, address, "argument", "`within=` of an anniversary is in whole days", 'write within="7d"')
        return None
    calendar = node.option("calendar")
    if calendar is not None and calendar not in (Literal("solar"), Literal("lunar")):
        checker.report(node, under(address, "calendar"), "argument", '`calendar=` is "solar" or "lunar"')
        return None
    lunar = calendar == Literal("lunar")
    if lunar and within.longest_days > _LUNAR_DAYS:
        message = f"`within=` of a lunar anniversary is at most {_LUNAR_DAYS} days"
        checker.report(node, under(address, "within"), "argument", message, 'write within="7d"')
        return None
    length = Const(within, kind=DURATION, address=under(address, "within"))
    return Apply(
        "lunar_anniversary" if lunar else "anniversary",
        (checker.local_date(date), length),
        kind=BOOLEAN,
        address=address,
    )


def _band(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    x = checker.as_number(args[0], node.args[0], args[0].address)
    edges = args[1:]
    values = [
        edge.value
        for edge in edges
        if isinstance(edge, Const) and isinstance(edge.value, int | Decimal) and edge.kind != BOOLEAN
    ]
    if x is None:
        return None
    if len(values) != len(edges) or not edges or sorted(set(values)) != values:
        checker.report(
            node,
            address,
            "argument",
            "the edges of band() are numbers written out, ascending",
            "write band(age(birth_date), 18, 25, 35)",
        )
        return None
    return Apply("band", (x, *edges), kind=TEXT, address=address)


def _choose(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    """coalesce, least, greatest: arguments of one kind."""
    kind = _common(checker, node, list(zip(node.args, args, strict=True)))
    if kind is None:
        return None
    if node.function != "coalesce" and not kind.is_ordered:
        checker.report(node, address, "kind", f"{node.function}() needs something with an order, this is {kind}")
        return None
    return Apply(node.function, tuple(args), kind=kind, address=address)


def _case(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    if len(args) < 2:
        checker.report(node, address, "argument", "case() takes condition, value, …, otherwise")
        return None
    pairs = list(zip(node.args, args, strict=True))
    otherwise = [pairs[-1]] if len(pairs) % 2 else []
    body = pairs[: len(pairs) - len(otherwise)]
    before = len(checker.problems)
    for written, condition in body[::2]:
        if condition.kind != BOOLEAN:
            checker.report(
                written,
                condition.address,
                "kind",
                f"a condition is needed here, this is {condition.kind}",
                "case() takes condition, value, condition, value, …, otherwise",
            )
    kind = _common(checker, node, body[1::2] + otherwise)
    if kind is None or len(checker.problems) > before:
        return None
    return Apply("case", tuple(args), kind=kind, address=address)


def _common(checker: Checker, node: Call, values: list[tuple[Node, Expr]]) -> Kind | None:
    """Return the kind all values share, or report the first that differs."""
    from tierwise.definitions.language.checker import wider

    kind: Kind | None = values[0][1].kind
    for written, value in values[1:]:
        assert kind is not None
        found = wider(kind, value.kind)
        if found is None:
            checker.report(
                written,
                value.address,
                "kind",
                f"{node.function}() gives one kind: the first value is {kind}, this is {value.kind}",
            )
            return None
        kind = found
    return kind


def _contains(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    x, part = args
    if x.kind.of is not None and x.kind.of == part.kind:
        return Apply("in", (part, x), kind=BOOLEAN, address=address)
    return _texts(checker, node, args, address)


def _texts(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    for written, arg in zip(node.args, args, strict=True):
        if arg.kind != TEXT:
            checker.report(written, arg.address, "kind", f"text is needed here, this is {arg.kind}")
            return None
    return Apply(node.function, tuple(args), kind=BOOLEAN, address=address)


def _matches(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    pattern = args[1]
    if not (isinstance(pattern, Const) and isinstance(pattern.value, str)):
        checker.report(node.args[1], pattern.address, "argument", "the pattern is written out, in quotes")
        return None
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern.value, options)
    except re2.error as error:
        message = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        checker.report(
            node.args[1],
            pattern.address,
            "argument",
            f"this is not an RE2 pattern: {message}",
            "look-around and back-references are not in RE2",
        )
        return None
    return _texts(checker, node, args, address)


def _lookup(checker: Checker, node: Call, args: list[Expr], address: str) -> Expr | None:
    table = name_argument(checker, node, 0, under(address, "args.0"), checker.scope.lookups, "lookup")
    if table is None:
        return None
    columns = checker.scope.lookups[table]
    column = name_argument(checker, node, 2, under(address, "args.2"), columns, f"column of `{table}`")
    if column is None:
        return None
    if args[1].kind != TEXT:
        checker.report(node.args[1], args[1].address, "kind", f"the key of a lookup is a text, this is {args[1].kind}")
        return None
    return Apply("lookup", tuple(args), kind=columns[column], address=address)


_SCALARS: Final[Mapping[str, _Scalar]] = {
    "anniversary": _anniversary,
    "band": _band,
    "coalesce": _choose,
    "least": _choose,
    "greatest": _choose,
    "case": _case,
    "contains": _contains,
    "startswith": _texts,
    "matches": _matches,
    "lookup": _lookup,
}
