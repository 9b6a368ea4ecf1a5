"""Habits that a reader relies on: sentences on top, short files and functions, words that are not used here."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

import pytest

from tests.house.tree import Module, functions, source_modules, test_modules

FILE_TARGET, FILE_LIMIT = 400, 700
FUNCTION_LIMIT = 70

#: "module:function" → why it may be longer than the limit.
LONGER_FUNCTIONS: dict[str, str] = {}

BAD_FILE_NAMES = {"utils", "util", "common", "core", "helpers", "helper", "manager", "managers", "misc"}
READS_THE_CLOCK = {"", "cli", "entry", "server", "worker"}
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
SEEDED = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox", "BitGenerator"}
LEFTOVER = re.compile(r"\b(?:FIX" r"ME|TO" r"DO|X" r"XX)\b")

modules = pytest.mark.parametrize("module", source_modules(), ids=lambda module: module.name)


@pytest.mark.parametrize("module", source_modules() + test_modules(), ids=lambda module: module.shown)
def test_every_module_opens_with_a_sentence(module: Module) -> None:
    text = ast.get_docstring(module.tree)
    assert text, "say in one sentence what this module owns"
    first = text.split("\n\n")[0].strip()
    assert first[-1] in ".:。!?", f"the first paragraph is a sentence: {first!r}"


def test_files_are_short() -> None:
    lengths = {module.shown: module.text.count("\n") for module in source_modules()}
    over = {name: lines for name, lines in lengths.items() if lines > FILE_LIMIT}
    assert not over, f"more than {FILE_LIMIT} lines, split by noun: {over}"
    long = {name: lines for name, lines in lengths.items() if lines > FILE_TARGET}
    if long:
        warnings.warn(f"longer than {FILE_TARGET} lines: {long}", stacklevel=1)


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_functions_are_short() -> None:
    lengths = {f"{m.name}:{name}": _code_lines(node) for m in source_modules() for name, node in functions(m)}
    over = {name: lines for name, lines in lengths.items() if lines > FUNCTION_LIMIT and name not in LONGER_FUNCTIONS}
    assert not over, f"more than {FUNCTION_LIMIT} lines without the docstring: {over}"
    idle = [name for name in LONGER_FUNCTIONS if lengths.get(name, 0) <= FUNCTION_LIMIT]
    assert not idle, f"no longer needed in LONGER_FUNCTIONS: {idle}"


@modules
def test_file_names_say_what_is_inside(module: Module) -> None:
    bad = BAD_FILE_NAMES.intersection(module.name.split("."))
    assert not bad, f"{bad}: name the noun it owns"


@modules
def test_words_not_used_here(module: Module) -> None:
    found = [*_banned(module)]
    found += [f"line {n}: leftover note" for n, line in enumerate(module.text.splitlines(), 1) if LEFTOVER.search(line)]
    assert not found, "\n".join([module.shown, *found])


def _banned(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            tail = ".".join(called.split(".")[-2:])
            if tail in CLOCKS and module.room not in READS_THE_CLOCK:
                yield f"line {node.lineno}: {called}(): instants are passed in (as_of, at)"
            if called == "print" and module.room != "cli":
                yield f"line {node.lineno}: print(): return it; only the command line prints"
        if isinstance(node, ast.Attribute):
            named = ast.unparse(node)
            if re.fullmatch(r"random\.(?!Random$)\w+", named):
                yield f"line {node.lineno}: {named}: take a random.Random(seed) as an argument"
            drawn = re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", named)
            if drawn and drawn[1] not in SEEDED:
                yield f"line {node.lineno}: {named}: take a numpy Generator as an argument"


def test_the_words_are_found() -> None:
    text = "import random\nprint(datetime.now())\nrandom.random()\nnp.random.seed(1)\nnp.random.default_rng(1)\n"
    module = Module(source_modules()[0].path, "tierwise.lake.x", text, ast.parse(text))
    assert len([*_banned(module)]) == 4
