"""The source tree as the house tests see it: modules with their text and syntax, and the project's text files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tierwise"
_NOT_OURS = {".git", ".venv", ".cache", ".hypothesis", ".ruff_cache", "__pycache__", "node_modules", "build", "dist"}
_TEXT = {".py", ".pyi", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".cfg", ".ini", ".sql", ".mako", ""}


@dataclass(frozen=True)
class Module:
    """One Python file: its place, its dotted name, its text and its syntax tree."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def shown(self) -> str:
        """The path as a reader would click it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str:
        """The top-level package or module below `tierwise`; empty for the root itself."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def is_package(self) -> bool:
        """Whether this is the `__init__` of a package."""
        return self.path.name == "__init__.py"


def _module(path: Path, base: Path) -> Module:
    parts = list(path.relative_to(base).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    text = path.read_text(encoding="utf-8")
    return Module(path, ".".join(parts), text, ast.parse(text, filename=str(path)))


@cache
def source_modules() -> tuple[Module, ...]:
    """Every module below ``src/tierwise``."""
    return tuple(_module(path, ROOT / "src") for path in sorted(PACKAGE.rglob("*.py")))


@cache
def test_modules() -> tuple[Module, ...]:
    """Every module below ``tests``."""
    return tuple(_module(path, ROOT) for path in sorted((ROOT / "tests").rglob("*.py")))


# The name begins with `test_`, yet it is not one.
test_modules.__test__ = False  # type: ignore[attr-defined]


def functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function and method with its dotted name inside the module."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}{child.name}", child
                yield from walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")
            else:
                yield from walk(child, prefix)

    yield from walk(module.tree, "")


def project_files() -> Iterator[Path]:
    """Yield every text file of the project (not what tools, projects or git made)."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and path.suffix in _TEXT and not _NOT_OURS.intersection(parts) and parts[0] != "demo":
            yield path


def documents() -> list[Path]:
    """Return the Markdown pages of the project."""
    return [path for path in project_files() if path.suffix == ".md"]
