"""Looking ahead before a run: plan with who would move, replay of past months, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import typer

from tierwise.cli.context import CONTEXT, Context
from tierwise.cli.running import bar
from tierwise.errors import BadRequest

__all__ = ["diff", "plan", "register"]

_CHANGES: Final = {
    "new": ("新增", "new"),
    "deleted": ("已删除", "deleted"),
    "changed": ("已修改", "changed"),
    "affected": ("受影响", "affected"),
    "unchanged": ("未改动", "unchanged"),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(plan)
    app.command()(diff)


def plan(
    top: int = typer.Option(10, min=0, help="Name so many of the customers who would move, those worth most."),
    to: Path | None = typer.Option(None, help="Write all of them to a .csv, .xlsx or .parquet file."),
    replay: str = typer.Option("", help="A tiering or segment: its sizes at past month ends, as it was and as it is."),
    months: int = typer.Option(12, help="How many month ends to replay."),
) -> None:
    """Show what a run would do: files to import, tables to build, and who would move by what was edited."""
    context = CONTEXT.get()
    if replay:
        if to is not None:
            raise BadRequest("--to writes who would move, which --replay does not say", "leave one of the two out")
        _replay(context, replay, months)
        return
    with context.open() as project:
        found = project.plan(top)
        if to is not None:
            found["written"] = project.export_concerned(to)
    if context.json:
        context.print_json(found)
        return
    _run(context, found)
    _due(context, found["refresh"])
    _edit(context, found["edit"])
    if to is not None:
        rows = found["written"]["rows"]
        context.say(context.word(f"{rows:,} 位客户已写入 {to}", f"{rows:,} customers written to {to}"))


def _run(context: Context, found: dict[str, Any]) -> None:
    context.say(f"as_of {found['as_of']}   definitions {found['definitions_hash']}")
    context.rows(found["imports"], ["source", "file", "state"], {})
    rebuilt: list[dict[str, Any]] = [row for row in found["streams"] if row["rebuild"]]
    if rebuilt:
        context.say()
        context.rows(rebuilt, ["stream", "why"], {})
    names = found["names"]
    context.say()
    context.say(
        f"{names['tags']} tags, {names['tierings']} tierings, {names['segments']} segments: "
        f"{found['aggregates']} aggregates in {found['stages']} stages, {found['distributions']} distributions"
    )
    if found["changed_definitions"]:
        context.say(context.word("新的或改过的定义：", "new or changed: ") + ", ".join(found["changed_definitions"]))


def _due(context: Context, refresh: dict[str, Any]) -> None:
    """Say whom a refresh of now would compute."""
    if refresh["everyone_because"]:
        because = refresh["everyone_because"]
        context.say(
            context.word(f"refresh 会重新计算全部客户：{because}", f"a refresh would compute everyone: {because}")
        )
        return
    why = ", ".join(f"{reason} {count:,}" for reason, count in refresh["why"].items())
    due, rows = refresh["due"], refresh["new_rows"]
    words = context.word(
        f"refresh 会因时间重新计算 {due:,} 位客户，另有 {rows:,} 行新数据",
        f"a refresh would compute {due:,} customers whom time may move, and those of {rows:,} new rows",
    )
    context.say(f"{words} ({why})" if why else words)


def _edit(context: Context, edit: dict[str, Any]) -> None:
    if not edit["compared"]:
        context.say(context.word("无法比较：", "who would move cannot be said: ") + edit["why_not"])
        return
    context.say()
    context.say(f"{edit['sentence'][context.language]} (as of {edit['as_of']} UTC)")
    if edit["sources_changed"]:
        words = context.word(
            "数据来源有改动，其影响要到运行后才能看到：", "edited sources, whose effect only a run shows: "
        )
        context.say(words + ", ".join(edit["sources_changed"]))
    for one in edit["names"]:
        _name(context, one)
    if edit["concerned"]:
        context.say()
        rows = [
            {"customer": row["customer_key"], "value": row["value"], "moves": _moves(row["moves"])}
            for row in edit["concerned"]
        ]
        context.rows(rows, ["customer", "value", "moves"], _titles(context))


def _name(context: Context, one: dict[str, Any]) -> None:
    because = f" ({', '.join(one['because'])})" if one["because"] else ""
    label, change = one["label"][context.language], context.word(*_CHANGES[one["change"]])
    context.say()
    if one["kind"] == "tag":
        words = context.word(
            f"{one['customers']:,} 位客户的值不同", f"another value for {one['customers']:,} customers"
        )
        context.say(f"{label} [{one['name']}]: {change}{because}, {words}")
        return
    moved = context.word(f"{one['customers']:,} 位客户变动", f"{one['customers']:,} customers move")
    context.say(f"{label} [{one['name']}]: {change}{because}" + (f", {moved}" if one["matrix"] else ""))
    rows = [row for row in one["matrix"] if row["was"] != row["is"]]
    context.rows(rows, ["was", "is", "customers", "value"], _titles(context))


def _replay(context: Context, name: str, months: int) -> None:
    with context.open() as project, bar() as shown:
        task = shown.add_task("", total=None)

        def progress(step: str, done: int, total: int) -> None:
            shown.update(task, description=step, completed=done, total=total or None)

        found = project.replay(name, months, progress)
    if context.json:
        context.print_json(found)
        return
    context.say(f"{found['label'][context.language]}: {context.word(*_CHANGES[found['change']])}")
    rows = [
        {
            "month": f"{month['as_of']:%Y-%m-%d}",
            "was": _sizes(month["sizes_before"]),
            "is": _sizes(month["sizes_after"]),
        }
        | {"differ": month["differ"], "value": month["value"]}
        for month in found["months"]
    ]
    titles = _titles(context) | {
        "month": context.word("截至", "as of"),
        "differ": context.word("不同的客户", "customers who differ"),
    }
    context.rows(rows, ["month", "was", "is", "differ", "value"], titles)


def diff() -> None:
    """Show what is declared otherwise than at the newest recorded run, in text and in words."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.diff()
    if context.json:
        context.print_json(found)
        return
    if not found:
        context.say(context.word("定义没有改动", "nothing is declared otherwise"))
    for one in found:
        because = f" ({', '.join(one['because'])})" if one["because"] else ""
        context.say(f"{one['kind']} {one['name']}: {context.word(*_CHANGES[one['change']])}{because}")
        for part in one["parts"]:
            for sign, side in (("-", "was"), ("+", "is")):
                if part[side]:
                    words = part[f"sentence_{side}"]
                    path = f"{part['path']}: " if part["path"] else ""
                    context.say(f"  {sign} {path}{part[side]}")
                    if words is not None:
                        context.say(f"      {words[context.language]}")


def _titles(context: Context) -> dict[str, str]:
    return {
        "was": context.word("原来", "was"),
        "is": context.word("现在", "is"),
        "customers": context.word("客户数", "customers"),
        "customer": context.word("客户", "customer"),
        "value": context.word("价值", "value"),
        "moves": context.word("变动", "moves"),
    }


def _moves(moves: dict[str, dict[str, str | None]]) -> str:
    return ", ".join(f"{name}: {one['was'] or '–'} → {one['is'] or '–'}" for name, one in moves.items())


def _sizes(sizes: dict[str, int] | None) -> str:
    return "–" if sizes is None else ", ".join(f"{tier} {count:,}" for tier, count in sizes.items())
