"""Hypothesis strategies: every tree that can be written as an expression, valid or not in any scope."""

from __future__ import annotations

import keyword
import unicodedata
from decimal import Decimal

from hypothesis import strategies as st

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
)

__all__ = ["decimals", "literals", "names", "row_trees", "texts", "trees"]

NAMES = ("a", "b", "spend_365d", "城市", "é", "_x9", "as_of", "match", "case", "count", "day")
_OPTIONS = (
    "where",
    "of",
    "within",
    "ago",
    "since",
    "until",
    "on",
    "latest",
    "by",
    "n",
    "percent",
    "best",
    "among",
    "x",
    "é",
)
_NOT_NAMES = frozenset({"call", "args", "stream", "column"})


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text) and unicodedata.normalize("NFKC", text) == text


names = st.sampled_from(NAMES) | st.text(min_size=1, max_size=6).filter(_is_name)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).map(
    lambda text: unicodedata.normalize("NFC", text)
)
column_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
decimals = st.builds(
    lambda whole, fraction: Decimal(f"{whole}.{fraction}"),
    st.integers(0, 10**12 - 1),
    st.from_regex(r"[0-9]{1,6}0{0,3}", fullmatch=True).filter(lambda digits: len(digits.rstrip("0")) <= 6),
)
literals: st.SearchStrategy[Node] = st.builds(
    Literal,
    st.booleans() | st.integers(0, 2**63 - 1) | decimals | texts | st.sampled_from(["30d", "2026-03-01", "gold"]),
)


def _leaves(rows: bool) -> st.SearchStrategy[Node]:
    about: st.SearchStrategy[Node]
    if rows:
        about = (
            st.builds(Column, names.filter(lambda name: name not in ("param", "customer")))
            | st.builds(Column, column_names)
            | st.builds(CustomerValue, names)
        )
    else:
        about = st.builds(Name, names)
    return literals | about | st.builds(Parameter, names)


def _lists(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(Items, st.lists(inner, min_size=1, max_size=4).map(tuple))


def _operators(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    two, many = st.tuples(inner, inner), st.lists(inner, min_size=2, max_size=4).map(tuple)
    one = st.tuples(inner)
    # A literal on the right side of `in` is a list of one; two sums that are added are one sum only when written so.
    listed = st.tuples(inner, _lists(inner) | inner.filter(lambda node: not isinstance(node, Literal)))
    chains = st.integers(2, 3).flatmap(
        lambda n: st.builds(
            Chain,
            st.tuples(*[st.sampled_from(["<", "<=", ">", ">="])] * n),
            st.tuples(*[inner] * (n + 1)),
        )
    )
    return (
        st.builds(Op, st.sampled_from(["not", "neg", "missing", "present"]), one)
        | st.builds(Op, st.sampled_from(["-", "/", *COMPARISONS]), two)
        | st.builds(Op, st.sampled_from(["and", "or", "+", "*"]), many)
        | st.builds(Op, st.sampled_from(["in", "not_in"]), listed)
        | chains
    )


def _options(
    inner: st.SearchStrategy[Node], rows: st.SearchStrategy[Node]
) -> st.SearchStrategy[tuple[tuple[str, Node], ...]]:
    named = st.lists(st.sampled_from(_OPTIONS), max_size=3, unique=True)
    return named.flatmap(
        lambda found: st.tuples(
            *[st.tuples(st.just(name), rows if name in ("where", "of") else inner) for name in found]
        )
    )


def _calls(inner: st.SearchStrategy[Node], rows: st.SearchStrategy[Node] | None) -> st.SearchStrategy[Node]:
    scalar = st.builds(
        Call,
        st.sampled_from([name for name, function in FUNCTIONS.items() if function.group not in ("stream", "sequence")]),
        st.lists(inner, max_size=3).map(tuple),
        _options(inner, inner),
    )
    if rows is None:
        return scalar
    stream = st.builds(
        Call,
        st.sampled_from([name for name, function in FUNCTIONS.items() if function.group == "stream"]),
        st.lists(inner, max_size=2).map(tuple),
        _options(inner, rows),
        names,
        st.just("") | names,
    )
    steps = st.builds(Step, names, st.none() | rows)
    plain = st.lists(st.sampled_from(("within", "gap", "n", "é")), max_size=2, unique=True)
    told = plain.flatmap(lambda found: st.tuples(*[st.tuples(st.just(name), inner) for name in found]))
    shared = st.just(()) | st.builds(Column, column_names).map(lambda column: (("same", column),))
    left_out = st.just(()) | steps.map(lambda step: (("without", step),))
    named = st.builds(lambda one, two, three: (*one, *two, *three), shared, left_out, told)
    sequence = st.builds(
        lambda found, options: Call("followed", found, options),
        st.lists(steps, min_size=1, max_size=3).map(tuple),
        named,
    )
    return scalar | stream | sequence


def _extended(leaves: st.SearchStrategy[Node], rows: st.SearchStrategy[Node] | None) -> st.SearchStrategy[Node]:
    return st.recursive(leaves, lambda inner: _operators(inner) | _calls(inner, rows), max_leaves=12)


#: Trees of a condition on rows, or of a source's expression.
row_trees: st.SearchStrategy[Node] = _extended(_leaves(rows=True), None)
#: Trees about a customer.
trees: st.SearchStrategy[Node] = _extended(_leaves(rows=False), row_trees)
