"""Making a project and looking over it: init, check."""

from __future__ import annotations

import typer

import tierwise
from tierwise.cli.context import CONTEXT
from tierwise.errors import Problem
from tierwise.packs import pack_names

__all__ = ["check", "init", "register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(check)


def init(
    folder: str = typer.Argument(..., metavar="DIR", help="A new folder."),
    pack: str = typer.Option("empty", help=f"A ready project: empty, {', '.join(pack_names())}."),
    customers: int = typer.Option(20_000, min=1, help="How many customers the pack's simulated shop has."),
    seed: int = typer.Option(1, min=0, help="The shop's seed: the same seed makes the same shop."),
) -> None:
    """Make a new project folder."""
    context = CONTEXT.get()
    made = tierwise.init(folder, pack, customers, seed)
    if context.json:
        context.print_json(made)
        return
    context.say(context.word(f"项目已建立：{made['folder']}", f"a new project is in {made['folder']}"))
    if made["files"]:
        rows = [{"table": name, "rows": rows} for name, rows in made["files"].items()]
        context.rows(
            rows,
            ["table", "rows"],
            {"table": context.word("模拟数据", "simulated"), "rows": context.word("行", "rows")},
        )
    context.say(context.word("下一步：", "next: ") + f"tierwise --project {folder} run")


def check() -> int:
    """Check everything that is declared, the files' columns included; all problems at once."""
    context = CONTEXT.get()
    with context.open() as project:
        problems = project.check()
    errors = [problem for problem in problems if problem.severity == "error"]
    if context.json:
        context.print_json({"errors": len(errors), "problems": [problem.as_json() for problem in problems]})
        return 1 if errors else 0
    for problem in sorted(problems, key=lambda problem: problem.severity != "error"):
        _show(problem)
    warnings = len(problems) - len(errors)
    context.say(context.word(f"{len(errors)} 个错误，{warnings} 个警告", f"{len(errors)} errors, {warnings} warnings"))
    return 1 if errors else 0


def _show(problem: Problem) -> None:
    context = CONTEXT.get()
    prefix = "" if problem.severity == "error" else context.word("警告 ", "warning ")
    context.say(f"{prefix}{problem}\n")
