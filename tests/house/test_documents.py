"""Documentation cannot lie: its YAML loads, its Python and commands run, its generated pages are current."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from docs import generate
from tests.house.tree import ROOT, documents
from tierwise.definitions.tables import TABLES
from tierwise.store.schema import METADATA

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
HEADINGS = ["Status", "Context", "Decision", "Consequences", "Alternatives"]


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the file it shows (``file=…`` after the language), its text."""

    language: str
    file: str
    body: str


def _blocks(page: Path) -> list[Block]:
    found = []
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        words = match["info"].split()
        file = next((word.removeprefix("file=") for word in words if word.startswith("file=")), "")
        found.append(Block(words[0] if words else "", file, match["body"]))
    return found


pages = pytest.mark.parametrize("page", documents(), ids=lambda page: page.relative_to(ROOT).as_posix())


@pages
def test_yaml_blocks_load(page: Path) -> None:
    for block in _blocks(page):
        if block.language in {"yaml", "yml"}:
            list(YAML(typ="safe").load_all(block.body))


@pages
def test_python_blocks_and_commands_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of one page share a folder and a namespace; ``file=…`` blocks are that folder's files.

    Of a `console` block every line that starts with ``$ tierwise`` is run and must succeed.
    """
    blocks = _blocks(page)
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        if block.file:
            target = tmp_path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.body, encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "__page__"}
    for block in blocks:
        if block.language == "python":
            exec(compile(block.body, str(page), "exec"), namespace)
        elif block.language == "console":
            _run_commands(block.body, tmp_path)


def _run_commands(text: str, folder: Path) -> None:
    for line in text.splitlines():
        if not line.startswith("$ tierwise"):
            continue
        arguments = shlex.split(line[2:])[1:]
        command = [sys.executable, "-c", "from tierwise.cli import main; main()", *arguments]
        environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_generated_pages_are_current(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == generate.PAGES[name](), f"{name} is out of date: run `make docs`"


@pages
def test_links_between_pages_exist(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert not missing, missing


def test_decisions_are_numbered_and_have_five_headings() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert decisions
    assert [path.name[:4] for path in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        found = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert found == HEADINGS, path.name


def test_every_table_of_the_store_is_listed_with_its_key() -> None:
    declared = {table.name: tuple(column.name for column in table.primary_key) for table in METADATA.sorted_tables}
    assert {name: TABLES[name].key for name in declared if name in TABLES} == declared
