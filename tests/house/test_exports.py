"""`__all__` says what a module offers: all of it, and only what is there."""

from __future__ import annotations

import ast

import pytest

from tests.house.tree import Module, source_modules


def _declared(module: Module) -> list[str] | None:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def _top_level(module: Module) -> list[ast.stmt]:
    """Return the top level's statements, those under `if TYPE_CHECKING` too: what is loaded late is declared there."""
    found: list[ast.stmt] = []
    for node in module.tree.body:
        late = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        found += node.body if late and isinstance(node, ast.If) else [node]
    return found


def _bound(module: Module) -> tuple[set[str], set[str]]:
    """Return (names defined here, names gathered from modules inside), public ones, at the top level."""
    defined: set[str] = set()
    imported: set[str] = set()
    for node in _top_level(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.add(node.target.id)
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{module.name}."):
            imported |= {alias.asname or alias.name for alias in node.names}
    return {n for n in defined if not n.startswith("_")}, {n for n in imported if not n.startswith("_")}


def _imported_from_elsewhere(module: Module) -> set[str]:
    found = [node for node in _top_level(module) if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in found for alias in node.names}


@pytest.mark.parametrize("module", source_modules(), ids=lambda module: module.name)
def test_all_equals_what_is_there(module: Module) -> None:
    if "migrations.versions" in module.name:
        return
    declared = _declared(module)
    defined, imported = _bound(module)
    if declared is None:
        assert not (module.is_package and (defined or imported)), "a package that offers names lists them in __all__"
        return
    assert len(declared) == len(set(declared)), "a name is listed twice"
    public = {name for name in declared if not (name.startswith("__") and name.endswith("__"))}
    missing = defined - public
    absent = public - defined - imported - _imported_from_elsewhere(module)
    assert not missing, f"public but not in __all__ (list it, or start it with _): {sorted(missing)}"
    assert not absent, f"in __all__ but not defined: {sorted(absent)}"
    if module.is_package:
        assert not imported - public, f"gathered into a package and not offered: {sorted(imported - public)}"
