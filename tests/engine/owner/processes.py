"""Real processes around one small project: sessions that hold it, pause in the middle of a run, or ask."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.projects import EVENTS, ORDERS, REFUNDS, TIERS, Brand, csv

ROOT: Final = Path(__file__).parents[3]
HEAD: Final = "id,customer,time,amount"
FILES: Final = {
    "sources/orders.yaml": ORDERS,
    "sources/refunds.yaml": REFUNDS,
    "sources/events.yaml": EVENTS,
    "definitions/tiers.yaml": TIERS,
    "data/orders.csv": csv(HEAD, "1,a,2026-05-20,200", "2,b,2026-05-20,50"),
    "data/refunds.csv": csv(HEAD, "2,b,2026-05-25,20"),
    "data/events.csv": csv("customer,time,type", "e,2026-05-02,view"),
}

#: Opens the project, says so, and does what each line it reads says, until there is no more.
SESSION: Final = """\
import json, sys
from pathlib import Path
from tests.projects import Brand

brand = Brand(Path(sys.argv[1]))
say = lambda **said: print(json.dumps(said, default=str), flush=True)
hear = lambda: sys.stdin.readline().strip()

def progress(step, done, total):
    global pause
    if pause and step.startswith(pause):
        pause = ""
        say(paused=step)
        hear()

with brand.open(1) as project:
    project.plan()
    say(held=True)
    while word := hear():
        pause = word.removeprefix("run ") if word.startswith("run ") else ""
        try:
            if word.startswith("run"):
                say(run_id=project.run(progress=progress)["run_id"])
            else:
                say(answer=eval(word, {"project": project}))
        except Exception as error:
            say(error=type(error).__name__, message=str(error))
say(closed=True)
"""


def brand_in(folder: Path) -> Brand:
    """Return a small project that has been run once."""
    brand = Brand(folder, FILES)
    brand.run()
    return brand


class Session:
    """A Python process that has the project open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the session has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def ask(self, expression: str) -> Any:
        """Have an expression over `project` evaluated there."""
        self.tell(expression)
        return self.hear()

    def pause_in(self, step: str) -> None:
        """Begin a run there and let it stand still at a step."""
        self.tell(f"run {step}")
        assert self.hear()["paused"].startswith(step)

    def go_on(self) -> None:
        self.tell("")

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """A session on a project; ended afterwards."""
    command = [sys.executable, "-X", "faulthandler", "-c", SESSION, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        one = Session(process)
        try:
            assert one.hear() == {"held": True}
            yield one
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(60)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command on a project."""
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-c",
        "from tierwise.cli import main; main()",
        "--project",
        str(folder),
        *words,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a command and return what it printed."""
    return "".join(_finished(process, code))


def json_of(process: subprocess.Popen[str]) -> Any:
    """Wait for a command and return the document it printed."""
    return json.loads(_finished(process, 0)[0])


def command(folder: Path, *words: str, code: int = 0) -> str:
    """Do a command on a project and return what it printed."""
    return finish(start(folder, *words), code)


def _finished(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (process.args, out, err)
    assert "Traceback" not in err and "this is a bug" not in err, err
    return out, err
