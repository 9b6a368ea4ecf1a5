"""Written tree to checked tree: resolves names, gives every node a kind, reports every problem at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from tierwise.definitions.language import calls
from tierwise.definitions.language.functions import LATER
from tierwise.definitions.language.kinds import (
    BOOLEAN,
    DATE,
    DECIMAL,
    DURATION,
    FLOAT,
    INSTANT,
    INTEGER,
    MONEY,
    TEXT,
    Kind,
    list_of,
)
from tierwise.definitions.language.nodes import (
    Call,
    Chain,
    Column,
    CustomerValue,
    Items,
    Literal,
    Name,
    Node,
    Op,
    Parameter,
    Step,
)
from tierwise.definitions.language.parser import problem_at
from tierwise.definitions.language.times import Zone, parse_date, parse_duration, parse_instant
from tierwise.definitions.language.typed import (
    Apply,
    AsOf,
    AttributeOf,
    ColumnOf,
    Const,
    Expr,
    ParameterOf,
    TagOf,
    Value,
)
from tierwise.definitions.streams import Stream
from tierwise.errors import Place, Problem, near_name

__all__ = ["Checked", "Checker", "Scope", "TierNames", "check_expression", "wider"]

_WIDTH: Final = {INTEGER: 0, MONEY: 1, DECIMAL: 2, FLOAT: 3}


@dataclass(frozen=True, slots=True)
class TierNames:
    """What an expression may know of a tiering: its tiers, best first when `ordered`; checked, also their `rules`."""

    tiers: tuple[str, ...]
    ordered: bool = False
    rules: Mapping[str, Expr | None] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can refer to.

    `columns` is given for a source's expressions: bare names are then columns of the file, and a text column that
    meets a number is read as one.
    """

    streams: Mapping[str, Stream] = field(default_factory=lambda: MappingProxyType({}))
    attributes: Mapping[str, Kind] = field(default_factory=lambda: MappingProxyType({}))
    tags: Mapping[str, Kind] = field(default_factory=lambda: MappingProxyType({}))
    segments: Collection[str] = ()
    tierings: Mapping[str, TierNames] = field(default_factory=lambda: MappingProxyType({}))
    parameters: Mapping[str, tuple[Kind, Value]] = field(default_factory=lambda: MappingProxyType({}))
    lookups: Mapping[str, Mapping[str, Kind]] = field(default_factory=lambda: MappingProxyType({}))
    zone: Zone = field(default_factory=lambda: Zone("Asia/Shanghai"))
    columns: Mapping[str, Kind] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The checked tree, or None with the problems that prevent it."""

    expr: Expr | None
    problems: tuple[Problem, ...]


def check_expression(
    node: Node, scope: Scope, *, text: str = "", place: Place | None = None, expect: Kind | None = None
) -> Checked:
    """Check a tree in a scope; `expect` is the kind it must have, when one is needed.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> from tierwise.definitions.streams import BUILT_IN
        >>> tree = parse("count(orders) > 3")
        >>> check_expression(tree, Scope(streams=BUILT_IN), expect=BOOLEAN).problems
        ()
    """
    checker = Checker(scope, text, place or Place())
    stream = Stream("file") if scope.columns is not None else None
    expr = checker.visit(node, "", stream)
    if expr is not None and expect is not None:
        if expect == BOOLEAN and expr.kind != BOOLEAN:
            checker.report(
                node, "", "kind", f"a condition is needed here, this is {_a(expr.kind)}", "compare it with something"
            )
            expr = None
        elif expect != BOOLEAN:
            expr = checker.convert(expr, expect, node, "")
    return Checked(expr if not checker.problems else None, tuple(checker.problems))


def wider(left: Kind, right: Kind) -> Kind | None:
    """Return the kind that holds values of both, or None when there is none.

    Example:
        >>> str(wider(INTEGER, DECIMAL))
        'decimal'
    """
    if left == right:
        return left
    if left.is_number and right.is_number:
        return max(left, right, key=lambda kind: _WIDTH[kind])
    return None


def _a(kind: Kind) -> str:
    word = str(kind)
    if kind in (MONEY, TEXT):
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


class Checker:
    """One walk over one expression; `problems` collects what is wrong."""

    def __init__(self, scope: Scope, text: str, place: Place) -> None:
        self.scope, self.text, self.place = scope, text, place
        self.problems: list[Problem] = []

    def report(self, node: Node, address: str, code: str, message: str, hint: str = "") -> None:
        """Note a problem at a node."""
        if self.text:
            self.problems.append(problem_at(self.text, node.at, self.place, code, message, hint, address))
        else:
            self.problems.append(Problem(code, message, self.place, hint, address=address))

    def visit(self, node: Node, address: str, rows: Stream | None) -> Expr | None:
        """Return the checked node, or None after reporting; `rows` is the stream whose rows bare names are about."""
        match node:
            case Literal(value):
                return Const(value, kind=_literal_kind(value), address=address)
            case Name(name):
                return self.name(node, name, address)
            case Column(name):
                assert rows is not None
                return self.column(node, name, address, rows)
            case CustomerValue(name):
                return self.name(node, name, address)
            case Parameter(name):
                return self.parameter(node, name, address)
            case Step():
                self.report(node, address, "kind", "a stream with a condition is a step of followed()")
                return None
            case Items():
                self.report(node, address, "kind", "a list can only stand on the right side of `in`")
                return None
            case Call():
                return calls.check_call(self, node, address, rows)
            case Chain(ops, args):
                return self.chain(node, ops, args, address, rows)
            case Op("in" | "not_in" as op, (left, right)):
                return self.membership(node, op, left, right, address, rows)
            case Op():
                return self.operator(node, address, rows)
        raise AssertionError(node)

    # -- names ------------------------------------------------------------------------------------------------------

    def name(self, node: Node, name: str, address: str) -> Expr | None:
        """Resolve a bare name about a customer."""
        scope = self.scope
        if name == "as_of":
            return AsOf(address=address)
        if name in scope.attributes:
            return AttributeOf(name, kind=scope.attributes[name], address=address)
        if name in scope.tags:
            return TagOf(name, kind=scope.tags[name], address=address)
        if name in scope.streams:
            hint = f"say what of it: count({name}), exists({name}), last({name}.time) …"
            self.report(node, address, "kind", f"`{name}` is a stream, not a value", hint)
        elif name in scope.segments:
            self.report(node, address, "kind", f"`{name}` is a segment", f'write segment("{name}")')
        elif name in scope.tierings:
            self.report(node, address, "kind", f"`{name}` is a tiering", f'write tier("{name}")')
        elif name in LATER:
            self.report(
                node, address, "not-yet", f"`{name}` is not available in this version: {LATER[name]} come later"
            )
        else:
            known = [*scope.attributes, *scope.tags, *scope.streams, "as_of"]
            self.report(node, address, "unknown-name", f"there is no tag or attribute `{name}`", near_name(name, known))
        return None

    def column(self, node: Node, name: str, address: str, rows: Stream) -> Expr | None:
        """Resolve a bare name about a row."""
        if name == "as_of" and self.scope.columns is None:
            return AsOf(address=address)
        if self.scope.columns is not None:
            kind = self.scope.columns.get(name)
            if kind is None:
                known = list(self.scope.columns)
                self.report(node, address, "unknown-name", f"the file has no column `{name}`", near_name(name, known))
                return None
            return ColumnOf(name, kind=kind, address=address)
        kind = self.column_kind(rows, name)
        if kind is not None:
            return ColumnOf(name, kind=kind, address=address)
        if name in self.scope.tags or name in self.scope.attributes:
            hint = f"for the customer's value write customer.{name}"
        else:
            hint = near_name(name, ["time", *(column.name for column in rows.columns)])
        self.report(node, address, "unknown-name", f"`{rows.name}` has no column `{name}`", hint)
        return None

    def column_kind(self, stream: Stream, name: str) -> Kind | None:
        """Return the kind of a stream's column, or None."""
        if name == "time":
            return INSTANT
        column = stream.column(name)
        return None if column is None else column.kind

    def parameter(self, node: Node, name: str, address: str) -> Expr | None:
        """Resolve a parameter."""
        found = self.scope.parameters.get(name)
        if found is None:
            self.report(
                node, address, "unknown-name", f"there is no parameter `{name}`", near_name(name, self.scope.parameters)
            )
            return None
        return ParameterOf(name, kind=found[0], address=address)

    # -- operators --------------------------------------------------------------------------------------------------

    def operator(self, node: Op, address: str, rows: Stream | None) -> Expr | None:
        """Check an operator and its operands."""
        args = [self.visit(arg, f"{address}.args.{i}".lstrip("."), rows) for i, arg in enumerate(node.args)]
        if node.op in ("and", "or", "not"):
            return self.logic(node, args, address)
        exprs = [arg for arg in args if arg is not None]
        if len(exprs) < len(args):
            return None
        match node.op:
            case "missing" | "present":
                return Apply(node.op, tuple(exprs), kind=BOOLEAN, address=address)
            case "neg":
                number = self.as_number(exprs[0], node.args[0], exprs[0].address)
                if number is None:
                    return None
                if isinstance(number, Const) and isinstance(number.value, int | Decimal):
                    return Const(-number.value, kind=number.kind, address=address)
                return Apply("neg", (number,), kind=number.kind, address=address)
            case "+" | "-" | "*" | "/":
                result: Expr | None = exprs[0]
                for written, operand in zip(node.args[1:], exprs[1:], strict=True):
                    if result is not None:
                        result = self.arithmetic(node, node.op, result, operand, (node.args[0], written), address)
                return _side_by_side(result, len(exprs))
        return self.compare(node, node.op, exprs[0], exprs[1], (node.args[0], node.args[1]), address)

    def logic(self, node: Op, args: list[Expr | None], address: str) -> Expr | None:
        """Join conditions; every operand that is none is reported, whatever is wrong with the others."""
        good = []
        for written, expr in zip(node.args, args, strict=True):
            if expr is not None and expr.kind == BOOLEAN:
                good.append(expr)
            elif expr is not None:
                message = f"`{node.op}` joins conditions, this is {_a(expr.kind)}"
                self.report(written, expr.address, "kind", message, "compare it with something")
        return Apply(node.op, tuple(good), kind=BOOLEAN, address=address) if len(good) == len(args) else None

    def chain(
        self, node: Chain, ops: tuple[str, ...], args: tuple[Node, ...], address: str, rows: Stream | None
    ) -> Expr | None:
        """Check a chained comparison; it becomes the conjunction of its steps."""
        exprs = [self.visit(arg, f"{address}.args.{i}".lstrip("."), rows) for i, arg in enumerate(args)]
        steps = []
        for i, op in enumerate(ops):
            left, right = exprs[i], exprs[i + 1]
            if left is None or right is None:
                continue
            steps.append(self.compare(node, op, left, right, (args[i], args[i + 1]), address))
        found = [step for step in steps if step is not None]
        return Apply("and", tuple(found), kind=BOOLEAN, address=address) if len(found) == len(ops) else None

    def compare(
        self, node: Node, op: str, left: Expr, right: Expr, written: tuple[Node, Node], address: str
    ) -> Expr | None:
        """Check one comparison."""
        pair = self.alike(left, right, written)
        if pair is None:
            return None
        left, right = pair
        if left.kind.name in ("tier", "boolean", "list", "duration") and op not in ("==", "!="):
            tiering = left.kind.tiering
            hint = f'write at_least("{tiering}", …)' if tiering else "only == and != apply"
            self.report(node, address, "kind", f"`{op}` does not compare {left.kind.name}s", hint)
            return None
        if left.kind.name in ("list", "duration"):
            self.report(node, address, "kind", f"two {left.kind.name}s cannot be compared")
            return None
        return Apply(op, (left, right), kind=BOOLEAN, address=address)

    def alike(self, left: Expr, right: Expr, written: tuple[Node, Node]) -> tuple[Expr, Expr] | None:
        """Bring two operands of a comparison to kinds that compare, or report."""
        if left.kind == TEXT and isinstance(left, Const) and right.kind != TEXT:
            found = self.convert(left, right.kind, written[0], left.address)
            return None if found is None else self.same_time(found, right)
        if right.kind == TEXT and isinstance(right, Const) and left.kind != TEXT:
            found = self.convert(right, left.kind, written[1], right.address)
            return None if found is None else self.same_time(left, found)
        if self.scope.columns is not None and TEXT in (left.kind, right.kind) and left.kind != right.kind:
            numbers = self.as_number(left, written[0], left.address), self.as_number(right, written[1], right.address)
            return None if numbers[0] is None or numbers[1] is None else (numbers[0], numbers[1])
        if left.kind.is_time and right.kind.is_time:
            return self.same_time(left, right)
        if left.kind == right.kind or (left.kind.is_number and right.kind.is_number):
            return left, right
        hint = ""
        if TEXT in (left.kind, right.kind):
            hint = "put the value in quotes, or declare the column's type"
        self.report(
            written[1], right.address, "kind", f"{_a(left.kind)} cannot be compared with {_a(right.kind)}", hint
        )
        return None

    def same_time(self, left: Expr, right: Expr) -> tuple[Expr, Expr]:
        """An instant that meets a date is taken as its local date."""
        if left.kind == INSTANT and right.kind == DATE:
            return self.local_date(left), right
        if left.kind == DATE and right.kind == INSTANT:
            return left, self.local_date(right)
        return left, right

    def local_date(self, expr: Expr) -> Expr:
        """Return the local date of an instant (dates stay)."""
        if expr.kind == DATE:
            return expr
        if isinstance(expr, Const) and isinstance(expr.value, datetime):
            return Const(self.scope.zone.day_of(expr.value), kind=DATE, address=expr.address)
        return Apply("local_date", (expr,), kind=DATE, address=expr.address)

    def arithmetic(
        self, node: Op, op: str, left: Expr, right: Expr, written: tuple[Node, Node], address: str
    ) -> Expr | None:
        """Check an arithmetic operator on two operands."""
        if left.kind.is_time or right.kind.is_time:
            return self.time_arithmetic(node, op, left, right, written, address)
        one, two = self.as_number(left, written[0], left.address), self.as_number(right, written[1], right.address)
        if one is None or two is None:
            return None
        kind = wider(one.kind, two.kind)
        assert kind is not None
        if op == "/":
            kind = FLOAT
        elif op == "*" and one.kind == two.kind == MONEY:
            self.report(
                node, address, "kind", "money times money has no meaning", "one of the two should be a plain number"
            )
            return None
        return Apply(op, (one, two), kind=kind, address=address)

    def time_arithmetic(
        self, node: Op, op: str, left: Expr, right: Expr, written: tuple[Node, Node], address: str
    ) -> Expr | None:
        """Check `+` and `-` with a date or an instant."""
        if left.kind.is_time and right.kind.is_time and op == "-":
            kind = FLOAT if left.kind == right.kind == INSTANT else INTEGER
            if kind == INTEGER:
                left, right = self.local_date(left), self.local_date(right)
            return Apply("-", (left, right), kind=kind, address=address)
        if left.kind.is_time and op in ("+", "-"):
            duration = self.convert(right, DURATION, written[1], right.address)
            if duration is None:
                return None
            whole = isinstance(duration, Const) and getattr(duration.value, "is_whole_days", True)
            if left.kind == DATE and not whole:
                self.report(
                    written[1], right.address, "kind", "only whole days, weeks, months and years can be added to a date"
                )
                return None
            return Apply(op, (left, duration), kind=left.kind, address=address)
        self.report(
            node,
            address,
            "kind",
            f"{_a(left.kind)} {op} {_a(right.kind)} has no meaning",
            'a length of time is written "30d"',
        )
        return None

    def membership(self, node: Op, op: str, left: Node, right: Node, address: str, rows: Stream | None) -> Expr | None:
        """Check `in` and `not in`."""
        value = self.visit(left, f"{address}.args.0".lstrip("."), rows)
        inside = f"{address}.args.1".lstrip(".")
        if not isinstance(right, Items):
            found = self.visit(right, inside, rows)
            if value is None or found is None:
                return None
            if found.kind.of != value.kind:
                self.report(
                    right,
                    inside,
                    "kind",
                    f"`in` needs a list of {value.kind}, this is {_a(found.kind)}",
                    'write a list: x in ("a", "b")',
                )
                return None
            return Apply(op, (value, found), kind=BOOLEAN, address=address)
        if value is not None and value.kind.name in ("list", "duration"):
            self.report(left, value.address, "kind", f"`{op.replace('_', ' ')}` does not compare {value.kind.name}s")
            return None
        items = [self.visit(item, f"{inside}.items.{i}", rows) for i, item in enumerate(right.items)]
        if value is None or any(item is None for item in items):
            return None
        pairs = []
        for written, item in zip(right.items, items, strict=True):
            assert item is not None
            pair = self.alike(value, item, (left, written))
            if pair is None:
                return None
            pairs.append(pair)
        constants = [pair[1] for pair in pairs if isinstance(pair[1], Const)]
        alike = len({pair[0] for pair in pairs}) == 1 and len({item.kind for item in constants}) == 1
        if len(constants) == len(pairs) and value.kind != FLOAT and alike:
            listed = Const(tuple(item.value for item in constants), kind=list_of(constants[0].kind), address=inside)
            return Apply(op, (pairs[0][0], listed), kind=BOOLEAN, address=address)
        tests: tuple[Expr, ...] = tuple(Apply("==", pair, kind=BOOLEAN, address=address) for pair in pairs)
        either = tests[0] if len(tests) == 1 else Apply("or", tests, kind=BOOLEAN, address=address)
        return either if op == "in" else Apply("not", (either,), kind=BOOLEAN, address=address)

    # -- conversions ------------------------------------------------------------------------------------------------

    def as_number(self, expr: Expr, node: Node, address: str) -> Expr | None:
        """Return the expression as a number, or report; in a source a text column is read as one."""
        if expr.kind.is_number:
            return expr
        if self.scope.columns is not None and expr.kind == TEXT and not isinstance(expr, Const):
            return Apply("to_number", (expr,), kind=DECIMAL, address=address)
        self.report(node, address, "kind", f"a number is needed here, this is {_a(expr.kind)}")
        return None

    def convert(self, expr: Expr, kind: Kind, node: Node, address: str) -> Expr | None:
        """Return the expression as `kind` (texts written out become dates, instants, durations, tiers), or report."""
        if expr.kind == kind or (expr.kind.is_number and kind.is_number):
            return expr
        if isinstance(expr, Const) and isinstance(expr.value, str):
            return self.read_text(expr.value, kind, node, address)
        if isinstance(expr, ParameterOf) and expr.kind == DURATION and kind == DURATION:
            return expr
        self.report(node, address, "kind", f"{_a(kind)} is needed here, this is {_a(expr.kind)}")
        return None

    def read_text(self, text: str, kind: Kind, node: Node, address: str) -> Expr | None:
        """Read a text written out as a value of a kind, or report."""
        value: Value = None
        found = kind
        hint = ""
        match kind.name:
            case "date" | "instant":
                value = parse_date(text)
                found = DATE
                if value is None:
                    value, found = parse_instant(text, self.scope.zone), INSTANT
                hint = 'a date is written "2026-03-01", an instant "2026-03-01 08:00"'
                if value is not None and not _reasonable(value):
                    value = None
            case "duration":
                value = parse_duration(text)
                hint = 'a length of time is a whole number with m, h, d, w, mo or y: "30d"'
            case "tier":
                names = self.scope.tierings[kind.tiering].tiers
                value = text if text in names else None
                hint = near_name(text, names)
            case _:
                hint = "write the number without quotes" if kind.is_number else ""
        if value is None:
            if kind.is_time and (parse_date(text) or parse_instant(text, self.scope.zone)):
                hint = "years run from 1900 to 2200"
            self.report(node, address, "kind", f'"{text}" is not {_a(kind)}', hint)
            return None
        return Const(value, kind=found, address=address)


def _side_by_side(expr: Expr | None, count: int) -> Expr | None:
    """Return a sum or product of so many numbers as one node, so that a long one is not a deep one."""
    if count < 3 or not isinstance(expr, Apply) or expr.function not in ("+", "*") or not expr.kind.is_number:
        return expr
    args: list[Expr] = []
    left: Expr = expr
    for _ in range(count - 1):
        assert isinstance(left, Apply)
        left, right = left.args
        args.append(right)
    return Apply(expr.function, (left, *reversed(args)), kind=expr.kind, address=expr.address)


def _reasonable(value: Value) -> bool:
    year = value.year if isinstance(value, date) else 2000
    return 1900 <= year <= 2200


def _literal_kind(value: bool | int | Decimal | str) -> Kind:
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return INTEGER
    return DECIMAL if isinstance(value, Decimal) else TEXT
