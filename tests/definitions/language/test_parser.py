"""Text to tree: what is read, what is refused with which words, and where the caret stands."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    children,
    walk,
)
from tierwise.definitions.language.parser import SyntaxProblem, decimal_literal, excerpt, parse, problem_at
from tierwise.definitions.language.printer import print_tree
from tierwise.errors import Place, Problem

A, B, C, X = Name("a"), Name("b"), Name("c"), Name("x")


def refused(text: str, *, rows: bool = False, place: Place | None = None) -> Problem:
    with pytest.raises(SyntaxProblem) as caught:
        parse(text, rows=rows, place=place)
    return caught.value.problem


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", A),
        ("  a\t", A),
        ("True", Literal(True)),
        ("1_000", Literal(1000)),
        ("9223372036854775807", Literal(2**63 - 1)),
        ("19.90", Literal(Decimal("19.90"))),
        (".5", Literal(Decimal("0.5"))),
        ("999999999999.999999", Literal(Decimal("999999999999.999999"))),
        ("-5", Op("neg", (Literal(5),))),
        ("'上海'", Literal("上海")),
        ('"e\u0301"', Literal("é")),
        ('"“full”，"', Literal("“full”，")),
        ('"a" "b"', Literal("ab")),
        (r'"\\d\t\"\u4e0a"', Literal('\\d\t"上')),
        (r'r"\d+"', Literal(r"\d+")),
        ('"""two\n，lines"""', Literal("two\n，lines")),
        ("customer.a", A),
        ("param.vip_spend", Parameter("vip_spend")),
        ("a is None", Op("missing", (A,))),
        ("a is not None", Op("present", (A,))),
        ("a <= x < b", Chain(("<=", "<"), (A, X, B))),
        ("(a < x) < b", Op("<", (Op("<", (A, X)), B))),
        ("x in (a, b)", Op("in", (X, Items((A, B))))),
        ("x not in ['a']", Op("not_in", (X, Items((Literal("a"),))))),
        ("x in 'a'", Op("in", (X, Items((Literal("a"),))))),
        ("x in a", Op("in", (X, A))),
        ("x in (a)", Op("in", (X, A))),
        ("not a == b", Op("not", (Op("==", (A, B)),))),
        ("a + b + c", Op("+", (A, B, C))),
        ("(a + b) + c", Op("+", (Op("+", (A, B)), C))),
        ("(a + b # first\n) + c", Op("+", (Op("+", (A, B)), C))),
        ("(a) + (b) + (c)", Op("+", (A, B, C))),
        ("a - b - c", Op("-", (Op("-", (A, B)), C))),
        ("a and b and c", Op("and", (A, B, C))),
        ("a and (b and c)", Op("and", (A, Op("and", (B, C))))),
        ("-a * b", Op("*", (Op("neg", (A,)), B))),
        ("count(orders)", Call("count", stream="orders")),
        ("nth(orders.amount, 2)", Call("nth", (Literal(2),), stream="orders", column="amount")),
    ],
)
def test_what_is_read(text: str, tree: Node) -> None:
    assert parse(text) == tree


def test_names_inside_a_condition_on_rows_are_columns() -> None:
    tree = parse("sum(orders.amount, where=amount > customer.avg and param.p, since=first_at, by=count(orders))")
    assert isinstance(tree, Call)
    where = Op(
        "and", (Op(">", (Column("amount"), CustomerValue("avg"))), Parameter("p"))
    )  # fmt: skip
    assert tree.option("where") == where
    assert tree.option("since") == Name("first_at")
    assert tree.option("until") is None


@pytest.mark.parametrize("name", ["from", "Order ID", "", "订单 号", 'with "quotes"', "None", "ｆ", "e\u0301"])
def test_a_column_of_a_file_may_have_any_name(name: str) -> None:
    text = print_tree(Column(name))
    assert parse(text, rows=True) == Column(name)


@pytest.mark.parametrize(
    "text",
    [
        "a and b  # 中文注释，“随便”写",
        "# first\na\n  and  # don't\n  b\n# last",
        "a\r\nand\r\nb",
        "a and \\\n b",
    ],
)
def test_an_expression_may_span_lines_and_hold_comments(text: str) -> None:
    assert parse(text) == Op("and", (A, B))


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "# only a comment", "# one\n # two\n"])
def test_nothing_is_not_an_expression(text: str) -> None:
    assert refused(text).message == "the expression is empty"


# -- refusals -------------------------------------------------------------------------------------------------------

REFUSED = [
    # text, code, part of the message, part of the hint
    ("1e400", "syntax", "1e400 is not a number", "19.90"),
    ("1e5", "syntax", "not a number", ""),
    ("0x10", "syntax", "not a number", ""),
    ("1.", "syntax", "not a number", ""),
    ("1j", "syntax", "not a number", ""),
    ("007", "syntax", "leading zeros", ""),
    ("9223372036854775808", "syntax", "too large", ""),
    ("9" * 5000, "syntax", "", ""),
    ("1.1234567", "syntax", "6 after the point", ""),
    ("1.0000000000000000000000000000000000000001", "syntax", "6 after the point", ""),
    ("1234567890123.5", "syntax", "12 digits before", ""),
    ("1if", "syntax", "a space is missing after 1", ""),
    ("3days", "syntax", "a space is missing after 3", ""),
    ("None", "syntax", "`None` can only stand in", ""),
    ("x == None", "syntax", "`None` can only stand in", ""),
    ("x is y", "syntax", "`is` is only for", "=="),
    ('f"{a}"', "syntax", "f-texts", "plain quotes"),
    ('b"a"', "syntax", "is not in the language", "plain quotes"),
    ("...", "syntax", "is not in the language", ""),
    ("a if b else c", "syntax", "if … else", "case(condition, value, otherwise)"),
    ("lambda: 1", "syntax", "lambda is not in the language", ""),
    ("(x := 1)", "syntax", "`:=` is not in the language", ""),
    ("[x for x in a]", "syntax", "comprehension", ""),
    ("{1: 2}", "syntax", "{…} is not in the language", ""),
    ("await x", "syntax", "await", ""),
    ("a // b", "syntax", "`//`", ""),
    ("a ** b", "syntax", "`**`", ""),
    ("a % b", "syntax", "`%`", ""),
    ("a & b", "syntax", "`&`", "write `and`"),
    ("a | b", "syntax", "`|`", "write `or`"),
    ("a ^ b", "syntax", "is not in the language", ""),
    ("~a", "syntax", "this sign", ""),
    ("+a", "syntax", "this sign", ""),
    ("a[0]", "syntax", "square brackets", "within="),
    ("(a, b)", "syntax", "a list can only stand on the right side of `in`", ""),
    ("x in ()", "syntax", "the list is empty", ""),
    ("a == b == c", "syntax", "chain of comparisons", "and"),
    ("a < b in c", "syntax", "chain of comparisons", "and"),
    ("a = 1", "syntax", "`=` does not compare", "write == to compare"),
    ("a and b = 1", "syntax", "`=` does not compare", "write == to compare"),
    ("a >=", "syntax", "cannot be read", ""),
    ("a >= and b", "syntax", "cannot be read", ""),
    ("a b", "syntax", "something is missing between two parts", "comma"),
    ("a; b", "syntax", "cannot be read", ""),
    ("a.b", "syntax", "a value per row", "last(a.b)"),
    ("a.b.c", "syntax", "have a point", ""),
    ("count(orders)(1)", "syntax", "only functions can be called", ""),
    ("count(*a)", "syntax", "`*`", ""),
    ("count(orders, **a)", "syntax", "`**`", ""),
    ('"open', "syntax", "a quote is opened and not closed", 'close it with "'),
    ("(a", "syntax", "a bracket is opened and not closed", "close it with )"),
    (r'"\d"', "syntax", r"`\d` has no meaning", r"\\d"),
    (r'"\0"', "syntax", "has no meaning", ""),
    (r'"\x00"', "syntax", "U+0000 cannot stand in a text", ""),
    (r'"\ud800"', "syntax", "U+D800 cannot stand in a text", ""),
    ("a\0", "syntax", "U+0000", ""),
    ('"a\0"', "syntax", "U+0000", ""),
    ('"\\\0"', "syntax", "U+0000", ""),
    ("a\ud800", "syntax", "U+D800", ""),
    ("a\x0c", "syntax", "U+000C", ""),
    ("a\rb", "syntax", "U+000D", ""),
    ("a\u200bb", "syntax", "non-printable character U+200B", "remove it"),
    # closing brackets must not escape from the pair the text is parsed in
    ("a)", "syntax", "`)` closes nothing", ""),
    ("a) or (b", "syntax", "`)` closes nothing", ""),
    ("a\n) + (\nb", "syntax", "`)` closes nothing", ""),
    ("a]", "syntax", "`]` closes nothing", ""),
    ("(a]", "syntax", "does not match", ""),
    # names
    ("from", "bad-name", "`from` is a reserved word", 'column("from")'),
    ("a and class", "bad-name", "`class` is a reserved word", ""),
    ("ﬁne", "bad-name", "would be read as `fine`", "write `fine`"),
    # full-width and typographic characters
    ("city == “上海”", "syntax", "`“`", 'did you mean `"`?'),
    ("city == ＂上海＂", "syntax", "`＂`", 'did you mean `"`?'),
    ("a ≥ 5", "syntax", "`≥`", "did you mean `>=`?"),
    ("a ≠ 5", "syntax", "`≠`", "did you mean `!=`?"),
    ("a ＞ 5", "syntax", "`＞`", "did you mean `>`?"),
    ("a > ５", "syntax", "`５`", "did you mean `5`?"),
    ("a（b）", "syntax", "`（`", "did you mean `(`?"),
    ("x in (a，b)", "syntax", "`，`", "did you mean `,`?"),
    ("orders。amount", "syntax", "`。`", "did you mean `.`?"),
    ("a\u3000> 5", "syntax", "full-width", "did you mean a space?"),
    # calls
    ("cuont(orders)", "unknown-name", "no function `cuont`", "did you mean `count`?"),
    ("reachable(a)", "not-yet", "not available in this version", ""),
    ("followed(events)", "argument", "a step of followed() is a stream with at most one condition", "items()"),
    ('followed(events(), within="2d", without=items(), without=items())', "argument", "`without=` is given twice", ""),
    ("count(orders, where=followed(events(), items()))", "kind", "about customers", "customer.<tag>"),
    ("count()", "argument", "needs a stream", "orders"),
    ("sum('x')", "argument", "first argument of sum()", ""),
    ('count(orders, within="1d", within="2d")', "argument", "`within=` is given twice", ""),
    ("count(orders, stream=5)", "argument", "`stream=` is not an option", ""),
    ("count(orders, where=exists(items, where=exists(refunds)))", "kind", "two levels deep", "customer.<tag>"),
    (
        "count(orders, where=orders.amount > 5)",
        "syntax",
        "stands inside a condition on rows",
        "a column is written `amount`",
    ),
    ('column("x")', "unknown-name", "no function `column`", ""),
]


@pytest.mark.parametrize(("text", "code", "message", "hint"), REFUSED, ids=[repr(row[0][:30]) for row in REFUSED])
def test_what_is_refused(text: str, code: str, message: str, hint: str) -> None:
    problem = refused(text)
    assert problem.code == code
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" * 8001, "8,001 characters; 8,000 are allowed"),
        ("(" * 41 + "a" + ")" * 41, "nested deeper than 40"),
        ("not " * 41 + "a", "nested deeper than 40"),
        ("lower(" * 41 + "a" + ")" * 41, "nested deeper than 40"),
        (" - ".join("a" * 42), "nested deeper than 40"),
        ("-" * 1900 + "a", "deeper"),
        ("+".join("a" * 500), "501 parts; 500 are allowed"),
        (f"x in ({','.join('1' * 499)})", "502 parts; 500 are allowed"),
        ("+".join("a" * 5000), "8,000 are allowed"),
        ("+".join("a" * 4000), "words and signs"),
        ("a.b" + ".c" * 3000, "words and signs"),
        ("-" * 5000 + "a", "words and signs"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_limits(text: str, words: str) -> None:
    problem = refused(text)
    assert problem.code == "limit"
    assert words in problem.message
    assert len(problem.excerpt) < 250


@pytest.mark.parametrize(
    "text",
    [
        "a" * 8000,
        "(" * 40 + "a" + ")" * 40,
        "not " * 40 + "a",
        " - ".join("a" * 41),
        "+".join("a" * 499),
        " and ".join("a" * 499),
        f"x in ({','.join('1' * 497)})",
    ],
    ids=lambda text: text[:20],
)
def test_just_within_the_limits(text: str) -> None:
    assert print_tree(parse(print_tree(parse(text)))) == print_tree(parse(text))


# -- where ----------------------------------------------------------------------------------------------------------


def test_positions_are_characters_also_behind_chinese_text() -> None:
    text = 'city == "上海" and 城市等级 > 5'
    tree = parse(text)
    said = {address: text[node.at.start : node.at.end] for address, node in walk(tree)}
    assert said["args.0.args.1"] == '"上海"'
    assert said["args.1.args.0"] == "城市等级"
    assert said["args.1"] == "城市等级 > 5"
    assert said[""] == text


def test_positions_on_later_lines() -> None:
    text = '"中" == a\n  and "文" == 城市\n'
    said = [text[node.at.start : node.at.end] for _, node in walk(parse(text)) if isinstance(node, Name)]
    assert said == ["a", "城市"]


def test_addresses_follow_the_children() -> None:
    tree = parse('x in (a, b) and count(orders, where=amount > 5, within="90d") > 3')
    assert [step for step, _ in children(tree)] == ["args.0", "args.1"]
    assert [address for address, _ in walk(tree)] == [
        "", "args.0", "args.0.args.0", "args.0.args.1", "args.0.args.1.items.0", "args.0.args.1.items.1",
        "args.1", "args.1.args.0", "args.1.args.0.where", "args.1.args.0.where.args.0", "args.1.args.0.where.args.1",
        "args.1.args.0.within", "args.1.args.1",
    ]  # fmt: skip


def test_the_caret_counts_wide_characters_as_two() -> None:
    problem = refused('city == "上海" and 会员 ≥ 5')
    line, caret = problem.excerpt.split("\n")
    assert line == 'city == "上海" and 会员 ≥ 5'
    assert caret == " " * (len('city == "上海" and 会员 ') + 4) + "^"


def test_the_caret_is_as_wide_as_what_it_marks() -> None:
    assert excerpt("城市 + 1", Span(0, 2)) == "城市 + 1\n^^^^"
    assert excerpt("a\nbb + c", Span(2, 4)) == "bb + c\n^^"
    assert excerpt("ab", Span(2, 2)) == "ab\n  ^"


def test_a_long_line_is_cut_around_the_place() -> None:
    text = " and ".join(["spend_365d > 5"] * 20) + " and a ≥ 5"
    line, caret = refused(text).excerpt.split("\n")
    assert len(line) <= 100
    assert line[caret.index("^")] == "≥"


def test_the_place_counts_from_where_the_text_begins() -> None:
    place = Place("tags.yaml", 7, 12, "tags.r")
    assert str(refused("a ≥ 5", place=place).where) == "tags.yaml:7:14"
    assert str(refused("a\n  ≥ 5", place=place).where) == "tags.yaml:8:3"
    assert str(refused("a ≥ 5", place=Place("tags.yaml")).where) == "tags.yaml:1:3"
    assert str(refused("a ≥ 5").where) == "expression"
    assert problem_at("a", Span(0, 1), place, "kind", "no", address="args.0").address == "args.0"


def test_decimals_are_taken_as_written() -> None:
    assert decimal_literal("0.10") == Decimal("0.10")
    assert str(decimal_literal("0.10000000000")) == "0.10000000000"
    assert decimal_literal("000000000000000.5") is not None
    assert decimal_literal("0.0000001") is None
    assert decimal_literal("1" * 13 + ".5") is None


# -- anything -------------------------------------------------------------------------------------------------------

_SIGNS = st.text(alphabet="ab01()[]{}\"'.,:=<>!+-*/#\\ \n\r\t_城“，fru%&|~^@;$?`\0\ufeff", max_size=40)
_WORDS = st.lists(
    st.sampled_from(
        ["a", "not", "and", "in", "is", "None", "(", ")", "5", '"x"', "<", "==", "+", "-", ",", "count(orders"]
    ),
    max_size=15,
).map(" ".join)


@given(st.text() | _SIGNS | _WORDS, st.booleans())
@settings(max_examples=400)
def test_any_text_is_read_or_refused(text: str, rows: bool) -> None:
    try:
        tree = parse(text, rows=rows)
    except SyntaxProblem as error:
        assert error.problem.message
        return
    assert parse(print_tree(tree), rows=rows) == tree
