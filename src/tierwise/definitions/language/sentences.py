"""Tree to sentence: every expression as one plain sentence, in Chinese and in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from tierwise.definitions.language import words
from tierwise.definitions.language.functions import FUNCTIONS
from tierwise.definitions.language.nodes import (
    COMPARISONS,
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
    walk,
)  # fmt: skip
from tierwise.definitions.language.printer import quoted
from tierwise.definitions.language.times import Zone, parse_date, parse_duration, parse_instant
from tierwise.definitions.language.words import Labels, Language

__all__ = ["Labels", "Language", "SentencePart", "parts", "sentence"]


@dataclass(frozen=True, slots=True)
class SentencePart:
    """How one node reads, by its address in the tree."""

    address: str
    text: str


def sentence(node: Node, language: Language, names: Labels | None = None) -> str:
    """Return the expression as one sentence.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> tree = parse('exists(orders, where=amount > 100, within="30d") and city != "上海"')
        >>> sentence(tree, "zh")
        '近30天内有订单（实付金额 > 100），且 城市 不是 "上海"（含缺失）'
        >>> sentence(tree, "en")
        'has orders (amount is more than 100) in the last 30 days, and city is not "上海" (or unknown)'
    """
    return _Writer(language, names or Labels()).write(node, "")


def parts(node: Node, language: Language, names: Labels | None = None) -> list[SentencePart]:
    """Return how each node of the tree reads, parents first; the first part is the whole sentence.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> [(part.address, part.text) for part in parts(parse("kept and spend > 5"), "en")]
        [('', 'kept, and spend is more than 5'), ('args.0', 'kept'), ('args.1', 'spend is more than 5'),
         ('args.1.args.0', 'spend'), ('args.1.args.1', '5')]
    """
    writer = _Writer(language, names or Labels())
    writer.write(node, "")
    return [SentencePart(address, writer.found[address]) for address, _ in walk(node)]


_RANK: Final = {
    "or": 1,
    "and": 2,
    "not": 3,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "neg": 7,
    **dict.fromkeys((*COMPARISONS, "in", "not_in", "missing", "present"), 4),
}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: How a literal reads as an argument, where it is more than a number or a quoted text.
_ROLES: Final = {
    "half_life": "duration", "every": "duration", "within": "duration", "gap": "duration", "best": "best",
    "nth.n": "ordinal",
    "anniversary.calendar": "era", "sample.share": "share",
    "in_top.n": "place", "in_top.percent": "percent", "segment.segment": "segments", "tier.tiering": "tierings",
    "at_least.tiering": "tierings", "at_least.tier": "tiers", "was_tier.tiering": "tierings", "was_tier.tier": "tiers",
    "tier_since.tiering": "tierings", "to_next.tiering": "tierings", "entered.tier": "tiers", "left.tier": "tiers",
    "lookup.table": "lookups", "lookup.column": "columns",
}  # fmt: skip
_UTC: Final = Zone("UTC")


@dataclass(slots=True)
class _Writer:
    """One walk over one tree; `found` keeps how each node reads, by address.

    The `role` of a node is what is expected of it where it stands: it says how a literal reads.
    """

    language: Language
    names: Labels
    found: dict[str, str] = field(default_factory=dict)

    def write(self, node: Node, address: str, stream: str = "", role: str = "") -> str:
        text = self.found[address] = self._write(node, address, stream, role)
        return text

    def word(self, name: str, *values: str) -> str:
        return self.choice(words.WORDS[name]).format(*values)

    def choice(self, pair: tuple[str, str]) -> str:
        return pair[0 if self.language == "zh" else 1]

    def bracketed(self, text: str) -> str:
        return f"（{text}）" if self.language == "zh" else f"({text})"

    def join(self, *texts: str) -> str:
        """Put texts beside each other with a space between; a Chinese bracket brings its own."""
        joined = texts[0]
        for text in texts[1:]:
            close = self.language == "zh" and (text.startswith("（") or joined.endswith("）"))
            joined = joined.rstrip(" ") + text if close else f"{joined} {text}"
        return joined

    def _write(self, node: Node, address: str, stream: str, role: str) -> str:
        text = self.names.text
        match node:
            case Literal(value):
                return self.literal(value, role)
            case Items(items):
                return self.word("list").join(
                    self.inside(item, _under(address, f"items.{i}"), stream, role) for i, item in enumerate(items)
                )
            case Name("as_of") | Column("as_of"):
                return self.word("as_of")
            case Name(name):
                return text("tags" if name in self.names.tags else "attributes", name, self.language)
            case CustomerValue(name):
                of = "tags" if name in self.names.tags else "attributes"
                return self.word("customer", text(of, name, self.language))
            case Column(name):
                return text("columns", f"{stream}.{name}", self.language) if stream else self.word("file", name)
            case Parameter(name):
                return self.word("parameter", text("parameters", name, self.language))
            case Chain(ops, args):
                return self.chain(ops, args, address, stream)
            case Step(of, where):
                label = text("streams", of, self.language)
                condition = "" if where is None else self.bracketed(self.write(where, _under(address, "where"), of))
                return self.join(label, condition) if condition else label
            case Call():
                return self.call(node, address, stream)
            case Op("and" | "or" as op, args):
                texts = [self.operand(arg, i, address, stream, 3) for i, arg in enumerate(args)]
                return self.join(*(text + self.word(op) for text in texts[:-1]), texts[-1])
            case Op("not", (operand,)):
                return self.negation(operand, address, stream)
            case Op("neg", (operand,)):
                return "−" + self.operand(operand, 0, address, stream, 7)
            case Op("missing" | "present" as op, (operand,)):
                return self.word(op, self.operand(operand, 0, address, stream, 5))
            case Op("in" | "not_in" as op, args):
                return self.membership(op, args, address, stream)
            case Op("+" | "-" | "*" | "/" as op, args):
                return self.arithmetic(op, args, address, stream)
            case Op(op, (left, right)):
                return self.comparison(op, left, right, address, stream)
        raise AssertionError(node)

    def operand(self, node: Node, index: int, address: str, stream: str, least: int, role: str = "") -> str:
        """Write an operand, in brackets where it binds more loosely than its place allows."""
        text = self.write(node, _under(address, f"args.{index}"), stream, role)
        return self.bracketed(text) if _rank(node) < least else text

    def inside(self, node: Node, address: str, stream: str, role: str = "", loose: bool = False) -> str:
        """Write a node inside a phrase, in brackets unless it is a word (or, where that is clear, a short call)."""
        text = self.write(node, address, stream, role)
        return text if not isinstance(node, Op | Chain | Call) or (loose and _is_bare(node)) else self.bracketed(text)

    # -- operators --------------------------------------------------------------------------------------------------

    def negation(self, operand: Node, address: str, stream: str) -> str:
        under = _under(address, "args.0")
        text = self.inside(operand, under, stream)
        if isinstance(operand, Call) and operand.function in words.NEGATED:
            return self.call(operand, under, stream, negated=True)
        return self.join(self.word("not"), text)

    def arithmetic(self, op: str, args: tuple[Node, ...], address: str, stream: str) -> str:
        rank = _RANK[op]
        written = []
        for i, arg in enumerate(args):
            first_of_own = i == 0 and not (op in "+*" and isinstance(arg, Op) and arg.op == op)
            role = "duration" if op in "+-" and i > 0 else ""
            written.append(self.operand(arg, i, address, stream, rank if first_of_own else rank + 1, role))
        return self.join(written[0], *(part for text in written[1:] for part in (words.SIGNS[op], text)))

    def membership(self, op: str, args: tuple[Node, ...], address: str, stream: str) -> str:
        left = self.operand(args[0], 0, address, stream, 5)
        listed = isinstance(args[1], Items)
        right = self.operand(args[1], 1, address, stream, 8, self.role_beside(args[0]))
        return self.word(op if listed else f"{op} list", left, right) + (self.word("unknown") if op == "not_in" else "")

    def comparison(self, op: str, left: Node, right: Node, address: str, stream: str) -> str:
        roles = self.role_beside(right), self.role_beside(left)
        before = self.operand(left, 0, address, stream, 5, roles[0])
        after = self.operand(right, 1, address, stream, 5, roles[1])
        unknown = self.word("unknown") if op == "!=" else ""
        return self.join(before, self.compared(op, left, right), after) + unknown

    def compared(self, op: str, left: Node, right: Node) -> str:
        """Return the words of a comparison, by what is compared."""
        if _is_time(left) or _is_time(right):
            return self.word(f"time {op}")
        named = op in ("==", "!=") and (_is_named(left) or _is_named(right))
        return self.word(f"named {op}" if named else op)

    def chain(self, ops: tuple[str, ...], args: tuple[Node, ...], address: str, stream: str) -> str:
        roles = [self.role_beside(args[1]), *(self.role_beside(arg) for arg in args[:-1])]
        written = [self.operand(arg, i, address, stream, 5, roles[i]) for i, arg in enumerate(args)]
        if self.language == "en" and len(args) == 3:
            first = self.compared(_TURNED[ops[0]], args[1], args[0])
            second = self.compared(ops[1], args[1], args[2]).removeprefix("is ")
            return f"{written[1]} {first} {written[0]} and {second} {written[2]}"
        steps = zip((words.SIGNS[op] for op in ops), written[1:], strict=True)
        return self.join(written[0], *(part for step in steps for part in step))

    def role_beside(self, node: Node) -> str:
        """Return how a literal that meets this node reads: a tier's label, a percentage, a number with a unit."""
        match node:
            case Call("tier", (Literal(str() as tiering), *_)):
                return f"tiers {tiering}"
            case Call("share" | "percent_rank"):
                return "share"
            case Name(name) | CustomerValue(name) | Parameter(name) if self.names.units.get(name):
                return f"unit {self.names.units[name]}"
        return ""

    # -- literals ---------------------------------------------------------------------------------------------------

    def literal(self, value: bool | int | Decimal | str, role: str) -> str:
        kind, _, rest = role.partition(" ")
        if isinstance(value, bool):
            return self.word(str(value))
        if isinstance(value, str):
            return self.quoted_text(value, kind, rest)
        if kind == "share":
            return f"{words.number_text(Decimal(value) * 100)}%"
        if kind == "ordinal" and self.language == "en" and isinstance(value, int):
            return words.ordinal(value)
        if kind == "place":
            return self.word("place", words.number_text(value))
        return words.number_text(value) + {"unit": f" {rest}", "percent": "%"}.get(kind, "")

    def quoted_text(self, value: str, kind: str, of: str) -> str:
        """Write a text: as the thing it names, as a length of time or a date, else in quotes."""
        if kind in ("tiers", "columns"):
            return self.names.text(kind, f"{of}.{value}", self.language)
        if kind in ("segments", "tierings", "lookups"):
            return self.names.text(kind, value, self.language)
        if kind == "duration" and parse_duration(value) is not None:
            return words.duration_text(value, self.language)
        if kind == "ago" and value.count("..") == 1:
            near, far = (part.strip() for part in value.split(".."))
            if parse_duration(near) is not None and parse_duration(far) is not None:
                return words.span_text(near, far, self.language)
        if kind == "calendar" and value in words.CALENDAR:
            return words.CALENDAR[value] if self.language == "zh" else value
        if kind in ("best", "era") and f"{kind} {value}" in words.WORDS:
            return self.word(f"{kind} {value}")
        return value if _is_time(Literal(value)) else quoted(value)

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(self, node: Call, address: str, stream: str, negated: bool = False) -> str:
        function = FUNCTIONS[node.function]
        low = node.function == "above_mean" and node.option("best") == Literal("low")
        own = function.sentence[self.language]
        template = self.choice(words.NEGATED[node.function]) if negated else self.word("below") if low else own
        slots: dict[str, list[str]] = {}
        behind: list[str] = []
        before = self.rows(node, address, slots) if function.group == "stream" else ""
        for name, text in self.arguments(node, address, stream):
            if low and name == "best":
                continue
            if f"{{{name}}}" in template:
                slots.setdefault(name, []).append(text)
            elif node.function == "in_top" and name in ("n", "percent") and "size" not in slots:
                slots["size"] = [text]
            else:
                behind.append(self.behind(node.function, name, text))
        if node.column and "{column}" not in template:
            behind.append(self.behind(node.function, "column", slots["column"][0]))
        joint = self.word({"case": "then", "followed": "next"}.get(node.function, "list"))
        text = re.sub(r"\{(\w+)\}", lambda slot: joint.join(slots.get(slot[1], ["…"])), template)
        text = self.join(before[:-1], text) if before.endswith(" ") else before + text
        gap = " " if self.language == "en" else ""
        return f"{text}{gap}{self.bracketed(self.word('then').join(behind))}" if behind else text

    def rows(self, node: Call, address: str, slots: dict[str, list[str]]) -> str:
        """Fill in the rows a call is about; return what stands before it all: in Chinese its window."""
        label = self.names.text("streams", node.stream, self.language)
        if node.column:
            slots["column"] = [self.names.text("columns", f"{node.stream}.{node.column}", self.language)]
        where, latest = node.option("where"), node.option("latest")
        condition = "" if where is None else self.bracketed(self.write(where, _under(address, "where"), node.stream))
        windows = [self.window(name, option, address) for name, option in node.named if name in words.WINDOWS]
        if latest is not None:
            number = self.inside(latest, _under(address, "latest"), "")
            label = self.word("latest", number, label)
        if self.language == "zh":
            slots["stream"] = slots["row"] = [label + condition]
            return "、".join(windows) + (" " if any(name in ("since", "until") for name, _ in node.named) else "")
        tail = "".join(f" {part}" for part in (condition, *windows) if part)
        slots["stream"] = [label + tail]
        slots["row"] = [(label if latest is not None else words.singular(label)) + tail]
        return ""

    def window(self, name: str, option: Node, address: str) -> str:
        role = {"within": "duration", "ago": "ago", "on": "calendar"}.get(name, "")
        text = self.inside(option, _under(address, name), "", role, loose=True)
        if self.language == "en" and name == "within":
            text = text.removeprefix("1 ")  # in the last month
        if name == "within" and not isinstance(option, Literal):
            name = "within other"
        elif name == "since" and isinstance(option, Literal) and parse_date(str(option.value)) is not None:
            name = "since day"
        return self.word(f"window {name}", text)

    def arguments(self, node: Call, address: str, stream: str) -> Iterator[tuple[str, str]]:
        """Yield (parameter, text) for every argument, the window and condition of a call over a stream left out."""
        function = FUNCTIONS[node.function]
        if node.function == "case":
            yield from (("x", text) for text in self.case(node, address, stream))
        loose = function.group == "population" or len(function.params) == 1
        names = [param.name for param in function.params if not param.keyword and not param.takes.startswith("stream")]
        for i, arg in enumerate(node.args if node.function != "case" else ()):
            many = any(param.many for param in function.params)
            name = names[min(i, len(names) - 1)] if i < len(names) or (names and many) else ""
            yield name, self.inside(arg, _under(address, f"args.{i}"), stream, self.argument_role(node, name), loose)
        for name, option in node.named:
            if function.group == "stream" and name in ("where", "latest", *words.WINDOWS):
                continue
            about = node.stream if name == "of" else "" if function.group == "stream" else stream
            if name == "same" and node.args and isinstance(node.args[0], Step):
                about = node.args[0].stream
            role = self.argument_role(node, name)
            text = self.inside(option, _under(address, name), about, role, loose=name == "by")
            yield (f"{name}=", f"{name}={text}") if name in names else (name, text)

    def argument_role(self, node: Call, name: str) -> str:
        """Return how a literal reads as this argument."""
        role = _ROLES.get(name) or _ROLES.get(f"{node.function}.{name}", "")
        first = node.args[0].value if node.args and isinstance(node.args[0], Literal) else ""
        if node.function in ("entered", "left") and name == "name":
            return "tierings" if first in self.names.tierings else "segments"
        return f"{role} {first}" if role in ("tiers", "columns") else role

    def case(self, node: Call, address: str, stream: str) -> Iterator[str]:
        written = [self.write(arg, _under(address, f"args.{i}"), stream) for i, arg in enumerate(node.args)]
        texts = [
            self.bracketed(text) if _rank(arg) == 0 else text for arg, text in zip(node.args, written, strict=True)
        ]
        for i in range(0, len(texts) - 1, 2):
            yield self.word("if", texts[i], texts[i + 1])
        if len(texts) % 2:
            yield self.word("otherwise", texts[-1])

    def behind(self, function: str, name: str, text: str) -> str:
        """Return how an argument that the template has no place for reads in the bracket behind."""
        for key in (f"behind {function}.{name}", f"behind {name}" if FUNCTIONS[function].group == "population" else ""):
            if key in words.WORDS:
                return self.word(key, text)
        return f"{name}={text}" if name.isidentifier() else text


def _under(address: str, step: str) -> str:
    return f"{address}.{step}" if address else step


def _rank(node: Node) -> int:
    """Return how tightly a node binds; ``case`` least of all."""
    if isinstance(node, Op):
        return _RANK[node.op]
    if isinstance(node, Chain):
        return 4
    return 0 if isinstance(node, Call) and node.function == "case" else 8


def _is_bare(node: Node) -> bool:
    """Whether a call can stand inside a phrase without brackets: no window, no second argument of its own."""
    if not isinstance(node, Call) or _rank(node) == 0:
        return False
    return len(node.args) < 2 and all(name in ("where", "of", "half_life", "every") for name, _ in node.named)


def _is_named(node: Node) -> bool:
    """Whether a value is a word rather than a number: it *is* something, it does not equal it."""
    if isinstance(node, Literal):
        return isinstance(node.value, str | bool)
    return isinstance(node, Call) and node.function == "tier"


def _is_time(node: Node) -> bool:
    """Whether a literal reads as a date or an instant."""
    text = node.value if isinstance(node, Literal) else None
    return isinstance(text, str) and (parse_date(text) or parse_instant(text, _UTC)) is not None
