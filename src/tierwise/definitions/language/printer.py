"""Tree to text: the one canonical way to write each tree."""

from __future__ import annotations

import keyword
import unicodedata
from typing import Final

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
)  # fmt: skip

__all__ = ["print_tree", "quoted"]

_ATOM: Final = 8
_RANK: Final = {
    "or": 1, "and": 2, "not": 3, "in": 4, "not_in": 4, "missing": 4, "present": 4, "+": 5, "-": 5, "*": 6, "/": 6,
    "neg": 7, **dict.fromkeys(COMPARISONS, 4),
}  # fmt: skip


def print_tree(node: Node) -> str:
    """Return the canonical text; parsing it gives an equal tree.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> print_tree(parse("( a+b )*2>=1_000 and not(c in ['x',])"))
        '(a + b) * 2 >= 1000 and not c in ("x",)'
    """
    return _text(node, 0)


def quoted(text: str) -> str:
    """Return the text in double quotes, as the language writes it."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() or c == "\u3000" else _escape(c)) for c in text) + '"'


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _rank(node: Node) -> int:
    if isinstance(node, Op):
        return _RANK[node.op]
    return 4 if isinstance(node, Chain) else _ATOM


def _text(node: Node, least: int) -> str:
    """Write the node; in brackets where its rank is below `least`."""
    text = _plain(node)
    return f"({text})" if _rank(node) < least else text


def _plain(node: Node) -> str:
    match node:
        case Literal(bool() as value):
            return "True" if value else "False"
        case Literal(str() as value):
            return quoted(value)
        case Literal(value):
            return f"{value:f}" if not isinstance(value, int) else str(value)
        case Items(items):
            inner = ", ".join(_text(item, 1) for item in items)
            return f"({inner},)" if len(items) == 1 else f"({inner})"
        case Name(name):
            return name
        case Column(name):
            plain = name.isidentifier() and not keyword.iskeyword(name) and unicodedata.is_normalized("NFKC", name)
            return name if plain else f"column({quoted(name)})"
        case CustomerValue(name):
            return f"customer.{name}"
        case Parameter(name):
            return f"param.{name}"
        case Chain(ops, args):
            parts = [_text(args[0], 5)]
            parts += [f"{op} {_text(arg, 5)}" for op, arg in zip(ops, args[1:], strict=True)]
            return " ".join(parts)
        case Step(stream, where):
            return f"{stream}({'' if where is None else _text(where, 1)})"
        case Call():
            return _call(node)
        case Op():
            return _operator(node)
    raise AssertionError(node)


def _call(node: Call) -> str:
    parts = []
    if node.stream:
        parts.append(f"{node.stream}.{node.column}" if node.column else node.stream)
    parts += [_text(arg, 1) for arg in node.args]
    parts += [f"{name}={_text(value, 1)}" for name, value in node.named]
    return f"{node.function}({', '.join(parts)})"


def _operator(node: Op) -> str:
    op, args, rank = node.op, node.args, _RANK[node.op]
    match op:
        case "and" | "or":
            return f" {op} ".join(_text(arg, rank + 1) for arg in args)
        case "not":
            return f"not {_text(args[0], rank)}"
        case "neg":
            return f"-{_text(args[0], rank)}"
        case "missing":
            return f"{_text(args[0], 5)} is None"
        case "present":
            return f"{_text(args[0], 5)} is not None"
        case "in" | "not_in":
            return f"{_text(args[0], 5)} {op.replace('_', ' ')} {_text(args[1], 5)}"
        case "+" | "*":
            # a + b + c is one node: a first operand that is itself a sum was bracketed, and stays so
            nested = isinstance(args[0], Op) and args[0].op == op
            first = f"({_plain(args[0])})" if nested else _text(args[0], rank)
            return f" {op} ".join([first, *(_text(arg, rank + 1) for arg in args[1:])])
        case "-" | "/":
            return f"{_text(args[0], rank)} {op} {_text(args[1], rank + 1)}"
    return f"{_text(args[0], 5)} {op} {_text(args[1], 5)}"
