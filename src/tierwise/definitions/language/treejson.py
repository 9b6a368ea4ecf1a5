"""Tree to JSON and back: what the console edits."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any

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
)  # fmt: skip
from tierwise.definitions.language.parser import MAX_NESTING, MAX_NODES, SyntaxProblem, decimal_literal, parse
from tierwise.definitions.language.printer import print_tree
from tierwise.errors import Place, Problem, near_name

__all__ = ["tree_from_json", "tree_to_json"]

_ARITY = {
    "not": 1,
    "neg": 1,
    "missing": 1,
    "present": 1,
    "-": 2,
    "/": 2,
    "in": 2,
    "not_in": 2,
    **dict.fromkeys(COMPARISONS, 2),
}
_MANY = ("and", "or", "+", "*")


def tree_to_json(node: Node) -> dict[str, Any]:
    """Return the tree as plain values.

    Example:
        >>> tree_to_json(parse('count(orders, where=amount > 19.90, within="90d")'))["where"]["args"][1]
        {'literal': '19.90', 'type': 'decimal'}
    """
    match node:
        case Literal(bool() as value):
            return {"literal": value, "type": "boolean"}
        case Literal(int() as value):
            return {"literal": str(value), "type": "integer"}
        case Literal(Decimal() as value):
            return {"literal": f"{value:f}", "type": "decimal"}
        case Literal(value):
            return {"literal": value, "type": "text"}
        case Items(items):
            return {"list": [tree_to_json(item) for item in items]}
        case Name(name):
            return {"name": name}
        case Column(name):
            return {"column": name}
        case CustomerValue(name):
            return {"customer": name}
        case Parameter(name):
            return {"param": name}
        case Op(op, args):
            return {"op": op, "args": [tree_to_json(arg) for arg in args]}
        case Chain(ops, args):
            return {"op": "chain", "ops": list(ops), "args": [tree_to_json(arg) for arg in args]}
        case Step(stream, None):
            return {"step": stream}
        case Step(stream, Node() as where):
            return {"step": stream, "where": tree_to_json(where)}
        case Call():
            return _call_to_json(node)
    raise AssertionError(node)


def tree_from_json(value: object) -> Node:
    """Return the tree that `tree_to_json` wrote; positions are those of its canonical text.

    Raises:
        SyntaxProblem: when a node has an unknown shape, with its address.

    Example:
        >>> print_tree(tree_from_json({"op": ">", "args": [{"name": "spend"}, {"literal": "5", "type": "integer"}]}))
        'spend > 5'
    """
    node = _node(value, "", 0)
    rows = _is_about_rows(node)
    try:
        again = parse(print_tree(node), rows=rows)
    except SyntaxProblem:
        raise
    except RecursionError as error:
        raise _refusal("", "the tree is nested too deeply") from error
    if again != node:
        raise _refusal("", "the tree says something that cannot be written as an expression")
    return again


def _call_to_json(node: Call) -> dict[str, Any]:
    found: dict[str, Any] = {"call": node.function}
    if node.stream:
        found["stream"] = node.stream
    if node.column:
        found["column"] = node.column
    if node.args:
        found["args"] = [tree_to_json(arg) for arg in node.args]
    for name, argument in node.named:
        plain = isinstance(argument, Literal) and not isinstance(argument.value, Decimal)
        found[name] = argument.value if plain and isinstance(argument, Literal) else tree_to_json(argument)
    return found


def _is_about_rows(node: Node) -> bool:
    """Whether bare names of the outermost level are columns: a tree of a source or of a ``where=``."""
    match node:
        case Column() | CustomerValue():
            return True
        case Op(_, args) | Chain(_, args) | Items(args):
            return any(_is_about_rows(arg) for arg in args)
        case Call(function, args, named) if not node.stream and not _is_sequence(function):
            return any(_is_about_rows(arg) for arg in (*args, *(value for _, value in named)))
    return False


def _is_sequence(function: str) -> bool:
    return function in FUNCTIONS and FUNCTIONS[function].group == "sequence"


def _refusal(address: str, message: str, hint: str = "") -> SyntaxProblem:
    return SyntaxProblem(Problem("shape", message, Place(path=address), hint, address=address))


def _node(value: object, address: str, depth: int) -> Node:
    if depth > MAX_NESTING:
        raise SyntaxProblem(Problem("limit", f"the tree is nested deeper than {MAX_NESTING}", Place(path=address)))
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _refusal(address, f"a node is an object, not {type(value).__name__}")
    keys = set(value)
    match value:
        case {"literal": literal, "type": str(kind)} if keys == {"literal", "type"}:
            return _literal(literal, kind, address)
        case {"list": list(items)} if keys == {"list"} and 0 < len(items) <= MAX_NODES:
            return Items(tuple(_node(item, _under(address, f"items.{i}"), depth + 1) for i, item in enumerate(items)))
        case {"name": str(name)} if keys == {"name"}:
            return Name(name)
        case {"column": str(name)} if keys == {"column"}:
            return Column(name)
        case {"customer": str(name)} if keys == {"customer"}:
            return CustomerValue(name)
        case {"param": str(name)} if keys == {"param"}:
            return Parameter(name)
        case {"op": "chain", "ops": list(ops), "args": list(args)} if keys == {"op", "ops", "args"}:
            if len(args) != len(ops) + 1 or len(ops) < 2 or any(op not in COMPARISONS for op in ops):
                raise _refusal(address, "a chain has one comparison between each two of its three or more operands")
            return Chain(tuple(ops), _nodes(args, address, depth))
        case {"op": str(op), "args": list(args)} if keys == {"op", "args"}:
            if _ARITY.get(op, 0) != len(args) and not (op in _MANY and len(args) >= 2):
                known = op in _ARITY or op in _MANY
                message = f"`{op}` has a wrong number of operands" if known else f"there is no operator `{op}`"
                raise _refusal(address, message, "" if known else near_name(op, [*_ARITY, *_MANY]))
            return Op(op, _nodes(args, address, depth))
        case {"step": str(stream)} if keys <= {"step", "where"}:
            where = None if "where" not in value else _node(value["where"], _under(address, "where"), depth + 1)
            return Step(stream, where)
        case {"call": str(name)}:
            return _call(value, name, address, depth)
    raise _refusal(address, f"a node with the keys {', '.join(sorted(keys)) or 'none'} is not known")


def _under(address: str, step: str) -> str:
    return f"{address}.{step}" if address else step


def _nodes(args: list[object], address: str, depth: int) -> tuple[Node, ...]:
    if len(args) > MAX_NODES:
        raise SyntaxProblem(Problem("limit", f"a node has more than {MAX_NODES} operands", Place(path=address)))
    return tuple(_node(arg, _under(address, f"args.{i}"), depth + 1) for i, arg in enumerate(args))


def _literal(literal: object, kind: str, address: str) -> Literal:
    match literal, kind:
        case bool(), "boolean":
            return Literal(literal)
        case str(), "integer" if re.fullmatch(r"[0-9]{1,19}", literal) and int(literal) < 2**63:
            return Literal(int(literal))
        case str(), "decimal" if re.fullmatch(r"[0-9]+\.[0-9]+", literal):
            if (decimal := decimal_literal(literal)) is not None:
                return Literal(decimal)
        case str(), "text":
            return Literal(unicodedata.normalize("NFC", literal))
    raise _refusal(address, f"{literal!r} is not a literal of type {kind!r}")


def _call(value: dict[str, Any], name: str, address: str, depth: int) -> Node:
    if name not in FUNCTIONS:
        raise _refusal(address, f"there is no function `{name}`", near_name(name, FUNCTIONS))
    args = value.get("args", [])
    stream, column = value.get("stream", ""), value.get("column", "")
    if not isinstance(args, list) or not isinstance(stream, str) or not isinstance(column, str):
        raise _refusal(address, "`args` is a list, `stream` and `column` are texts")
    named: list[tuple[str, Node]] = []
    for key, argument in value.items():
        if key in ("call", "args", "stream", "column"):
            continue
        if isinstance(argument, str):
            named.append((key, Literal(unicodedata.normalize("NFC", argument))))
        elif isinstance(argument, int) and 0 <= argument < 2**63:  # True and False among them
            named.append((key, Literal(argument)))
        else:
            named.append((key, _node(argument, _under(address, key), depth + 1)))
    return Call(name, _nodes(args, address, depth), tuple(named), stream, column)
