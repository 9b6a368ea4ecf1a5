"""The engine's owner: engine serve, status, stop."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from tierwise.cli.context import CONTEXT, Context
from tierwise.cli.tied import TIED, end_with_input

if TYPE_CHECKING:
    from tierwise.engine.owner.claim import Holder

__all__ = ["register", "serve", "status", "stop"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    engine = typer.Typer(help="The process that holds the engine: serve, status, stop.", no_args_is_help=True)
    engine.command()(serve)
    engine.command()(status)
    engine.command()(stop)
    app.add_typer(engine, name="engine")


def serve(tied: bool = typer.Option(False, "--tied", help=TIED)) -> None:
    """Hold the engine for other commands until stopped; they answer sooner, and it stays open between them."""
    context = CONTEXT.get()
    signal.signal(signal.SIGTERM, _ended)
    if tied:
        end_with_input()

    def ready(holder: Holder) -> None:
        context.tell(context.word(f"引擎由进程 {holder.pid} 持有", f"process {holder.pid} holds the engine"))

    with context.open() as project:
        project.serve(ready)


def _ended(_number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: finish what is at work, then go."""
    raise KeyboardInterrupt


def status() -> None:
    """Say who holds the engine, since when, and what it does."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.owner()
    if context.json:
        context.print_json(found)
    elif not found["held"]:
        context.say(context.word("没有进程持有引擎", "nobody holds the engine"))
    else:
        _say_holder(context, found)


def _say_holder(context: Context, found: dict[str, Any]) -> None:
    context.say(
        context.word(
            f"进程 {found['pid']}（{found['command']}，{found['actor']}）自 {found['since']} 持有引擎",
            f"process {found['pid']} ({found['command']}, {found['actor']}) holds the engine since {found['since']}",
        )
    )
    if not found["answers"]:
        context.say(context.word("它没有应答", "it does not answer"))
    rows = [{**one, "what": one["title"] or one["verb"].rpartition(".")[2]} for one in found["doing"]]
    if rows:
        context.rows(rows, ["what", "actor", "pid", "state", "step", "asked_at"], {})


def stop() -> None:
    """Ask the process that holds the engine to finish what it does and let go."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.stop_owner()
    if context.json:
        context.print_json(found)
    elif not found["held"]:
        context.say(context.word("没有进程持有引擎", "nobody holds the engine"))
    else:
        left = len(found["doing"])
        context.say(
            context.word(
                f"进程 {found['pid']} 完成 {left} 项工作后放开引擎",
                f"process {found['pid']} lets go of the engine when it has finished {left} requests",
            )
        )
