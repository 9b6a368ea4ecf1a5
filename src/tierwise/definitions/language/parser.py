"""Text to tree: the safe subset of Python expressions that the language is, with its limits and its refusals."""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
import unicodedata
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NoReturn

from tierwise.definitions.language.functions import FUNCTIONS, LATER
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
    Span,
    Step,
    walk,
)
from tierwise.errors import Place, Problem, near_name

__all__ = [
    "MAX_CHARACTERS",
    "MAX_NESTING",
    "MAX_NODES",
    "SyntaxProblem",
    "decimal_literal",
    "excerpt",
    "parse",
    "problem_at",
]

MAX_CHARACTERS: Final = 8_000
MAX_NESTING: Final = 40
MAX_NODES: Final = 500
_MAX_TOKENS: Final = 4 * MAX_NODES

_FULL_WIDTH: Final = {
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "「": '"',
    "」": '"',
    "。": ".",
    "、": ",",
    "\u3000": " ",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "×": "*",
    "÷": "/",
    "−": "-",
}
#: Python's keywords that mean something here, or get a refusal of their own.
_WORDS: Final = frozenset(
    {"and", "or", "not", "in", "is", "None", "True", "False", "if", "else", "lambda", "await", "for"}
)
_BINARY: Final = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARE: Final = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
#: The keys of a call in the JSON of a tree.
_NOT_OPTIONS: Final = frozenset({"call", "args", "stream", "column"})
#: Options of stream functions whose bare names are columns of the row.
_ROW_OPTIONS: Final = frozenset({"where", "of"})


