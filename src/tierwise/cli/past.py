"""The past: who was in what on a day, one customer's history, migration, retention, sizes; backfill."""

from __future__ import annotations

from typing import Any

import typer

from tierwise.cli.context import CONTEXT
from tierwise.cli.running import bar

__all__ = ["backfill", "migration", "of", "register", "retention", "sizes", "who"]

_history = typer.Typer(no_args_is_help=True, help="What was recorded: who was in which tier or segment, and when.")
_ON = "A date (its end) or an instant."
_EVERY = "A length of time: 1d, 1w, 1mo."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (who, of, migration, retention, sizes):
        _history.command()(command)
    app.add_typer(_history, name="history")
    app.command()(backfill)


def who(
    what: str = typer.Argument(..., help="A segment (lapsing_vip, segment:lapsing_vip) or a tier (grade.gold)."),
    on: str = typer.Option(..., help=_ON),
    limit: int = typer.Option(50, min=1, help="Show at most so many; --json gives all."),
) -> None:
    """Say who was in a segment or a tier on a day."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.history.who(what, on)
    context.show(found if context.json else found.slice(0, limit))
    if not context.json:
        context.say(context.word(f"共 {found.num_rows:,} 位客户", f"{found.num_rows:,} customers"))


def of(customer: str = typer.Argument(..., help="The brand's customer number, or id:42.")) -> None:
    """Show every tier and segment one customer was in, oldest first."""
    context = CONTEXT.get()
    with context.open() as project:
        context.show(project.history.of(customer))


def migration(
    tiering: str = typer.Argument(..., help="A tiering, such as grade."),
    start: str = typer.Option(..., "--from", help=_ON),
    end: str = typer.Option(..., "--to", help=_ON),
) -> None:
    """Count who went from which tier to which between two days."""
    context = CONTEXT.get()
    with context.open() as project:
        context.show(project.history.migration(tiering, start, end))


def retention(
    tiering: str = typer.Argument(..., help="A tiering, such as grade."),
    start: str = typer.Option(..., "--from", help=_ON),
    end: str = typer.Option("now", "--to", help=_ON),
    every: str = typer.Option("1mo", help=_EVERY),
) -> None:
    """Show how many of those in a tier on a day still were in it later."""
    context = CONTEXT.get()
    with context.open() as project:
        context.show(project.history.retention(tiering, start, every, end))


def sizes(
    what: str = typer.Argument(..., help="A segment, a tier (grade.gold) or a tiering."),
    start: str = typer.Option(..., "--from", help=_ON),
    end: str = typer.Option("now", "--to", help=_ON),
    every: str = typer.Option("1d", help=_EVERY),
) -> None:
    """Show how large a segment or the tiers of a tiering were over time."""
    context = CONTEXT.get()
    with context.open() as project:
        context.show(project.history.sizes(what, start, every, end))


def backfill(
    start: str = typer.Option(..., "--from", help=_ON),
    every: str = typer.Option("1mo", help=_EVERY),
    end: str = typer.Option("", "--to", help="Up to when; by default up to the first recorded run."),
) -> None:
    """Write the history of the time before the first recorded run."""
    context = CONTEXT.get()
    with context.open() as project, bar() as shown:
        task = shown.add_task("", total=None)

        def progress(step: str, done: int, total: int) -> None:
            shown.update(task, description=step, completed=done, total=total or None)

        report: dict[str, Any] = project.backfill(start, every, end or None, progress)
    if context.json:
        context.print_json(report)
        return
    import pyarrow as pa

    context.show(pa.Table.from_pylist(report["dates"]))
    closed = report["memberships_closed"]
    if closed:
        words = f"首次记录前已离开分群 {closed:,} 次", f"{closed:,} had left a segment before the first recorded run"
        context.say(context.word(*words))
