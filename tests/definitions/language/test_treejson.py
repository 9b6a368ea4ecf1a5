"""Tree to JSON and back: what the console edits is the same tree, and nothing else gets in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.definitions.language.strategies import row_trees, trees
from tierwise.definitions.language.nodes import Literal, Node, Span
from tierwise.definitions.language.parser import SyntaxProblem, parse
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.treejson import tree_from_json, tree_to_json
from tierwise.errors import Problem


@given(trees | row_trees)
@settings(max_examples=100)
def test_a_tree_comes_back_from_json(tree: Node) -> None:
    written = json.dumps(tree_to_json(tree), ensure_ascii=False)
    written.encode()
    assert tree_from_json(json.loads(written)) == tree


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["op", "args", "ops", "call", "stream", "column", "name", "literal", "type", "list", "x"])
            | st.text(),
            inner | st.sampled_from(["and", "count", "chain", "orders", "integer", "text", "<", "in"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(_JSON)
@settings(max_examples=150)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        tree = tree_from_json(value)
    except SyntaxProblem:
        return
    assert tree_from_json(tree_to_json(tree)) == tree


def test_the_shape_is_the_documented_one() -> None:
    tree = parse('count(orders, where=amount > 19.90 and customer.vip, within="90d", latest=3) >= param.least')
    amount = {"op": ">", "args": [{"column": "amount"}, {"literal": "19.90", "type": "decimal"}]}
    assert tree_to_json(tree) == {
        "op": ">=",
        "args": [
            {
                "call": "count",
                "stream": "orders",
                "where": {"op": "and", "args": [amount, {"customer": "vip"}]},
                "within": "90d",
                "latest": 3,
            },
            {"param": "least"},
        ],
    }
    assert tree_to_json(parse("a < x <= 5")) == {
        "op": "chain",
        "ops": ["<", "<="],
        "args": [{"name": "a"}, {"name": "x"}, {"literal": "5", "type": "integer"}],
    }
    assert tree_to_json(parse("x in ('a', True)"))["args"][1] == {
        "list": [{"literal": "a", "type": "text"}, {"literal": True, "type": "boolean"}]
    }


def test_positions_are_those_of_the_canonical_text() -> None:
    tree = tree_from_json(tree_to_json(parse("a   >   5")))
    assert tree.at == Span(0, len("a > 5"))


def test_texts_are_composed() -> None:
    assert tree_from_json({"literal": "e\u0301", "type": "text"}) == Literal("é")
    tree = tree_from_json({"call": "count", "stream": "orders", "on": "e\u0301"})
    assert print_tree(tree) == 'count(orders, on="é")'


def deep(levels: int) -> dict[str, object]:
    node: dict[str, object] = {"name": "a"}
    for _ in range(levels):
        node = {"op": "not", "args": [node]}
    return node


def five() -> dict[str, str]:
    return {"literal": "5", "type": "integer"}


REFUSED: list[tuple[object, str, str, str]] = [
    # value, code, part of the message or hint, address
    (None, "shape", "a node is an object, not NoneType", ""),
    (5, "shape", "not int", ""),
    ([], "shape", "not list", ""),
    ({}, "shape", "the keys none", ""),
    ({1: 2}, "shape", "a node is an object", ""),
    ({"nmae": "a"}, "shape", "the keys nmae", ""),
    ({"name": 5}, "shape", "the keys name", ""),
    ({"name": "a", "x": 1}, "shape", "the keys name, x", ""),
    ({"op": "nand", "args": [{"name": "a"}, {"name": "b"}]}, "shape", "no operator `nand`", ""),
    ({"op": "not", "args": []}, "shape", "wrong number of operands", ""),
    ({"op": "and", "args": [{"name": "a"}]}, "shape", "wrong number of operands", ""),
    ({"op": "-", "args": [five(), five(), five()]}, "shape", "wrong number of operands", ""),
    ({"op": "and", "args": [{"name": "a"}, {"nmae": "b"}]}, "shape", "the keys nmae", "args.1"),
    ({"op": "chain", "ops": ["<"], "args": [five(), five()]}, "shape", "a chain has", ""),
    ({"op": "chain", "ops": ["<", "in"], "args": [five()] * 3}, "shape", "a chain has", ""),
    ({"op": "chain", "ops": ["<", []], "args": [five()] * 3}, "shape", "a chain has", ""),
    ({"op": "in", "args": [{"name": "a"}, {"list": []}]}, "shape", "the keys list", "args.1"),
    ({"op": "in", "args": [{"name": "a"}, {"list": [five(), {"x": 1}]}]}, "shape", "the keys x", "args.1.items.1"),
    ({"op": "in", "args": [{"name": "a"}, five()]}, "shape", "cannot be written", ""),
    ({"list": [five()]}, "syntax", "right side of `in`", ""),
    ({"literal": 5, "type": "integer"}, "shape", "not a literal", ""),
    ({"literal": "-5", "type": "integer"}, "shape", "not a literal", ""),
    ({"literal": "٣", "type": "integer"}, "shape", "not a literal", ""),
    ({"literal": str(2**63), "type": "integer"}, "shape", "not a literal", ""),
    ({"literal": "9" * 5000, "type": "integer"}, "shape", "not a literal", ""),
    ({"literal": "5", "type": "decimal"}, "shape", "not a literal", ""),
    ({"literal": "1.5e3", "type": "decimal"}, "shape", "not a literal", ""),
    ({"literal": "NaN", "type": "decimal"}, "shape", "not a literal", ""),
    ({"literal": "0.0000001", "type": "decimal"}, "shape", "not a literal", ""),
    ({"literal": "True", "type": "boolean"}, "shape", "not a literal", ""),
    ({"literal": "a", "type": "date"}, "shape", "not a literal", ""),
    ({"literal": "\0", "type": "text"}, "syntax", "U+0000", ""),
    ({"literal": "\ud800", "type": "text"}, "syntax", "U+D800", ""),
    ({"call": "cuont", "stream": "orders"}, "shape", "did you mean `count`?", ""),
    ({"call": "count", "stream": 5}, "shape", "`stream` and `column` are texts", ""),
    ({"call": "count", "args": "x", "stream": "orders"}, "shape", "`args` is a list", ""),
    ({"call": "count", "stream": "orders", "where": [1]}, "shape", "not list", "where"),
    ({"call": "count", "stream": "orders", "latest": 1.5}, "shape", "not float", "latest"),
    ({"call": "count", "stream": "orders", "latest": -1}, "shape", "not int", "latest"),
    ({"call": "count"}, "argument", "needs a stream", ""),
    # what would be another tree, or none, once written
    ({"name": "a and b"}, "shape", "cannot be written", ""),
    ({"name": "a # "}, "shape", "cannot be written", ""),
    ({"name": "customer.a"}, "shape", "cannot be written", ""),
    ({"name": "True"}, "shape", "cannot be written", ""),
    ({"name": "a b"}, "syntax", "", ""),
    ({"name": "from"}, "bad-name", "", ""),
    ({"name": ""}, "syntax", "empty", ""),
    ({"call": "count", "stream": "orders, latest=1"}, "shape", "cannot be written", ""),
    ({"call": "count", "stream": "orders", "a b": 5}, "syntax", "", ""),
    ({"call": "count", "stream": "orders", "where": {"name": "kept"}}, "shape", "cannot be written", ""),
    ({"op": "and", "args": [{"name": "a"}, {"column": "b"}]}, "shape", "cannot be written", ""),
    (deep(41), "limit", "nested deeper than 40", ""),
    (deep(800), "limit", "nested deeper than 40", ""),
    ({"op": "and", "args": [{"name": "a"}] * 500}, "limit", "501 parts", ""),
    ({"op": "and", "args": [{"name": "a"}] * 5000}, "limit", "more than 500 operands", ""),
]


@pytest.mark.parametrize(
    ("value", "code", "words", "address"), REFUSED, ids=[str(index) for index in range(len(REFUSED))]
)
def test_what_is_refused(value: object, code: str, words: str, address: str) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        tree_from_json(value)
    problem: Problem = caught.value.problem
    assert problem.code == code
    assert words in problem.message + problem.hint
    assert problem.address == address
