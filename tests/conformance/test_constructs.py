"""Every function with every option, and every operator: the hand's truth, the reference and the engine agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from tierwise.definitions.language.functions import FUNCTIONS, STREAM_OPTIONS
from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.nodes import Call, Chain, Literal, Op, walk
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.reference import Evaluation
from tierwise.engine.cells import named_cell
from tierwise.testing.constructs import WORLDS
from tierwise.testing.worlds import catalogue_of, engine_of, reference_of, same, spines


@dataclass(frozen=True)
class Answers:
    """What everybody answers in one world: kind by expression, then answers by who was asked."""

    kinds: Mapping[str, Kind]
    values: Mapping[str, Mapping[str, list[Any]]]


@cache
def _answers(world: str) -> Answers:
    case, truths = WORLDS[world]
    names = {f"x{index}": text for index, text in enumerate(truths)}
    case = replace(case, tags=names)
    catalogue = catalogue_of(case)
    evaluation = Evaluation(reference_of(case, catalogue), case.as_of)
    values: dict[str, dict[str, list[Any]]] = {"reference": {}}
    for name, text in names.items():
        values["reference"][text] = [evaluation.value(evaluation.world.tags[name], c) for c in case.customers]
    with engine_of(case, catalogue) as engine:
        for spine, rows in spines(case, catalogue, engine, list(names)).items():
            now = {line["customer_id"]: line for line in rows if line["as_of"] == case.as_of}
            values[spine] = {
                text: [now[c][name] if c in now else None for c in case.customers] for name, text in names.items()
            }
            values[spine]["asked"] = [c in now for c in case.customers]
    return Answers({text: named_cell(catalogue, name).kind for name, text in names.items()}, values)


CASES = [pytest.param(world, text, id=f"{world}: {text}") for world, (_, truths) in WORLDS.items() for text in truths]


@pytest.mark.xdist_group("constructs")
@pytest.mark.parametrize(("world", "text"), CASES)
def test_truth(world: str, text: str) -> None:
    truth = WORLDS[world][1][text]
    answers = _answers(world)
    kind = answers.kinds[text]
    for who, values in answers.values.items():
        asked = values.get("asked", [True] * len(truth))
        for customer, (value, true, was_asked) in enumerate(zip(values[text], truth, asked, strict=True), 1):
            wanted = (
                type(value)(true)
                if kind.name in ("decimal", "money") and value is not None and true is not None
                else true
            )
            assert not was_asked or same(kind, value, wanted), f"{who}, customer {customer}: {value!r} is not {true!r}"


# -- nothing is left out -----------------------------------------------------------------------------------------------


def _uses() -> Iterator[tuple[str, str, str]]:
    """Every (function or operator, option, choice) some case uses."""
    for _, truths in WORLDS.values():
        for text in truths:
            for _, node in walk(parse(text)):
                match node:
                    case Call(function):
                        yield function, "", ""
                        for name, value in node.named:
                            yield function, name, ""
                            if isinstance(value, Literal):
                                yield function, name, str(value.value)
                    case Op(op):
                        yield op, "", ""
                    case Chain(ops):
                        yield from ((op, "", "") for op in ops)


USES = frozenset(_uses())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_cases_with_every_option(name: str) -> None:
    options = [param for param in FUNCTIONS[name].params if param.keyword]
    assert (name, "", "") in USES, f"write a case for {name}() in tierwise/testing/truths.py"
    missing = [param.name for param in options if (name, param.name, "") not in USES]
    assert not missing, f"no case gives {name}() the options {missing}"
    choices = [(param.name, choice) for param in options for choice in param.choices if param.name == "best"]
    absent = [choice for option, choice in choices if choice != "high" and (name, option, choice) not in USES]
    assert not absent, f"no case gives {name}() the choices {absent}"


def test_every_calendar_word_has_a_case() -> None:
    words = next(param.choices for param in STREAM_OPTIONS if param.name == "on")
    used = {choice for _, option, choice in USES if option == "on"}
    assert not set(words) - used


@pytest.mark.parametrize(
    "operator",
    [
        "and",
        "or",
        "not",
        "+",
        "-",
        "*",
        "/",
        "neg",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "in",
        "not_in",
        "missing",
        "present",
    ],
)
def test_every_operator_has_a_case(operator: str) -> None:
    assert (operator, "", "") in USES
