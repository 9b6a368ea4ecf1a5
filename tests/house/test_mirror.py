"""Tests mirror the source: every room has its tests where a reader looks for them."""

from __future__ import annotations

from tests.house.tree import PACKAGE, ROOT


def test_every_room_has_tests() -> None:
    missing = []
    for entry in sorted(PACKAGE.iterdir()):
        if entry.name.startswith(("_", ".")) or entry.name == "packs":
            continue
        if entry.is_dir() and any(entry.rglob("*.py")) and not any((ROOT / "tests" / entry.name).rglob("test_*.py")):
            missing.append(f"tests/{entry.name}/test_….py")
        elif entry.suffix == ".py":
            stem = entry.stem
            if not (ROOT / "tests" / f"test_{stem}.py").exists() and not (ROOT / "tests" / stem).is_dir():
                missing.append(f"tests/test_{stem}.py")
    assert not missing, missing


def test_every_test_folder_has_its_room() -> None:
    own = {"house", "conformance", "golden", "published", "properties", "examples"}
    folders = {
        path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith((".", "_"))
    }
    rooms = {path.stem for path in PACKAGE.iterdir()}
    assert not folders - own - rooms, "a test folder without a room in src/tierwise"
