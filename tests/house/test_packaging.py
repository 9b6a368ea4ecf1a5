"""What is shipped is plain: pins without addresses, no path of anybody's machine, one version, the two commands."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.house.tree import PACKAGE, ROOT, project_files

PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users)/")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_constraints_are_exact_pins_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    bad = [line for line in pins if not PIN.fullmatch(line)]
    assert not bad, bad
    assert pins == sorted(pins, key=str.lower)


def _requirement_names(lines: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower().replace("_", "-") for line in lines}


def test_every_dependency_has_a_lower_bound_and_a_pin() -> None:
    project = PROJECT["project"]
    needed = list(project["dependencies"])
    for extra in ("dev", "postgres"):
        needed += project["optional-dependencies"][extra]
    assert not [line for line in needed if ">=" not in line]
    pins = _requirement_names((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    assert not _requirement_names(needed) - pins


def test_no_path_of_a_machine() -> None:
    found = []
    for path in project_files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert not found, found


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_two_commands_of_the_readme_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", text))
    assert {"demo", "test"} <= named <= rules


def test_one_version() -> None:
    version = PROJECT["project"]["version"]
    init = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    stated = re.search(r"__version__\s*=\s*\"([^\"]+)\"", init)
    assert stated is None or stated[1] == version
    assert f"[{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8") or "[Unreleased]" in (
        ROOT / "CHANGELOG.md"
    ).read_text(encoding="utf-8")


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
