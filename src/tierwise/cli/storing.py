"""The store: check, upgrade, and its audit (list, seal, verify)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from tierwise.cli.context import CONTEXT

if TYPE_CHECKING:
    from tierwise.store import Finding

__all__ = ["check_store", "list_audit", "register", "seal", "upgrade", "verify"]

_store = typer.Typer(no_args_is_help=True, help="The store: what cannot be computed again.")
_audit = typer.Typer(no_args_is_help=True, help="The record of who did what.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _store.command("check")(check_store)
    _store.command()(upgrade)
    _audit.command("list")(list_audit)
    _audit.command()(seal)
    _audit.command()(verify)
    _store.add_typer(_audit, name="audit")
    app.add_typer(_store, name="store")


def check_store() -> int:
    """Look over everything that must always hold: the file, the schema, the ids, the audit."""
    context = CONTEXT.get()
    with context.open() as project:
        findings = project.store.check()
    return _findings(findings, {})


def upgrade() -> None:
    """Bring the store to the schema of this version (opening a project does it too)."""
    context = CONTEXT.get()
    with context.open() as project:
        revision = project.store.revision()
    if context.json:
        context.print_json({"revision": revision})
    else:
        context.say(context.word(f"数据库版本 {revision}，已是最新", f"the store has revision {revision}, the newest"))


def list_audit(
    on: str = typer.Option("", help="Only what was done to one thing, such as run:7 or job:3."),
    limit: int = typer.Option(50, min=1, help="At most so many, the newest."),
) -> None:
    """List who did what, newest first."""
    context = CONTEXT.get()
    with context.open() as project:
        entries = project.store.audit.list(limit, on=on or None)
    rows = [
        {
            "seq": entry.seq,
            "at": entry.at,
            "actor": str(entry.actor),
            "action": entry.action,
            "object": entry.object,
            "details": entry.details,
        }
        for entry in entries
    ]
    if context.json:
        context.print_json(rows)
    else:
        context.rows(rows, ["seq", "at", "actor", "action", "object", "details"], {})


def seal() -> None:
    """Chain what has been recorded and is not chained yet; closing a store does it too."""
    context = CONTEXT.get()
    with context.open() as project:
        count = project.store.audit.seal()
    if context.json:
        context.print_json({"sealed": count})
    else:
        context.say(context.word(f"已封存 {count} 条记录", f"{count} entries sealed"))


def verify() -> int:
    """Recompute the chain over the audit and compare it with the anchor file; say what does not fit."""
    context = CONTEXT.get()
    with context.open() as project:
        report = project.store.audit.verify()
    if not context.json:
        said = (f"{report.entries:,} entries", f"{report.sealed:,} sealed", f"anchored up to {report.anchored:,}")
        told = (f"{report.entries:,} 条记录", f"已封存 {report.sealed:,}", f"锚定至 {report.anchored:,}")
        context.say(context.word("，".join(told), ", ".join(said)))
    return _findings(report.findings, report.as_json())


def _findings(findings: Sequence[Finding], report: dict[str, Any]) -> int:
    context = CONTEXT.get()
    if context.json:
        context.print_json(report | {"findings": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            context.say(f"{finding.what}: {finding.message}")
        if not findings:
            context.say(context.word("没有问题", "nothing is wrong"))
    return 1 if findings else 0
