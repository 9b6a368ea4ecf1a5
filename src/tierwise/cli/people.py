"""People: show, export, erase, and the vault's keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from tierwise.cli.context import CONTEXT, Context

__all__ = ["erase", "export_person", "purge", "register", "rotate_key", "show_person"]

_KEY_HELP = "The customer's number, telephone, e-mail address …, or id:42."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    people = typer.Typer(
        no_args_is_help=True, help="One person: what is held, all of it in a file, or erased; and the vault's keys."
    )
    people.command("show")(show_person)
    people.command("export")(export_person)
    people.command()(erase)
    people.command()(rotate_key)
    people.command()(purge)
    app.add_typer(people, name="people")


def show_person(
    key: str = typer.Argument(..., help=_KEY_HELP),
    masked: bool = typer.Option(False, "--masked", help="Show only as much as is needed to recognise a value."),
) -> None:
    """Decrypt and show a customer's personal data."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.people.show(key, masked=masked)
    if context.json:
        context.print_json(found)
        return
    for record in found["records"]:
        context.say(f"id:{found['customer_id']}  {record['key_space']}: {record['key']}")
        context.rows(record["values"], ["field", "role", "value", "last_received_at"], {})


def export_person(
    key: str = typer.Argument(..., help=_KEY_HELP),
    to: Path = typer.Option(..., help="A .json file."),
) -> None:
    """Write everything that is held on a customer to a file."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.people.export(key, to)
    if context.json:
        context.print_json(done)
        return
    context.say(
        context.word(
            f"{done['values']} 项个人信息、{done['rows']:,} 行数据已写入 {done['to']}",
            f"{done['values']} personal values and {done['rows']:,} rows written to {done['to']}",
        )
    )


def erase(
    key: str = typer.Argument(..., help=_KEY_HELP),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be destroyed."),
    receipt: Path | None = typer.Option(None, help="Write the receipt to this .json file as well."),
    no_wait: bool = typer.Option(False, "--no-wait", help="Refuse instead of waiting for a run that is at work."),
) -> None:
    """Erase a customer from everything Tierwise has written; it cannot be undone."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.people.erase(key, dry_run=dry_run, wait=not no_wait, waiting=context.tell)
        if receipt is not None:
            project.people.write_receipt(done, receipt)
    if context.json:
        context.print_json(done)
    else:
        _receipt(context, done)


def _receipt(context: Context, done: dict[str, Any]) -> None:
    if done.get("dry_run"):
        context.say(context.word("试运行：以下内容将被销毁", "dry run: this would be destroyed"))
    else:
        context.say(context.word(f"已删除，回执号 {done['erasure_id']}", f"erased, receipt {done['erasure_id']}"))
    values = ", ".join(f"{field} {count}" for field, count in done["values"].items()) or "–"
    rows = ", ".join(f"{table} {count:,}" for table, count in done["lake"].items()) or "–"
    context.say(context.word("个人信息：", "personal values: ") + values)
    context.say(context.word("数据行：", "rows: ") + rows)
    context.say(context.word("隔离区原文：", "quarantined originals: ") + f"{done['quarantine']:,}")
    context.say(context.word("导出文件：", "exported files: ") + f"{done['exports']:,}")
    for path in done.get("exports_changed_since", []):
        words = context.word("导出后被改动，请自行删除：", "changed since it was exported, delete it yourself: ")
        context.say(f"  {words}{path}")
    if done["input_files"]:
        words = context.word(
            "您自己的文件里仍有此人（Tierwise 不改动它们）：", "your own files still hold them (they are not touched):"
        )
        context.say(words)
        shown = [
            {**one, "lines": ", ".join(map(str, one["lines"])) + (" …" if one["more_lines"] else "")}
            for one in done["input_files"]
        ]
        context.rows(shown, ["source", "file", "lines", "state"], {})


def rotate_key() -> None:
    """Put a new master key in the place of the old one; everything stays readable."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.people.rotate_key()
    if context.json:
        context.print_json(done)
    else:
        context.say(
            context.word(
                f"已用新主密钥重新封装 {done['keys']:,} 个密钥", f"{done['keys']:,} keys wrapped with a new key"
            )
        )


def purge() -> None:
    """Destroy the keys of quarantined originals older than 90 days; every run does it as well."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.people.purge()
    if context.json:
        context.print_json(done)
    else:
        count = len(done["imports"])
        context.say(
            context.word(
                f"已销毁 {count} 次导入的隔离原文密钥", f"keys of {count} imports' quarantined originals destroyed"
            )
        )
