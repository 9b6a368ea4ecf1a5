"""How each function call is checked: its arguments against its declaration, and the kind it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import re2

from tierwise.definitions.language.functions import FUNCTIONS, Function, Param
from tierwise.definitions.language.kinds import (
    BOOLEAN,
    DURATION,
    FLOAT,
    INSTANT,
    TEXT,
    Kind,
    list_of,
    tier_of,
)
from tierwise.definitions.language.nodes import Call, Literal, Node
from tierwise.definitions.language.times import Duration, parse_duration
from tierwise.definitions.language.typed import (
    Aggregate,
    Apply,
    Const,
    Expr,
    ParameterOf,
    Population,
    SegmentOf,
    TierOf,
    Window,
)
from tierwise.definitions.streams import Stream
from tierwise.errors import near_name

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker

__all__ = ["check_call"]

_BY: Final = ("count", "sum", "avg", "min", "max", "distinct", "days")
_STREAKS: Final = ("1d", "1w", "1mo", "3mo", "1y")


def check_call(checker: Checker, node: Call, address: str, rows: Stream | None) -> Expr | None:
    """Return the checked call, or None after reporting."""
    function = FUNCTIONS[node.function]
    if not _arguments_fit(checker, node, function, address):
        return None
    if function.group == "stream":
        return _Aggregates(checker, node, address).check()
    if rows is not None and function.group in ("population", "membership"):
        hint = "make it a tag, and write customer.<tag>"
        checker.report(
            node, address, "kind", f"{node.function}() is about customers and cannot stand in a condition on rows", hint
        )
        return None
    if checker.scope.columns is not None and function.boundary != "none":
        checker.report(node, address, "kind", f"{node.function}() depends on as_of and cannot stand in a source")
        return None
    if function.group == "population":
        return _population(checker, node, address)
    if function.group == "membership":
        return _membership(checker, node, address)
    args = [checker.visit(arg, _under(address, f"args.{i}"), rows) for i, arg in enumerate(node.args)]
    if any(arg is None for arg in args):
        return None
    exprs = [arg for arg in args if arg is not None]
    return _SCALARS.get(node.function, _plain)(checker, node, exprs, address)


def _under(address: str, step: str) -> str:
    return f"{address}.{step}" if address else step


def _arguments_fit(checker: Checker, node: Call, function: Function, address: str) -> bool:
    """Whether as many arguments are given as the function takes, by names it knows."""
    before = len(checker.problems)
    positional = [p for p in function.params if not p.keyword and p.takes not in ("stream", "stream.column")]
    many = any(param.many for param in positional)
    required = [p for p in positional if p.required]
    if len(node.args) < len(required) or (len(node.args) > len(positional) and not many):
        wanted = ", ".join(param.name + (", …" if param.many else "") for param in function.params if not param.keyword)
        checker.report(
            node, address, "argument", f"{node.function}() takes {wanted or 'no arguments'}", _form(function)
        )
    for name, _ in node.named:
        param = function.param(name)
        if param is None or not param.keyword:
            known = [p.name + "=" for p in function.params if p.keyword]
            hint = near_name(name + "=", known) if known else ""
            checker.report(node, address, "argument", f"{node.function}() does not take `{name}=`", hint)
    for param in function.params:
        if param.keyword and param.required and node.option(param.name) is None:
            checker.report(node, address, "argument", f"{node.function}() needs `{param.name}=`", _form(function))
    return len(checker.problems) == before


def _form(function: Function) -> str:
    shown = [p.name + ("=…" if p.keyword else "") for p in function.params if p.required]
    return f"write {function.name}({', '.join(shown)})"


def _integer(
    checker: Checker, node: Node | None, address: str, name: str, least: int = 1, most: int = 10_000
) -> int | None:
    """Read a literal whole number in [least, most], or report and return None."""
    if node is None:
        return None
    value = node.value if isinstance(node, Literal) else None
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    checker.report(node, address, "argument", f"`{name}` is a whole number from {least} to {most:,}, written out")
    return None


def _duration(checker: Checker, node: Node | None, address: str, name: str) -> Duration | None:
    """Read a literal length of time (or a parameter that is one), or report and return None."""
    if node is None:
        return None
    if isinstance(node, Literal) and isinstance(node.value, str):
        found = parse_duration(node.value)
        if found is not None and (found.months or found.micros):
            return found
    else:
        expr = checker.visit(node, address, None)
        if expr is None:
            return None
        if isinstance(expr, ParameterOf) and expr.kind == DURATION:
            value = checker.scope.parameters[expr.name][1]
            assert isinstance(value, Duration)
            return value
    hint = 'a whole number with m, h, d, w, mo or y: "30d"'
    checker.report(node, address, "argument", f"`{name}=` is a length of time, longer than nothing", hint)
    return None


class _Aggregates:
    """A function over a stream."""

    def __init__(self, checker: Checker, node: Call, address: str) -> None:
        self.checker, self.node, self.address = checker, node, address

    def report(self, message: str, hint: str = "", code: str = "argument") -> None:
        self.checker.report(self.node, self.address, code, message, hint)

    def option_address(self, name: str) -> str:
        return _under(self.address, name)

    def check(self) -> Expr | None:
        checker, node = self.checker, self.node
        before = len(checker.problems)
        stream = checker.scope.streams.get(node.stream)
        if stream is None:
            hint = near_name(node.stream, checker.scope.streams)
            self.report(f"there is no stream `{node.stream}`", hint, "unknown-name")
            return None
        column_kind = self.column_kind(stream)
        where = self.rows("where", stream)
        of = self.rows("of", stream)
        window = self.window()
        latest = _integer(checker, node.option("latest"), self.option_address("latest"), "latest")
        n = self.number_argument()
        length = self.length()
        by = self.by(stream)
        if len(checker.problems) > before:
            return None
        kind = self.kind(column_kind, n)
        if kind is None:
            return None
        return Aggregate(
            node.function,
            node.stream,
            node.column,
            where,
            window,
            latest,
            of,
            by,
            n,
            length,
            kind=kind,
            address=self.address,
        )

    def column_kind(self, stream: Stream) -> Kind | None:
        node = self.node
        takes = FUNCTIONS[node.function].params[0].takes
        if takes == "stream":
            if node.column:
                self.report(f"{node.function}() is about whole rows", f"write {node.function}({node.stream})")
            return None
        if not node.column:
            example = next((column.name for column in stream.columns), "time")
            self.report(
                f"{node.function}() needs a column of the stream", f"write {node.function}({node.stream}.{example})"
            )
            return None
        kind = self.checker.column_kind(stream, node.column)
        if kind is None:
            hint = near_name(node.column, ["time", *(column.name for column in stream.columns)])
            self.report(f"`{stream.name}` has no column `{node.column}`", hint, "unknown-name")
        return kind

    def rows(self, name: str, stream: Stream) -> Expr | None:
        option = self.node.option(name)
        if option is None:
            return None
        address = self.option_address(name)
        expr = self.checker.visit(option, address, stream)
        if expr is not None and expr.kind != BOOLEAN:
            self.checker.report(
                option,
                address,
                "kind",
                f"`{name}=` is a condition on a row, this is {expr.kind}",
                "compare it with something",
            )
            return None
        return expr

    def window(self) -> Window:
        checker, node = self.checker, self.node
        within = _duration(checker, node.option("within"), self.option_address("within"), "within")
        ago = self.ago(node.option("ago"))
        since, until = self.bound("since"), self.bound("until")
        on = node.option("on")
        word = on.value if isinstance(on, Literal) and isinstance(on.value, str) else ""
        choices = next(p.choices for p in FUNCTIONS[node.function].params if p.name == "on")
        if on is not None and word not in choices:
            checker.report(
                on,
                self.option_address("on"),
                "argument",
                "`on=` is one of the calendar words",
                near_name(word, choices) or ", ".join(choices),
            )
        return Window(within, ago, since, until, word)

    def ago(self, node: Node | None) -> tuple[Duration, Duration] | None:
        if node is None:
            return None
        if isinstance(node, Literal) and isinstance(node.value, str) and node.value.count("..") == 1:
            near, far = (parse_duration(part.strip()) for part in node.value.split(".."))
            if (
                near is not None
                and far is not None
                and near.longest_days <= far.longest_days
                and (far.months or far.micros)
            ):
                return near, far
        self.checker.report(
            node,
            self.option_address("ago"),
            "argument",
            "`ago=` is a span between two lengths of time, the nearer first",
            'write ago="30d..90d"',
        )
        return None

    def bound(self, name: str) -> Expr | None:
        option = self.node.option(name)
        if option is None:
            return None
        address = self.option_address(name)
        expr = self.checker.visit(option, address, None)
        if expr is None:
            return None
        if isinstance(expr, Const) and isinstance(expr.value, str):
            return self.checker.read_text(expr.value, INSTANT, option, address)
        if not expr.kind.is_time:
            self.checker.report(option, address, "kind", f"`{name}=` is a date or an instant, this is {expr.kind}")
            return None
        return expr

    def number_argument(self) -> int | None:
        node, checker = self.node, self.checker
        if node.function == "nth":
            return _integer(checker, node.args[0], _under(self.address, "args.0"), "n")
        if node.function == "top":
            return _integer(checker, node.option("n"), self.option_address("n"), "n", most=100) or 1
        return None

    def length(self) -> Duration | None:
        node, checker = self.node, self.checker
        if node.function == "score":
            found = _duration(checker, node.option("half_life"), self.option_address("half_life"), "half_life")
            if found is not None and found.is_calendar:
                self.report("`half_life=` is counted in exact time", 'write it in days: "30d"')
            return found
        if node.function == "streak":
            option = node.option("every")
            found = _duration(checker, option, self.option_address("every"), "every")
            if found is not None and found.text not in _STREAKS:
                self.report("`every=` is a calendar period", "one of " + ", ".join(_STREAKS))
            return found
        return None

    def by(self, stream: Stream) -> Aggregate | None:
        option = self.node.option("by")
        if option is None:
            return None
        if isinstance(option, Call) and option.function in _BY and option.stream == stream.name and not option.named:
            found = self.checker.visit(option, self.option_address("by"), None)
            return found if isinstance(found, Aggregate) else None
        self.checker.report(
            option,
            self.option_address("by"),
            "argument",
            f"`by=` is an aggregate of the same rows without options, one of {', '.join(_BY)}",
            f"write by=sum({stream.name}.amount) or by=count({stream.name})",
        )
        return None

    def kind(self, column: Kind | None, n: int | None) -> Kind | None:
        node = self.node
        function = FUNCTIONS[node.function]
        if node.function in ("sum", "avg") and column is not None and not column.is_number:
            self.report(f"{node.function}() needs a number, `{node.column}` is {column}", code="kind")
            return None
        if node.function in ("min", "max") and column is not None and not column.is_ordered:
            self.report(f"{node.function}() needs something with an order, `{node.column}` is {column}", code="kind")
            return None
        if isinstance(function.result, Kind):
            return function.result
        assert column is not None
        return list_of(column) if node.function == "top" and (n or 1) > 1 else column


def _population(checker: Checker, node: Call, address: str) -> Expr | None:
    before = len(checker.problems)
    x = checker.visit(node.args[0], _under(address, "args.0"), None)
    if x is not None and not (x.kind.is_number or x.kind.is_time):
        checker.report(node.args[0], x.address, "kind", f"{node.function}() orders numbers and times, this is {x.kind}")
    if x is not None and x.kind.is_time and node.function in ("above_mean", "zscore"):
        checker.report(node.args[0], x.address, "kind", f"{node.function}() needs a number, this is {x.kind}")
    by = among = None
    if (option := node.option("by")) is not None:
        by = checker.visit(option, _under(address, "by"), None)
        if by is not None and (by.kind == FLOAT or by.kind.of is not None):
            checker.report(option, by.address, "kind", f"`by=` groups by {by.kind}, which has no groups")
    if (option := node.option("among")) is not None:
        among = checker.visit(option, _under(address, "among"), None)
        if among is not None and among.kind != BOOLEAN:
            checker.report(option, among.address, "kind", f"`among=` is a condition, this is {among.kind}")
    best = node.option("best")
    word = "high" if best is None else best.value if isinstance(best, Literal) else ""
    if word not in ("high", "low"):
        checker.report(node, address, "argument", '`best=` is "high" or "low"')
    n = 5 if node.function == "quintile" else None
    if node.function == "ntile":
        n = _integer(checker, node.args[1], _under(address, "args.1"), "n", 2, 1000)
    percent = None
    if node.function == "in_top":
        n, percent = _top_size(checker, node, address)
    if len(checker.problems) > before or x is None:
        return None
    function = FUNCTIONS[node.function]
    assert isinstance(function.result, Kind)
    name = "ntile" if node.function == "quintile" else node.function
    return Population(name, x, n, percent, by, among, str(word), kind=function.result, address=address)


def _top_size(checker: Checker, node: Call, address: str) -> tuple[int | None, Decimal | None]:
    n, percent = node.option("n"), node.option("percent")
    if (n is None) == (percent is None):
        checker.report(
            node, address, "argument", "in_top() needs either `n=` or `percent=`", "write in_top(x, percent=20)"
        )
        return None, None
    if n is not None:
        return _integer(checker, n, _under(address, "n"), "n", 1, 10**9), None
    written_out = (
        isinstance(percent, Literal)
        and isinstance(percent.value, int | Decimal)
        and not isinstance(percent.value, bool)
    )
    if (
        written_out
        and isinstance(percent, Literal)
        and isinstance(percent.value, int | Decimal)
        and 0 < percent.value <= 100
    ):
        return None, Decimal(percent.value)
    checker.report(node, address, "argument", "`percent=` is a number above 0 and up to 100, written out")
    return None, None


def _text_argument(
    checker: Checker, node: Call, index: int, address: str, known: Mapping[str, object] | tuple[str, ...], what: str
) -> str | None:
    argument = node.args[index]
    if not (isinstance(argument, Literal) and isinstance(argument.value, str)):
        checker.report(argument, address, "argument", f"the name of a {what} is written in quotes")
        return None
    if argument.value not in known:
        checker.report(
            argument,
            address,
            "unknown-name",
            f"there is no {what} `{argument.value}`",
            near_name(argument.value, known),
        )
        return None
    return argument.value


def _membership(checker: Checker, node: Call, address: str) -> Expr | None:
    scope = checker.scope
    first = _under(address, "args.0")
    if node.function == "segment":
        segment = _text_argument(checker, node, 0, first, dict.fromkeys(scope.segments), "segment")
        return None if segment is None else SegmentOf(segment, kind=BOOLEAN, address=address)
    tiering = _text_argument(checker, node, 0, first, scope.tierings, "tiering")
    if tiering is None:
        return None
    tier = TierOf(tiering, kind=tier_of(tiering), address=address)
    if node.function == "tier":
        return tier
    names = scope.tierings[tiering]
    if not names.ordered:
        checker.report(
            node,
            address,
            "kind",
            f"the tiers of `{tiering}` have no rank",
            "declare `ordered: true` in the tiering, best tier first",
        )
        return None
    name = _text_argument(checker, node, 1, _under(address, "args.1"), names.tiers, "tier")
    if name is None:
        return None
    reached = names.tiers[: names.tiers.index(name) + 1]
    listed = Const(reached, kind=list_of(tier.kind), address=_under(address, "args.1"))
    return Apply("in", (replace(tier, address=first), listed), kind=BOOLEAN, address=address)


# -- scalars --------------------------------------------------------------------------------------------------------

_Scalar = Callable[["Checker", Call, list[Expr], str], Expr | None]


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
    within = _duration(checker, node.option("within"), _under(address, "within"), "within")
    date = _fit(checker, args[0], Param("x", "time"), node.args[0])
    if within is None or date is None:
        return None
    if not within.is_whole_days:
        checker.report(node, address, "argument", "`within=` of an anniversary is in whole days", 'write within="7d"')
        return None
    length = Const(within, kind=DURATION, address=_under(address, "within"))
    return Apply("anniversary", (checker.local_date(date), length), kind=BOOLEAN, address=address)


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
    table = _text_argument(checker, node, 0, _under(address, "args.0"), checker.scope.lookups, "lookup")
    if table is None:
        return None
    columns = checker.scope.lookups[table]
    column = _text_argument(checker, node, 2, _under(address, "args.2"), columns, f"column of `{table}`")
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
