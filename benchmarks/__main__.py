"""Run benchmarks: ``python -m benchmarks --customers 100000 [--rounds 3] [--folder DIR] [--only hand evaluate …]``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.compare import differing_cells
from benchmarks.contenders import CONTENDERS
from benchmarks.data import EVENTS, make_project
from benchmarks.report import machine, section

__all__ = ["main"]

#: These make what the others read, and so run once, first.
_FIRST: Final = ("total", "frames")
_RIVALS: Final = ("hand", "polars", "pandas")
_ROOT: Final = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the data if it is not there, run the contenders by turns, print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=EVENTS, help="how many a customer has on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept and used again; by default a temporary one")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--out", type=Path, help="a file the report is appended to")
    asked = parser.parse_args(arguments)
    folder = asked.folder or Path(tempfile.mkdtemp()) / "project"
    if not (folder / "tierwise.yaml").is_file():
        make_project(folder, asked.customers, asked.seed, _say, asked.events)
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in asked.only}
    load = []
    for turn in range(asked.rounds):
        for name in asked.only:
            if turn == 0 or name not in _FIRST:
                load.append(os.getloadavg()[0])
                figures[name].append(_child(name, folder))
                _say(f"{name}: {json.dumps(figures[name][-1])}")
    answers = folder / "answers"
    differences = {
        rival: differing_cells(answers / "tierwise.parquet", answers / f"{rival}.parquet")
        for rival in _RIVALS
        if figures.get(rival) and figures.get("evaluate")
    }
    figures.pop("frames", None)
    report = section(asked.customers, figures, differences, load, asked.events)
    sys.stdout.write(f"{machine()}\n\n{report}")
    if asked.out:
        with asked.out.open("a", encoding="utf-8") as out:
            out.write(f"\n{report}")
    if asked.folder is None:
        shutil.rmtree(folder.parent)


def _child(name: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.child", name, str(folder)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
