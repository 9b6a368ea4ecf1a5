"""Channels: list them, see whether one works, and what a template says."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from tierwise.cli.context import CONTEXT
from tierwise.errors import BadRequest

__all__ = ["list_channels", "preview", "register", "test"]

_channels = typer.Typer(no_args_is_help=True, help="Channels: the ways to customers, and what is said there.")
_VALUE = typer.Option([], help="A field of the template: person.name=李雷; may be given several times.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _channels.command("list")(list_channels)
    _channels.command()(preview)
    _channels.command()(test)
    app.add_typer(_channels, name="channels")


def list_channels() -> None:
    """Show the project's channels."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.channels.list()
    if context.json:
        context.print_json(found)
        return
    rows = [one | {"label": one["label"][context.language]} for one in found]
    context.rows(rows, ["channel", "kind", "label", "address", "installed"], {})


def preview(
    template: str = typer.Argument(..., help="The template's name."),
    value: list[str] = _VALUE,
) -> None:
    """Show what a template says."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.channels.preview(template, _values(value))
    if context.json:
        context.print_json(found)
        return
    for part, text in found.items():
        context.say(f"{part}: {text}")


def test(
    channel: str = typer.Argument(..., help="The channel's name."),
    to: str = typer.Option(..., help="An address of your own: it gets one message."),
    template: str = typer.Option("", help="The template that is sent; by default a sentence."),
    value: list[str] = _VALUE,
) -> None:
    """Send one message to an address of your own, to see whether a channel works."""
    context = CONTEXT.get()
    with context.open() as project:
        found = project.channels.test(channel, to, template=template, values=_values(value))
    if context.json:
        context.print_json(found)
    elif found["outcome"] == "accepted":
        context.say(context.word(f"渠道已接收，编号 {found['ref']}", f"the channel has taken it as {found['ref']}"))
    elif found["outcome"] == "refused":
        again = context.word("，可稍后再试", ", it may be tried again") if found["again"] else ""
        said = f"{found['code']} {found['message']}".strip()
        context.say(context.word(f"渠道拒绝：{said}{again}", f"the channel refused: {said}{again}"))
    else:
        context.say(context.word(f"结果未知：{found['message']}", f"nobody knows: {found['message']}"))
    if found["outcome"] != "accepted":
        raise typer.Exit(1)


def _values(given: Sequence[str]) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for one in given:
        name, sign, text = one.partition("=")
        if not sign or not name:
            raise BadRequest(f"`{one}` is no field of a template", "write person.name=李雷")
        found[name] = _number(text)
    return found


def _number(text: str) -> str | float:
    try:
        return int(text) if text.lstrip("-").isdecimal() and not text.startswith("0") else float(text)
    except ValueError:
        return text
