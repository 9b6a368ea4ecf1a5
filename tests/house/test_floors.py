"""Imports only go down (DESIGN's floors, written as import-linter contracts in pyproject.toml)."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.house.tree import ROOT, source_modules


def test_the_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    command += ["--cache-dir", str(ROOT / ".cache" / "import-linter")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nobody_inside_imports_the_root() -> None:
    """The root re-exports the façade, so a room that imports it would import every floor above its own."""
    found = []
    for module in source_modules():
        if module.room in {"", "cli", "__main__"}:
            continue
        for node in ast.walk(module.tree):
            plain = isinstance(node, ast.Import) and any(alias.name == "tierwise" for alias in node.names)
            named = isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "tierwise"
            if plain or named:
                found.append(f"{module.shown}:{node.lineno}")  # type: ignore[attr-defined]
    assert not found, f"import the room you need, not the root: {found}"
