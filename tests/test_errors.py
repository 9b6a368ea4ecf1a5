"""Problems and errors have one shape wherever they are shown."""

from __future__ import annotations

import inspect
import json

import pytest

from tierwise import errors
from tierwise.errors import DefinitionsInvalid, Place, Problem, TierwiseError, near_name

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, TierwiseError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_a_status_and_one_json_shape(kind: type[TierwiseError]) -> None:
    problem = Problem("kind", "it is text", Place("tags.yaml", 3, 7), hint="use a number")
    error = kind([problem]) if kind is DefinitionsInvalid else kind("no", hint="yes")
    shape = json.loads(json.dumps(error.as_json()))
    assert shape["code"] == kind.code
    assert shape["message"]
    assert 400 <= kind.status < 600
    assert kind.__name__ in (errors.__doc__ or "")


def test_codes_are_different() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(codes) == len(set(codes))


def test_all_problems_are_shown_with_their_place() -> None:
    problems = [Problem("kind", "it is text", Place("tags.yaml", 3, 7)), Problem("yaml", "no", Place("a.yaml"))]
    text = str(DefinitionsInvalid(problems))
    assert "2 problems" in text
    assert "tags.yaml:3:7: it is text [kind]" in text
    assert "a.yaml: no [yaml]" in text


def test_a_problem_needs_a_declared_code() -> None:
    with pytest.raises(AssertionError, match="undeclared"):
        Problem("nonsense", "no")


def test_near_names() -> None:
    assert near_name("spned", ["spend", "orders"]) == "did you mean `spend`?"
    assert near_name("x", ["b", "a"]) == "known here: a, b"
    assert near_name("zzz", [f"tag_{n}" for n in range(20)]) == ""
