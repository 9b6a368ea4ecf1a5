"""How each function call is checked: its arguments against its declaration, and the kind it gives."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tierwise.definitions.language.functions import FUNCTIONS, Function
from tierwise.definitions.language.group_calls import check_group
from tierwise.definitions.language.kinds import (
    BOOLEAN,
    FLOAT,
    INSTANT,
    Kind,
    list_of,
)
from tierwise.definitions.language.membership_calls import check_membership
from tierwise.definitions.language.nodes import Call, Literal, Node
from tierwise.definitions.language.scalar_calls import check_scalar
from tierwise.definitions.language.sequence_calls import check_sequence
from tierwise.definitions.language.times import Duration, parse_duration
from tierwise.definitions.language.typed import (
    Aggregate,
    Const,
    Expr,
    Population,
    RelatedOf,
    Window,
)
from tierwise.definitions.language.written import duration, integer, under
from tierwise.definitions.streams import Stream
from tierwise.errors import near_name

if TYPE_CHECKING:
    from tierwise.definitions.language.checker import Checker

__all__ = ["check_call"]

_BY: Final = ("count", "sum", "avg", "min", "max", "distinct", "days")
_RELATED: Final = ("count", "exists", "sum", "avg", "min", "max", "distinct", "days", "share", "first", "last")
_STREAKS: Final = ("1d", "1w", "1mo", "3mo", "1y")


def check_call(checker: Checker, node: Call, address: str, rows: Stream | None) -> Expr | None:
    """Return the checked call, or None after reporting."""
    function = FUNCTIONS[node.function]
    if not _arguments_fit(checker, node, function, address):
        return None
    if function.group == "stream":
        return _Aggregates(checker, node, address).check() if rows is None else _related(checker, node, address, rows)
    if rows is not None and function.group in ("population", "group", "membership", "sequence"):
        hint = "make it a tag, and write customer.<tag>"
        checker.report(
            node, address, "kind", f"{node.function}() is about customers and cannot stand in a condition on rows", hint
        )
        return None
    if checker.scope.columns is not None and function.boundary != "none":
        checker.report(node, address, "kind", f"{node.function}() depends on as_of and cannot stand in a source")
        return None
    if function.group == "group":
        return check_group(checker, node, address)
    if function.group == "sequence":
        return check_sequence(checker, node, address)
    if function.group == "population":
        return _population(checker, node, address)
    if function.group == "membership":
        return check_membership(checker, node, address)
    args = [checker.visit(arg, under(address, f"args.{i}"), rows) for i, arg in enumerate(node.args)]
    if any(arg is None for arg in args):
        return None
    exprs = [arg for arg in args if arg is not None]
    return check_scalar(checker, node, exprs, address)


def _related(checker: Checker, node: Call, address: str, rows: Stream) -> Expr | None:
    """Check a function over the rows that are part of a row."""
    stream = checker.scope.streams.get(node.stream)
    if stream is not None and stream.of != rows.name:
        hint = f"declare it: streams: {{{stream.name}: {{of: {rows.name}, by: …}}}}, or make it a tag, customer.<tag>"
        message = f"the rows of `{stream.name}` are not part of a row of `{rows.name}`"
        checker.report(node, address, "kind", message, hint)
        return None
    if node.function not in _RELATED or node.option("latest") is not None:
        checker.report(
            node,
            address,
            "argument",
            f"of the rows that are part of a row, {', '.join(_RELATED)} are known, without `latest=`",
        )
        return None
    found = _Aggregates(checker, node, address).check()
    if stream is None or not isinstance(found, Aggregate):
        return None
    return RelatedOf(found, stream.of_key, kind=found.kind, address=address)


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


class _Aggregates:
    """A function over a stream."""

    def __init__(self, checker: Checker, node: Call, address: str) -> None:
        self.checker, self.node, self.address = checker, node, address

    def report(self, message: str, hint: str = "", code: str = "argument") -> None:
        self.checker.report(self.node, self.address, code, message, hint)

    def option_address(self, name: str) -> str:
        return under(self.address, name)

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
        latest = integer(checker, node.option("latest"), self.option_address("latest"), "latest")
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
        within = duration(checker, node.option("within"), self.option_address("within"), "within")
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
            return integer(checker, node.args[0], under(self.address, "args.0"), "n")
        if node.function == "periods":
            return integer(checker, node.option("n"), self.option_address("n"), "n", most=1000)
        if node.function == "top":
            return integer(checker, node.option("n"), self.option_address("n"), "n", most=100) or 1
        return None

    def length(self) -> Duration | None:
        node, checker = self.node, self.checker
        if node.function == "score":
            found = duration(checker, node.option("half_life"), self.option_address("half_life"), "half_life")
            if found is not None and found.is_calendar:
                self.report("`half_life=` is counted in exact time", 'write it in days: "30d"')
            return found
        if node.function in ("streak", "periods"):
            option = node.option("every")
            found = duration(checker, option, self.option_address("every"), "every")
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
        if node.function in ("sum", "avg", "time_avg") and column is not None and not column.is_number:
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
    x = checker.visit(node.args[0], under(address, "args.0"), None)
    if x is not None and not (x.kind.is_number or x.kind.is_time):
        checker.report(node.args[0], x.address, "kind", f"{node.function}() orders numbers and times, this is {x.kind}")
    if x is not None and x.kind.is_time and node.function in ("above_mean", "zscore"):
        checker.report(node.args[0], x.address, "kind", f"{node.function}() needs a number, this is {x.kind}")
    by = among = None
    if (option := node.option("by")) is not None:
        by = checker.visit(option, under(address, "by"), None)
        if by is not None and (by.kind == FLOAT or by.kind.of is not None):
            checker.report(option, by.address, "kind", f"`by=` groups by {by.kind}, which has no groups")
    if (option := node.option("among")) is not None:
        among = checker.visit(option, under(address, "among"), None)
        if among is not None and among.kind != BOOLEAN:
            checker.report(option, among.address, "kind", f"`among=` is a condition, this is {among.kind}")
    best = node.option("best")
    word = "high" if best is None else best.value if isinstance(best, Literal) else ""
    if word not in ("high", "low"):
        checker.report(node, address, "argument", '`best=` is "high" or "low"')
    n = 5 if node.function == "quintile" else None
    if node.function == "ntile":
        n = integer(checker, node.args[1], under(address, "args.1"), "n", 2, 1000)
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
        return integer(checker, n, under(address, "n"), "n", 1, 10**9), None
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
