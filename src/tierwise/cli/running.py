"""Computing: run, refresh."""

from __future__ import annotations

import sys
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tierwise.cli.context import CONTEXT, Context

__all__ = ["bar", "refresh", "register", "run"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(refresh)


def run(
    as_of: str = typer.Option("", help="now, latest row, a date or an instant; by default what tierwise.yaml says."),
    known_at: str = typer.Option("", help="Answer with what was known at an instant; nothing is recorded."),
    as_believed: bool = typer.Option(
        False, "--as-believed", help="Compare with the distributions published by then; nothing is recorded."
    ),
    as_declared: bool = typer.Option(
        False, "--as-declared", help="Go by the definitions recorded last (by --known-at); nothing is recorded."
    ),
    no_import: bool = typer.Option(False, "--no-import", help="Compute from what the lake has; read no file."),
    no_wait: bool = typer.Option(False, "--no-wait", help="Refuse instead of waiting for another run."),
) -> None:
    """Import what is new, put every customer in their tiers, record who moved."""
    context = CONTEXT.get()
    with context.open() as project, bar() as shown:
        task = shown.add_task("", total=None)

        def progress(step: str, done: int, total: int) -> None:
            shown.update(task, description=step, completed=done, total=total or None)

        report = project.run(
            as_of or None,
            progress,
            not no_import,
            known_at=known_at or None,
            as_believed=as_believed,
            as_declared=as_declared,
            wait=not no_wait,
            waiting=context.tell,
        )
    if context.json:
        context.print_json(report)
    else:
        _report(context, report)


def refresh(
    as_of: str = typer.Option("", help="now, latest row, a date or an instant; by default what tierwise.yaml says."),
    publish: bool = typer.Option(False, "--publish", help="Publish anew what population functions compare with."),
    no_import: bool = typer.Option(False, "--no-import", help="Compute from what the lake has; read no file."),
    no_wait: bool = typer.Option(False, "--no-wait", help="Refuse instead of waiting for another run."),
) -> None:
    """Import what is new, compute only the customers it or time touches, record who moved."""
    context = CONTEXT.get()
    with context.open() as project, bar() as shown:
        task = shown.add_task("", total=None)

        def progress(step: str, done: int, total: int) -> None:
            shown.update(task, description=step, completed=done, total=total or None)

        report = project.refresh(
            as_of or None, publish, progress, not no_import, wait=not no_wait, waiting=context.tell
        )
    if context.json:
        context.print_json(report)
        return
    _report(context, report)
    touched, because = report["touched"], report["everyone_because"]
    if because:
        context.say(context.word(f"全部客户都重新计算（{because}）", f"everyone was computed: {because}"))
    else:
        why = ", ".join(f"{reason} {count:,}" for reason, count in report["why"].items())
        words = context.word(f"重新计算了 {touched:,} 位客户", f"{touched:,} customers were computed")
        context.say(f"{words} ({why})" if why else words)


def bar() -> Progress:
    """Return the bar that shows how far something is, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty())


def _report(context: Context, report: dict[str, Any]) -> None:
    imports = [one for one in report["imports"] if one["state"] != "unchanged"]
    if imports:
        columns = ["source", "file", "rows_read", "new", "replaced", "duplicate", "quarantined"]
        context.rows(imports, columns, {"rows_read": "read"})
        _reasons(context, imports)
    unchanged = len(report["imports"]) - len(imports)
    if unchanged:
        context.say(context.word(f"{unchanged} 个文件没有变化", f"{unchanged} files unchanged"))
    personal = sorted({column for one in imports for column in one["personal_columns"]})
    if personal:
        words = context.word(
            "个人信息列已加密存入个人信息保险库：", "personal columns, encrypted in the people vault: "
        )
        context.say(words + ", ".join(personal))
    if report["refunds_without_order"]:
        n = report["refunds_without_order"]
        context.say(context.word(f"{n:,} 笔退款没有指明已知订单", f"{n:,} refunds name no known order and change none"))
    for against in report["by_hand"]["contradictions"]:
        words = context.word("人工与规则不一致：", "by hand against the rule: ")
        said, rule = against["by_hand"], against["by_rule"]
        context.say(f"{words}{against['customer_key']} {against['name']}: {said} ≠ {rule}")
    for gap in report["never_matched"]:
        words = context.word("没有客户的等级：", "a tier that matched nobody: ")
        context.say(f"{words}{gap['tiering']}.{gap['tier']}")
    for warning in report["warnings"]:
        context.say(warning)
    context.say()
    context.say(
        context.word(
            f"{report['customers']:,} 位客户，截至 {report['as_of']} UTC，快照 {report['snapshot_id']}",
            f"{report['customers']:,} customers as of {report['as_of']} UTC, snapshot {report['snapshot_id']}",
        )
    )
    moved = ", ".join(f"{cause} {count:,}" for cause, count in report["changes"].items())
    then = report.get("definitions_then", "")
    if then and then != report["definitions_hash"]:
        now = report["definitions_hash"]
        context.say(
            context.word(f"当时的定义是 {then}，现在是 {now}", f"the definitions then were {then}, now they are {now}")
        )
    if not report["recorded"]:
        context.say(
            context.word(
                "早于最近一次记录，或不是以现在所知计算：只计算，不记录变动",
                "earlier than the newest record, or not of what is known now: computed, no change recorded",
            )
        )
    else:
        none = context.word("没有变动", "nobody moved")
        context.say(context.word("变动：", "changes recorded: ") + (moved or none))


def _reasons(context: Context, imports: list[dict[str, Any]]) -> None:
    total: dict[str, int] = {}
    for one in imports:
        for reason, count in one["reasons"].items():
            total[reason] = total.get(reason, 0) + count
    if total:
        shown = ", ".join(f"{reason} {count:,}" for reason, count in sorted(total.items(), key=lambda item: -item[1]))
        words = context.word("隔离原因：", "quarantined because: ")
        context.say(f"{words}{shown}  (tierwise export quarantine --to FILE.csv)")
