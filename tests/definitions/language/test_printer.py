"""Tree to text and back: printing then parsing gives the same tree, and the printed text is the one canonical form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.definitions.language.strategies import row_trees, texts, trees
from tierwise.definitions.language.nodes import Literal, Node
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.printer import print_tree, quoted


@given(trees)
@settings(max_examples=60)
def test_a_tree_is_printed_and_parsed_back(tree: Node) -> None:
    text = print_tree(tree)
    assert parse(text) == tree
    assert print_tree(parse(text)) == text


@given(row_trees)
@settings(max_examples=40)
def test_a_tree_about_rows_is_printed_and_parsed_back(tree: Node) -> None:
    assert parse(print_tree(tree), rows=True) == tree


@given(texts)
def test_a_text_is_quoted_on_one_line(text: str) -> None:
    written = quoted(text)
    assert written.isprintable() or "\u3000" in text
    assert parse(written) == Literal(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("((a))", "a"),
        ("a  and(b or c)", "a and (b or c)"),
        ("(a and b) or c", "a and b or c"),
        ("(a or b) and c", "(a or b) and c"),
        ("a and (b and c)", "a and (b and c)"),
        ("not (a in b)", "not a in b"),
        ("(not a) == b", "(not a) == b"),
        ("not not a", "not not a"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a - b) - c", "a - b - c"),
        ("a - b + c", "a - b + c"),
        ("a * (b / c)", "a * (b / c)"),
        ("(a * b) / c", "a * b / c"),
        ("-(a + b)", "-(a + b)"),
        ("- - 5", "--5"),
        ("(-a) * b", "-a * b"),
        ("(a < b) < c", "(a < b) < c"),
        ("a<b<c", "a < b < c"),
        ("x in {'a', 2}", 'x in ("a", 2)'),
        ("x in ['a']", 'x in ("a",)'),
        ("x in (a + b)", "x in a + b"),
        ("(a or b) is not None", "(a or b) is not None"),
        ("count( orders,where = kept and amount>1 )", "count(orders, where=kept and amount > 1)"),
        ("'it\\'s \"so\"'", '"it\'s \\"so\\""'),
        ("1_000.50", "1000.50"),
        ("customer.a", "a"),
        ("coalesce(a or b, c)", "coalesce(a or b, c)"),
        ("a  # why", "a"),
    ],
)
def test_the_canonical_form(text: str, canonical: str) -> None:
    assert print_tree(parse(text)) == canonical
    assert print_tree(parse(canonical)) == canonical
