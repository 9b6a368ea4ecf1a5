"""A name is letters, digits and _; nothing that Unicode would read as another name."""

from __future__ import annotations

import pytest

from tierwise.definitions.names import name_problem


@pytest.mark.parametrize("name", ["spend_365d", "_x", "近一年消费", "É", "a" * 63, "ß"])
def test_names(name: str) -> None:
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "not a name"), ("365d", "not a name"), ("a b", "not a name"), ("a-b", "not a name"), ("a.b", "not a name"),
        ("and", "a reserved word"), ("class", "a reserved word"), ("None", "a reserved word"), ("a" * 64, "longer than 63"),
        ("ﬁrst", "read as `first`"), ("ｎ", "read as `n`"), ("e\u0301", "read as `é`"), ("x\u200b", "not a name"),
    ],
)  # fmt: skip
def test_no_names(name: str, words: str) -> None:
    assert words in name_problem(name)