class SyntaxProblem(Exception):
    """The expression cannot be parsed; `problem` says where and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def parse(text: str, *, rows: bool = False, place: Place | None = None) -> Node:
    """Return the tree of an expression.

    Args:
        text: the expression.
        rows: whether bare names are columns (a source's expression over the file's columns).
        place: where the text begins, for the problem's place.

    Raises:
        SyntaxProblem: with the place, the text around it and what to do.

    Example:
        >>> parse("orders_365d >= 6")
        Op(op='>=', args=(Name(name='orders_365d'), Literal(value=6)))
    """
    return _Parser(text, place or Place()).run(rows)


def excerpt(text: str, span: Span) -> str:
    """Return the line of the text a span begins in, with a caret line below; wide characters count as two.

    Example:
        >>> print(excerpt("a >> b", Span(2, 4)))
        a >> b
          ^^
    """
    start = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.start)
    line = text[start : end if end >= 0 else len(text)]
    before = line[: span.start - start]
    marked = line[span.start - start : span.end - start] or " "
    if len(line) > 100:  # show the neighbourhood only
        cut = max(0, len(before) - 60)
        line = ("…" if cut else "") + line[cut : cut + 98]
        before = ("…" if cut else "") + before[cut:]
        marked = marked[: max(1, 98 - len(before))]
    return f"{line}\n{' ' * _width(before)}{'^' * _width(marked)}"


def decimal_literal(text: str) -> Decimal | None:
    """Return the decimal written so, or None when it has more than 12 digits before or 6 after the point."""
    whole, _, fraction = text.partition(".")
    return Decimal(text) if len(whole.lstrip("0")) <= 12 and len(fraction.rstrip("0")) <= 6 else None


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@dataclass
class _Parser:
    text: str
    place: Place

    def run(self, rows: bool) -> Node:
        if len(self.text) > MAX_CHARACTERS:
            self.fail(
                Span(0, 1),
                f"the expression has {len(self.text):,} characters; {MAX_CHARACTERS:,} are allowed",
                "limit",
                hint="give parts of it names of their own (tags), and use the names",
            )
        self.about_file, self.in_row = rows, 0
        self.scan_characters()
        self.scan_tokens()
        tree = self.python_tree()
        self.lines = self.text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        node = self.convert(tree, rows, 0)
        count = sum(1 for _ in walk(node))
        if count > MAX_NODES:
            self.fail(
                Span(0, 1),
                f"the expression has {count:,} parts; {MAX_NODES:,} are allowed",
                "limit",
                hint="give parts of it names of their own (tags), and use the names",
            )
        return node

    # -- refusing ---------------------------------------------------------------------------------------------------

    def fail(self, span: Span, message: str, code: str = "syntax", hint: str = "") -> NoReturn:
        raise SyntaxProblem(problem_at(self.text, span, self.place, code, message, hint))

    # -- before Python sees it --------------------------------------------------------------------------------------

    def scan_characters(self) -> None:
        """Refuse control characters anywhere, and full-width look-alikes outside quoted text and comments."""
        text, quote, index, said = self.text, "", 0, False
        while index < len(text):
            char = text[index]
            if (
                char in "\0\x0b\x0c"
                or 0xD800 <= ord(char) <= 0xDFFF
                or (char == "\r" and text[index : index + 2] != "\r\n")
            ):
                self.fail(Span(index, index + 1), f"the character U+{ord(char):04X} cannot stand in an expression")
            if quote == "#":
                quote = "" if char == "\n" else quote
            elif quote:
                if char == "\\":
                    index += 1 if text[index + 1 : index + 2] not in ("\0", "\r") else 0
                elif text.startswith(quote, index) or (char == "\n" and len(quote) == 1):
                    index += len(quote) - 1
                    quote = ""
            elif char == "#":
                quote = "#"
            elif char in "\"'":
                quote, said = (char * 3 if text.startswith(char * 3, index) else char), True
                index += len(quote) - 1
            elif char in _FULL_WIDTH:
                wanted = _FULL_WIDTH[char]
                shown = "a space" if wanted == " " else f"`{wanted}`"
                self.fail(
                    Span(index, index + 1),
                    f"`{char}` is a full-width or typographic character",
                    hint=f"did you mean {shown}?",
                )
            said = said or not (char.isspace() or quote)
            index += 1
        if not said:
            self.fail(Span(0, 0), "the expression is empty")

    def scan_tokens(self) -> None:
        """Refuse too many tokens, too deep brackets, and names that are not what they look like."""
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        depth = count = 0
        wrapped = f"({self.text}\n)"
        try:
            for token in tokenize.generate_tokens(io.StringIO(wrapped).readline):
                row, column = token.start
                at = starts[min(row, len(starts)) - 1] + column - (1 if row == 1 else 0)
                span = Span(max(at, 0), max(at, 0) + len(token.string))
                count += 1
                if count > _MAX_TOKENS:
                    self.fail(
                        Span(0, 1),
                        f"the expression has more than {_MAX_TOKENS:,} words and signs",
                        "limit",
                        hint="give parts of it names of their own (tags), and use the names",
                    )
                if token.type == tokenize.OP and token.string in "([{":
                    depth += 1
                    if depth > MAX_NESTING + 1:
                        self.fail(span, f"brackets are nested deeper than {MAX_NESTING}", "limit")
                elif token.type == tokenize.OP and token.string in ")]}":
                    depth -= 1
                    if depth == 0 and span.start < len(self.text):
                        self.fail(span, f"`{token.string}` closes nothing")
                elif token.type == tokenize.STRING:
                    self.scan_escapes(token.string, span.start)
                elif token.type == tokenize.NUMBER and (self.text[span.end : span.end + 1].isidentifier()):
                    self.fail(
                        span, f"a space is missing after {token.string}", hint="a name does not begin with a digit"
                    )
                elif token.type == tokenize.NAME and keyword.iskeyword(token.string) and token.string not in _WORDS:
                    self.fail(
                        span,
                        f"`{token.string}` is a reserved word and cannot be a name",
                        "bad-name",
                        hint=f'a column so named is written column("{token.string}"); all else needs another name',
                    )
                elif token.type == tokenize.NAME and unicodedata.normalize("NFKC", token.string) != token.string:
                    plain = unicodedata.normalize("NFKC", token.string)
                    self.fail(
                        span,
                        f"the name `{token.string}` would be read as `{plain}`",
                        "bad-name",
                        hint=f"write `{plain}`",
                    )
        except (tokenize.TokenError, IndentationError):
            return  # Python's own parser says it better

    def scan_escapes(self, written: str, start: int) -> None:
        """Refuse a backslash that Python would warn about or read as a number of an eight-digit system."""
        opening = written.find(written[-1])
        if "r" in written[:opening].lower():
            return
        for match in re.finditer(r"\\(.)", written, re.DOTALL):
            if match[1] not in "\\\"'\nabfnrtvxuUN":
                at = Span(start + match.start(), start + match.end())
                self.fail(
                    at,
                    f"`{match[0]}` has no meaning in a text",
                    hint=f"a backslash itself is written twice: `\\{match[0]}`",
                )

    def python_tree(self) -> ast.expr:
        try:
            return ast.parse(f"({self.text}\n)", mode="eval").body
        except SyntaxError as error:
            row, column = error.lineno or 1, error.offset or 1
            lines = self.text.split("\n")
            row = min(row, len(lines))
            start = sum(len(line) + 1 for line in lines[: row - 1])
            at = min(max(start + column - 1 - (1 if row == 1 else 0), 0), len(self.text))
            self.fail(Span(at, at + 1), *_explain(error.msg or "invalid syntax", self.text, at))
        except (RecursionError, MemoryError):
            self.fail(Span(0, 1), f"the expression is nested deeper than {MAX_NESTING}", "limit")
        except ValueError as error:
            self.fail(Span(0, 1), str(error))

    # -- from Python's tree to ours ---------------------------------------------------------------------------------

    def span(self, tree: ast.AST) -> Span:
        def offset(row: int, column: int) -> int:
            line = self.lines[min(row, len(self.lines)) - 1]
            raw = ("(" + line if row == 1 else line).encode()[:column].decode(errors="ignore")
            return self.starts[row - 1] + len(raw) - (1 if row == 1 else 0)

        assert isinstance(tree, ast.expr | ast.keyword)
        assert tree.end_lineno is not None and tree.end_col_offset is not None
        return Span(offset(tree.lineno, tree.col_offset), offset(tree.end_lineno, tree.end_col_offset))

    def convert(self, tree: ast.expr, rows: bool, depth: int) -> Node:
        at = self.span(tree)
        if depth > MAX_NESTING:
            self.fail(at, f"the expression is nested deeper than {MAX_NESTING}", "limit")
        down = depth + 1
        match tree:
            case ast.Constant():
                return self.constant(tree, at)
            case ast.Name(name):
                return Column(name, at=at) if rows else Name(name, at=at)
            case ast.Attribute():
                return self.attribute(tree, at, rows)
            case ast.Call():
                return self.call(tree, at, rows, down)
            case ast.BoolOp(operator, values):
                word = "and" if isinstance(operator, ast.And) else "or"
                return Op(word, tuple(self.convert(value, rows, down) for value in values), at=at)
            case ast.UnaryOp(ast.Not(), operand):
                return Op("not", (self.convert(operand, rows, down),), at=at)
            case ast.UnaryOp(ast.USub(), operand):
                return Op("neg", (self.convert(operand, rows, down),), at=at)
            case ast.BinOp():
                return self.binary(tree, at, rows, down)
            case ast.Compare():
                return self.compare(tree, at, rows, down)
            case ast.IfExp():
                self.fail(at, "`… if … else …` is not in the language", hint="write case(condition, value, otherwise)")
            case ast.Tuple() | ast.List() | ast.Set():
                self.fail(at, "a list can only stand on the right side of `in`")
            case ast.JoinedStr():
                self.fail(at, "f-texts are not in the language", hint='write the text in plain quotes, "…"')
            case ast.Subscript():
                self.fail(
                    at,
                    "square brackets are not in the language",
                    hint='a window is written within="30d", the n-th row nth(stream.column, n)',
                )
        self.fail(at, f"{_spoken(tree)} not in the language")

    def constant(self, tree: ast.Constant, at: Span) -> Literal:
        value = tree.value
        written = self.text[at.start : at.end]
        if isinstance(value, bool):
            return Literal(value, at=at)
        if isinstance(value, str):
            return Literal(unicodedata.normalize("NFC", self.sound(value, at)), at=at)
        if isinstance(value, int | float) and re.fullmatch(r"[0-9_]+(\.[0-9][0-9_]*)?|\.[0-9][0-9_]*", written):
            plain = written.replace("_", "")
            if plain.isdigit():
                if int(plain) >= 2**63:
                    self.fail(at, f"{written} is too large; the largest whole number is {2**63 - 1:,}")
                return Literal(int(plain), at=at)
            decimal = decimal_literal(plain)
            if decimal is None:
                self.fail(at, f"{written} is too long; a decimal has at most 12 digits before and 6 after the point")
            return Literal(decimal, at=at)
        if value is None:
            self.fail(at, "`None` can only stand in `x is None` and `x is not None`")
        if isinstance(value, int | float | complex):
            self.fail(
                at, f"{written} is not a number of the language", hint="write it with digits and one point, 19.90"
            )
        self.fail(at, f"{written} is not in the language", hint='write the text in plain quotes, "…"')

    def sound(self, text: str, at: Span) -> str:
        """Return a text unless it holds, by an escape, what no database and no file can hold."""
        for char in text:
            if char == "\0" or 0xD800 <= ord(char) <= 0xDFFF:
                self.fail(at, f"the character U+{ord(char):04X} cannot stand in a text")
        return text

    def attribute(self, tree: ast.Attribute, at: Span, rows: bool) -> Node:
        if isinstance(tree.value, ast.Name):
            if tree.value.id == "param":
                return Parameter(tree.attr, at=at)
            if tree.value.id == "customer":
                return CustomerValue(tree.attr, at=at) if rows else Name(tree.attr, at=at)
            if rows:
                self.fail(
                    at,
                    f"`{tree.value.id}.{tree.attr}` stands inside a condition on rows",
                    hint=f"a column is written `{tree.attr}`, a value of the row's customer `customer.{tree.attr}`",
                )
            self.fail(
                at,
                f"`{tree.value.id}.{tree.attr}` is a value per row, not per customer",
                hint=f"say which one: last({tree.value.id}.{tree.attr}), sum({tree.value.id}.{tree.attr}) …",
            )
        self.fail(at, "only `stream.column`, `customer.x` and `param.x` have a point")

    def call(self, tree: ast.Call, at: Span, rows: bool, depth: int) -> Node:
        if not isinstance(tree.func, ast.Name):
            self.fail(self.span(tree.func), "only functions can be called")
        name = tree.func.id
        for argument in tree.args:
            if isinstance(argument, ast.Starred):
                self.fail(self.span(argument), "`*` before an argument is not in the language")
        if name == "column" and rows:
            match tree:
                case ast.Call(args=[ast.Constant(str(column))], keywords=[]):
                    return Column(self.sound(column, at), at=at)
            self.fail(at, 'column() takes one quoted column name, column("Order ID")')
        function = FUNCTIONS.get(name)
        if function is None:
            if name in LATER:
                self.fail(at, f"{name}() is not available in this version: {LATER[name]} come later", "not-yet")
            self.fail(
                self.span(tree.func), f"there is no function `{name}`", "unknown-name", hint=near_name(name, FUNCTIONS)
            )
        if function.group == "sequence":
            return self.sequence(tree, at, name, rows, depth)
        if function.group != "stream":
            args = tuple(self.convert(argument, rows, depth) for argument in tree.args)
            return Call(name, args, self.named(tree, rows, depth, frozenset()), at=at)
        if rows and (self.about_file or self.in_row):
            where = "in a source" if self.about_file else "two levels deep"
            self.fail(at, f"{name}() over a stream cannot stand {where}", "kind", "make it a tag, customer.<tag>")
        if not tree.args:
            self.fail(at, f"{name}() needs a stream", "argument", hint=f"write {name}({_stream_form(name)})")
        stream, column = self.stream_argument(tree.args[0], name)
        self.in_row += rows
        rest = tuple(self.convert(argument, False, depth) for argument in tree.args[1:])
        named = self.named(tree, False, depth, _ROW_OPTIONS)
        self.in_row -= rows
        return Call(name, rest, named, stream=stream, column=column, at=at)

    def sequence(self, tree: ast.Call, at: Span, name: str, rows: bool, depth: int) -> Node:
        if rows:
            hint = "make it a tag, and write customer.<tag>"
            self.fail(at, f"{name}() is about customers and cannot stand in a condition on rows", "kind", hint)
        steps = tuple(self.step(argument, name, depth) for argument in tree.args)
        return Call(name, steps, self.named(tree, rows, depth, frozenset({"same"}), name), at=at)

    def step(self, tree: ast.expr, function: str, depth: int) -> Node:
        at = self.span(tree)
        match tree:
            case ast.Call(ast.Name(stream), [], []):
                return Step(stream, at=at)
            case ast.Call(ast.Name(stream), [condition], []) if not isinstance(condition, ast.Starred):
                return Step(stream, self.convert(condition, True, depth), at=at)
        hint = 'write events(type == "add_to_cart"), or items() for any row'
        self.fail(at, f"a step of {function}() is a stream with at most one condition", "argument", hint)

    def stream_argument(self, tree: ast.expr, function: str) -> tuple[str, str]:
        match tree:
            case ast.Name(stream):
                return stream, ""
            case ast.Attribute(ast.Name(stream), column):
                return stream, column
        self.fail(self.span(tree), f"the first argument of {function}() is {_stream_form(function)}", "argument")

    def named(
        self, tree: ast.Call, rows: bool, depth: int, row_options: frozenset[str], sequence: str = ""
    ) -> tuple[tuple[str, Node], ...]:
        found: dict[str, Node] = {}
        for option in tree.keywords:
            at = self.span(option)
            if option.arg is None:
                self.fail(at, "`**` before an argument is not in the language")
            if option.arg in _NOT_OPTIONS:
                self.fail(at, f"`{option.arg}=` is not an option of any function", "argument")
            if option.arg in found:
                self.fail(at, f"`{option.arg}=` is given twice", "argument")
            if sequence and option.arg == "without":
                found[option.arg] = self.step(option.value, sequence, depth)
            else:
                found[option.arg] = self.convert(option.value, rows or option.arg in row_options, depth)
        return tuple(found.items())

    def binary(self, tree: ast.BinOp, at: Span, rows: bool, depth: int) -> Node:
        word = _BINARY.get(type(tree.op))
        if word is None:
            signs = {ast.FloorDiv: "//", ast.Pow: "**", ast.Mod: "%", ast.BitAnd: "&", ast.BitOr: "|"}
            sign = signs.get(type(tree.op), "this operator")
            hint = {"&": "write `and`", "|": "write `or`"}.get(sign, "")
            self.fail(at, f"`{sign}` is not in the language", hint=hint)
        # a + b + c is one sum of three, so that long sums are not deep ones; the spine is walked, not recursed.
        operands = [tree.right]
        left = tree.left
        while (
            word in "+*"
            and isinstance(left, ast.BinOp)
            and _BINARY.get(type(left.op)) == word
            and not self.bracketed(left)
        ):
            operands.append(left.right)
            left = left.left
        operands.append(left)
        return Op(word, tuple(self.convert(operand, rows, depth) for operand in reversed(operands)), at=at)

    def bracketed(self, tree: ast.BinOp) -> bool:
        """Whether a sum that others are added to stands in brackets of its own: then it stays a node of its own."""
        after = self.span(tree).end
        return re.compile(r"(?:\s|\\\n|#[^\n]*)*\)").match(self.text, after) is not None

    def compare(self, tree: ast.Compare, at: Span, rows: bool, depth: int) -> Node:
        operands = [tree.left, *tree.comparators]
        if len(tree.ops) == 1:
            operator = tree.ops[0]
            if isinstance(operator, ast.Is | ast.IsNot):
                if not (isinstance(operands[1], ast.Constant) and operands[1].value is None):
                    self.fail(at, "`is` is only for `x is None` and `x is not None`", hint="to compare, write ==")
                word = "missing" if isinstance(operator, ast.Is) else "present"
                return Op(word, (self.convert(operands[0], rows, depth),), at=at)
            if isinstance(operator, ast.In | ast.NotIn):
                word = "in" if isinstance(operator, ast.In) else "not_in"
                return Op(word, (self.convert(operands[0], rows, depth), self.items(operands[1], rows, depth)), at=at)
        words = []
        for operator in tree.ops:
            word = _COMPARE.get(type(operator), "")
            if not word:
                self.fail(at, "`in` and `is` cannot stand in a chain of comparisons", hint="join them with `and`")
            words.append(word)
        args = tuple(self.convert(operand, rows, depth) for operand in operands)
        if len(words) == 1:
            return Op(words[0], args, at=at)
        if any(word in ("==", "!=") for word in words):
            self.fail(at, "`==` and `!=` cannot stand in a chain of comparisons", hint="join them with `and`")
        return Chain(tuple(words), args, at=at)

    def items(self, tree: ast.expr, rows: bool, depth: int) -> Node:
        if isinstance(tree, ast.Tuple | ast.List | ast.Set):
            if not tree.elts:
                self.fail(self.span(tree), "the list is empty")
            return Items(tuple(self.convert(item, rows, depth) for item in tree.elts), at=self.span(tree))
        node = self.convert(tree, rows, depth)
        if isinstance(node, Literal):
            return Items((node,), at=node.at)
        return node


def problem_at(
    text: str, span: Span, place: Place, code: str, message: str, hint: str = "", address: str = ""
) -> Problem:
    """Return a problem at a span of an expression that begins at `place`."""
    row = text.count("\n", 0, span.start)
    column = span.start - (text.rfind("\n", 0, span.start) + 1)
    if place.line:
        where = replace(place, line=place.line + row, column=column + (place.column if row == 0 else 1))
    else:
        where = replace(place, line=row + 1, column=column + 1) if place.file else Place(path=place.path)
    return Problem(code, message, where, hint, excerpt(text, span), address)


def _explain(message: str, text: str, at: int) -> tuple[str, str, str]:
    """Turn Python's words into (message, code, hint)."""
    near = text[max(0, at - 1) : at + 2]
    if "Maybe you meant '=='" in message or ("invalid syntax" in message and re.search(r"(?<![<>=!])=(?![=<>])", near)):
        return "`=` does not compare", "syntax", "write == to compare"
    if "unterminated string" in message:
        return "a quote is opened and not closed", "syntax", 'close it with "'
    if "was never closed" in message:
        return "a bracket is opened and not closed", "syntax", "close it with )"
    if "invalid non-printable character" in message or "invalid character" in message:
        return message, "syntax", "remove it or put it in quotes"
    if "comma" in message:
        return "something is missing between two parts", "syntax", "an operator, a comma or `and`?"
    return f"this cannot be read: {message}", "syntax", ""


def _spoken(tree: ast.expr) -> str:
    names = {
        "Lambda": "lambda is",
        "Dict": "{…} is",
        "ListComp": "a comprehension is",
        "GeneratorExp": "a comprehension is",
        "SetComp": "a comprehension is",
        "DictComp": "a comprehension is",
        "NamedExpr": "`:=` is",
        "Await": "await is",
        "UnaryOp": "this sign is",
        "Starred": "`*` is",
    }
    return names.get(type(tree).__name__, "this is")


def _stream_form(function: str) -> str:
    takes = FUNCTIONS[function].params[0].takes
    return "a stream, such as orders" if takes == "stream" else "a column of a stream, such as orders.amount"
