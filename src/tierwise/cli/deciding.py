"""Deciding by hand: pin, exclude, and the facts people gave, with reason, person and end."""

from __future__ import annotations

import csv
from pathlib import Path

import typer

from tierwise.cli.context import CONTEXT
from tierwise.errors import BadRequest, near_name

__all__ = ["exclude", "include", "pin", "register", "revoke", "show_facts", "tag", "upload"]

_facts = typer.Typer(no_args_is_help=True, help="What people said by hand of customers.")
_CUSTOMER = "The brand's customer number, or id:42."
_REASON = typer.Option(..., help="Why; it is kept with the fact.")
_UNTIL = typer.Option("", help="Until when: a date (its end) or an instant; by default until it is revoked.")
_SINCE = typer.Option("", help="From when on; by default from now.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pin)
    app.command()(exclude)
    _facts.command("include")(include)
    _facts.command("tag")(tag)
    _facts.command("upload")(upload)
    _facts.command("revoke")(revoke)
    _facts.command("list")(show_facts)
    app.add_typer(_facts, name="facts")


def pin(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    tiering: str = typer.Argument(..., help="A tiering, such as grade."),
    tier: str = typer.Argument(..., help="One of its tiers."),
    reason: str = _REASON,
    until: str = _UNTIL,
    since: str = _SINCE,
) -> None:
    """Put a customer into a tier, whatever its rule says; it holds from the next run on."""
    with CONTEXT.get().open() as project:
        _said(project.facts.pin(customer, tiering, tier, reason=reason, until=until or None, since=since or None))


def exclude(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    segment: str = typer.Argument(..., help="A segment."),
    reason: str = _REASON,
    until: str = _UNTIL,
    since: str = _SINCE,
) -> None:
    """Keep a customer out of a segment, whatever its rule says."""
    with CONTEXT.get().open() as project:
        _said(project.facts.exclude(customer, segment, reason=reason, until=until or None, since=since or None))


def include(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    segment: str = typer.Argument(..., help="A segment."),
    reason: str = _REASON,
    until: str = _UNTIL,
    since: str = _SINCE,
) -> None:
    """Put a customer into a segment, whatever its rule says."""
    with CONTEXT.get().open() as project:
        _said(project.facts.include(customer, segment, reason=reason, until=until or None, since=since or None))


def tag(
    customer: str = typer.Argument(..., help=_CUSTOMER),
    name: str = typer.Argument(..., help="A tag."),
    value: str = typer.Argument(..., help="Its value, written as in a rule."),
    reason: str = _REASON,
    until: str = _UNTIL,
    since: str = _SINCE,
) -> None:
    """Give a tag of a customer a value by hand."""
    with CONTEXT.get().open() as project:
        _said(project.facts.set(customer, name, value, reason=reason, until=until or None, since=since or None))


def upload(
    name: str = typer.Argument(..., help="A list that a segment names: segments: {x: {list: NAME}}."),
    file: Path = typer.Argument(..., help="A CSV file, one customer a line, or plain numbers; - reads standard input."),
    reason: str = _REASON,
    until: str = _UNTIL,
    since: str = _SINCE,
    column: str = typer.Option("", help="The column of the numbers, by the file's header; else they stand first."),
) -> None:
    """Put the customers of a file on a list."""
    context = CONTEXT.get()
    try:
        keys = _numbers(_text(file), column, file)
    except csv.Error as error:
        raise BadRequest(f"{file} is no CSV file: {error}", "close every quotation mark") from error
    with context.open() as project:
        done = project.facts.upload(name, keys, reason=reason, until=until or None, since=since or None)
    if context.json:
        context.print_json(done)
        return
    context.say(
        context.word(
            f"事实 {done['fact']}：{done['customers']:,} 位客户在名单 {name} 上",
            f"fact {done['fact']}: {done['customers']:,} customers on the list {name}",
        )
    )
    for kind, words in (("unknown", ("未知编号", "unknown numbers")), ("ambiguous", ("编号不唯一", "not unique"))):
        if done[kind]:
            context.say(f"{context.word(*words)} ({len(done[kind]):,}): {', '.join(done[kind][:20])}")


def revoke(fact: int = typer.Argument(..., help="The fact's number."), reason: str = _REASON) -> None:
    """End a fact from now on; what it was until now stays."""
    context = CONTEXT.get()
    with context.open() as project:
        count = project.facts.revoke(fact, reason=reason)
    if context.json:
        context.print_json({"fact": fact, "revoked": count})
    else:
        context.say(context.word(f"已撤销，涉及 {count:,} 位客户", f"revoked, of {count:,} customers"))


def show_facts(
    name: str = typer.Option("", help="Only of this tiering, segment, tag or list."),
    customer: str = typer.Option("", help="Only of this customer."),
) -> None:
    """Show what was said by hand, newest first, also what has ended."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.facts.list(name or None, customer or None)
    rows = [
        {
            "fact": fact.batch,
            "kind": fact.kind,
            "name": fact.name,
            "customer_id": fact.customer_id,
            "value": fact.value,
            "reason": fact.reason,
            "by": str(fact.actor),
            "since": fact.valid_from,
            "until": fact.valid_until,
            "revoked_at": fact.revoked_at,
        }
        for fact in found
    ]
    import pyarrow as pa

    context.show(pa.Table.from_pylist(rows))


def _said(number: int) -> None:
    context = CONTEXT.get()
    if context.json:
        context.print_json({"fact": number})
    else:
        context.say(context.word(f"事实 {number} 已记录", f"fact {number} is recorded"))


def _numbers(text: str, column: str, file: Path) -> list[str]:
    """Return the customer numbers of a CSV file, each once: of a column of its header, or the first of every line."""
    lines = [line for line in csv.reader(text.splitlines(), strict=True) if any(cell.strip() for cell in line)]
    place = 0
    if column:
        header = [cell.strip() for cell in lines.pop(0)] if lines else []
        if column not in header:
            hint = near_name(column, header) or "leave --column out where the file has no header"
            raise BadRequest(f"{file} has no column `{column}`", hint)
        place = header.index(column)
    numbers = (line[place].strip() for line in lines if len(line) > place)
    return list(dict.fromkeys(number for number in numbers if number))


def _text(file: Path) -> str:
    try:
        return typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} cannot be read: {error}", "give a file in UTF-8, one customer a line") from error
