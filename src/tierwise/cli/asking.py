"""Asking: show, estimate, explain, export, sql."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from tierwise.cli.context import CONTEXT, Context

__all__ = ["What", "estimate", "explain", "export", "register", "show", "sql"]


class What(StrEnum):
    """What `show` can show."""

    tiers = "tiers"
    segments = "segments"
    tags = "tags"
    tables = "tables"
    runs = "runs"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(show)
    app.command()(estimate)
    app.command()(explain)
    app.command()(export)
    app.command()(sql)


def show(what: What = typer.Argument(..., help="tiers, segments, tags, tables or runs.")) -> None:
    """Show the tiers and their sizes, the segments, the tags, the tables or the runs."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.show(what.value)
    label = f"label_{context.language}"
    columns = {
        What.tiers: ["tiering", "tier", label, "customers", "share"],
        What.segments: ["segment", label, "customers", "share"],
        What.tags: ["tag", label, "kind", "known", "min", "max"],
        What.tables: ["table", "memory", "rows", "grain"],
        What.runs: ["run_id", "state", "as_of", "started_at", "customers", "snapshot_id", "error"],
    }[what]
    context.show(found, columns, {label: context.word("名称", "label")})
    if (
        not context.json
        and found.num_rows
        and "as_of" in found.column_names
        and "state" in found.column_names
        and what != What.runs
    ):
        row = found.slice(0, 1).to_pylist()[0]
        context.say(f"as of {row['as_of']} UTC, {row['state']}")


def estimate(expression: str = typer.Argument(..., help="A condition, such as 'spend_365d >= 1000'.")) -> None:
    """Count the customers for whom a condition holds, one part of it after the other."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.estimate(expression)
    if context.json:
        context.print_json(found)
        return
    context.say(found["sentence"][context.language])
    rows = [
        {"step": step["sentence"][context.language] or step["text"], "customers": step["count"]}
        for step in found["waterfall"]
    ]
    context.rows(rows, ["step", "customers"], {"step": context.word("条件", "condition")})
    context.say(
        f"{found['count']:,} / {found['of']:,} = {found['share']:.2%}  "
        f" (as of {found['as_of']}, {found['snapshot_id']})"
    )


def explain(customer: str = typer.Argument(..., help="The brand's customer number, or id:42.")) -> None:
    """Say why a customer is in their tiers, what would move them up, and when time alone would move them."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.explain(customer)
    if context.json:
        context.print_json(found)
    else:
        _explanation(context, found)


def _explanation(context: Context, found: dict[str, Any]) -> None:
    language = context.language
    context.say(f"{found['customer_key']} (id:{found['customer_id']}), as of {found['as_of']}, {found['snapshot_id']}")
    for tiering in found["tierings"]:
        context.say()
        context.say(f"{tiering['label'][language]}: {tiering['tier_label'][language]}  [{tiering['clause']}]")
        for tier in tiering["tiers"]:
            mark = "→" if tier["chosen"] else "✓" if tier["matched"] else "✗"
            context.say(f"  {mark} {tier['label'][language]}: {tier['sentence'][language]}")
            for condition in tier["conditions"]:
                context.say(f"      {_condition(context, condition)}")
            if "stay" in tier:
                holds = "✓" if tier["stay"]["holds"] else "✗"
                words = context.word("留在此级：", "to stay: ")
                context.say(f"    {holds} {words}{tier['stay']['sentence'][language]}")
            if tier["chosen"]:
                break
        _programme(context, tiering)
        change = tiering.get("next_change")
        if change:
            words = context.word("仅随时间将变为", "time alone moves them to")
            context.say(f"  {words} {change['tier']} ({change['at']})")
    for fact in found["by_hand"]:
        until = "" if fact["until"] is None else context.word(f"，至 {fact['until']}", f", until {fact['until']}")
        value = "" if fact["value"] is None else f" = {fact['value']}"
        words = context.word("人工：", "by hand: ")
        context.say(f"{words}{fact['kind']} {fact['name']}{value} ({fact['reason']}, {fact['by']}{until})")
    inside = [one["label"][language] for one in found["segments"] if one["member"]]
    context.say()
    context.say(context.word("所在分群：", "segments: ") + (", ".join(inside) or "–"))
    context.say()
    rows = [{"tag": tag["label"][language], "value": tag["value"]} for tag in found["tags"]]
    context.rows(
        [{**row, "value": "–" if row["value"] is None else str(row["value"])} for row in rows], ["tag", "value"], {}
    )


def _programme(context: Context, tiering: dict[str, Any]) -> None:
    found = tiering.get("programme")
    if found is None:
        return
    context.say(f"  {found['sentence'][context.language]}")
    words = {
        "since": context.word("起始", "since"),
        "term_ends": context.word("到期", "term ends"),
        "grace_ends": context.word("宽限至", "grace ends"),
    }
    known = [f"{word} {found[name]} UTC" for name, word in words.items() if found[name] is not None]
    if known:
        context.say("  " + ", ".join(known))


def _condition(context: Context, condition: dict[str, Any]) -> str:
    mark = "✓" if condition["holds"] else "✗"
    value = (
        ""
        if condition.get("value") is None
        else context.word(f"，现为 {condition['value']}", f", is {condition['value']}")
    )
    short = condition.get("short_by")
    gap = "" if short is None or condition["holds"] else context.word(f"，还差 {short}", f", short by {short}")
    return f"{mark} {condition['sentence'][context.language]}{value}{gap}"


def export(
    table: str = typer.Argument(..., help="customers, memberships, quarantine, a stream …"),
    to: Path = typer.Option(..., help="A .csv, .xlsx or .parquet file."),
) -> None:
    """Write a table to a file that a spreadsheet can open safely."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.export(table, to)
    if context.json:
        context.print_json(done)
    else:
        context.say(
            context.word(f"{done['rows']:,} 行已写入 {done['to']}", f"{done['rows']:,} rows written to {done['to']}")
        )


def sql(
    query: str = typer.Argument(..., help="One SELECT over the tables of `tierwise show tables`."),
    limit: int = typer.Option(100, min=1, help="At most so many rows."),
) -> None:
    """Answer one SELECT, reading only."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.sql(query, limit)
    context.show(found)
