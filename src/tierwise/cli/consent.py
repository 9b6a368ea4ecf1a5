"""Consent: record, withdraw, show, import a file of statements, report."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from tierwise.cli.context import CONTEXT, Context

if TYPE_CHECKING:
    from tierwise.store import Statement

__all__ = ["import_statements", "record", "register", "report", "show_consent", "withdraw"]

_consent = typer.Typer(no_args_is_help=True, help="Consent: what people agree to, and what they withdraw.")
_CUSTOMER = "The customer's number, telephone, e-mail address …, or id:42."
_KEY = typer.Option("", help="A key of your own: what is asked again with it is done once. By default a new one.")
_EVIDENCE = typer.Option("", help="Where the proof is: a form's number, a recording, a log entry.")
_SOURCE = typer.Option("desk", help="Where it was said: a form, a shop, a text message.")
_SAID_AT = typer.Option("", help="When it was said: a date or an instant; by default now.")
_CHANNEL = typer.Option([], "--channel", help="A channel of the purpose; give several by repeating it.")
_STATEMENT: Final = [
    "statement_id", "purpose", "channel", "state", "text_version", "source", "said_at", "expires_at", "actor",
]  # fmt: skip
_REFUSED_SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _consent.command()(record)
    _consent.command()(withdraw)
    _consent.command("show")(show_consent)
    _consent.command("import")(import_statements)
    _consent.command()(report)
    app.add_typer(_consent, name="consent")


def record(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    purpose: str = typer.Argument(..., help="A purpose, as declared under `consent:`."),
    channel: list[str] = _CHANNEL,
    text: str = typer.Option("", help="The version of the text agreed to; by default the newest that was shown then."),
    evidence: str = _EVIDENCE,
    source: str = _SOURCE,
    said_at: str = _SAID_AT,
    until: str = typer.Option("", help="When the grant runs out: a date (its end) or an instant."),
    key: str = _KEY,
) -> None:
    """Record that a customer has agreed to something; all channels that were agreed to have to be named."""
    words = {"text": text, "evidence": evidence, "source": source, "said_at": said_at, "until": until}
    with CONTEXT.get().open() as project:
        _statements(project.consent.record(customer, purpose, channel, key=_key(key), **words))


def withdraw(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    purpose: str = typer.Argument("", help="A purpose; by default all of them."),
    channel: list[str] = _CHANNEL,
    evidence: str = _EVIDENCE,
    source: str = _SOURCE,
    said_at: str = _SAID_AT,
    key: str = _KEY,
) -> None:
    """Record that a customer no longer agrees, or never will; it holds at once."""
    words = {"evidence": evidence, "source": source, "said_at": said_at}
    with CONTEXT.get().open() as project:
        _statements(project.consent.withdraw(customer, purpose, channel, key=_key(key), **words))


def show_consent(customer: str = typer.Argument(..., help=_CUSTOMER)) -> None:
    """Show how a customer stands to every purpose and channel, and everything that was said."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.consent.show(customer)
    if context.json:
        context.print_json(found)
        return
    names = {
        "granted": ("同意", "granted"),
        "withdrawn": ("撤回", "withdrawn"),
        "expired": ("已到期", "expired"),
        "silent": ("未表态", "silent"),
    }
    states = [{**one, "state": context.word(*names[one["state"]])} for one in found["states"]]
    context.rows(states, ["purpose", "channel", "state", "since", "expires_at"], {})
    if found["statements"]:
        context.say()
        context.rows(found["statements"], [*_STATEMENT, "evidence"], {})


def import_statements(
    file: Path = typer.Argument(..., help="A CSV file or a workbook with customer, purpose, state, said_at …"),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be refused."),
    refused: Path | None = typer.Option(None, help="Write the refused rows to this .csv or .xlsx file, with reasons."),
) -> int:
    """Record the statements of a file, each once however often it comes; what makes no sense is told, never guessed."""
    context = CONTEXT.get()
    with context.open() as project:
        done = project.consent.load(file, dry_run=dry_run, refused=refused)
    if context.json:
        context.print_json(done)
    else:
        _imported(context, done)
    return 1 if done["refused"] else 0


def _imported(context: Context, done: dict[str, Any]) -> None:
    zh, en = ("将记录", "to be recorded") if done["dry_run"] else ("已记录", "recorded")
    context.say(
        context.word(
            f"读入 {done['rows_read']:,} 行：{zh} {done['recorded']:,}，"
            f"重复 {done['duplicate']:,}，拒绝 {done['refused']:,}",
            f"{done['rows_read']:,} rows read: {done['recorded']:,} {en}, {done['duplicate']:,} known, "
            f"{done['refused']:,} refused",
        )
    )
    if done["refusals"]:
        context.rows(done["refusals"][:_REFUSED_SHOWN], ["line", "column", "reason", "hint"], {})
        more = len(done["refusals"]) - _REFUSED_SHOWN
        if more > 0:
            context.say(context.word(f"另有 {more:,} 行", f"and {more:,} more"))


def report() -> None:
    """Show how many customers stand how, and the texts that people agreed to."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.consent.report()
    if context.json:
        context.print_json(found)
        return
    context.rows(found["states"], ["purpose", "channel", "granted", "withdrawn", "expired"], {})
    if found["texts"]:
        context.say()
        context.rows(found["texts"], ["purpose", "text_version", "grants", "first_at", "declared"], {})


def _key(given: str) -> str:
    return given or f"cli {uuid.uuid4()}"


def _statements(found: list[Statement]) -> None:
    context = CONTEXT.get()
    rows = [one.as_json() for one in found]
    if context.json:
        context.print_json(rows)
    else:
        context.rows(rows, _STATEMENT, {})
