"""Channels by their declared names: which kinds there are, whether what is declared fits them, and the open channel."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from tierwise.channels.base import Channel
from tierwise.channels.lint import lint
from tierwise.definitions.channels import ChannelForm
from tierwise.definitions.load import Definitions
from tierwise.errors import BadRequest, Problem, UnknownName, near_name

__all__ = ["GROUP", "OUTBOX", "channel_kinds", "check_channels", "declared_channels", "open_channel"]

#: The entry points under which channels are registered, the built-in ones too.
GROUP: Final = "tierwise.channels"
#: Every project has this channel, declared or not.
OUTBOX: Final = "outbox"
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


@cache
def channel_kinds() -> Mapping[str, type[Channel]]:
    """Return the kinds of channels that are installed."""
    return {point.name: point.load() for point in sorted(entry_points(group=GROUP))}


def declared_channels(definitions: Definitions) -> dict[str, ChannelForm]:
    """Return the channels of a project, its own `outbox` among them."""
    return {OUTBOX: ChannelForm(kind=OUTBOX)} | dict(definitions.channels)


def check_channels(definitions: Definitions) -> list[Problem]:
    """Return what is wrong with the declared channels and templates."""
    problems: list[Problem] = []
    kinds = channel_kinds()
    channels = declared_channels(definitions)
    for name, form in definitions.channels.items():
        where = definitions.place(f"channels.{name}.kind")
        if form.kind not in kinds:
            message = f"channels.{name}: there is no kind of channel `{form.kind}`"
            problems.append(Problem("channel", message, where, near_name(form.kind, kinds)))
            continue
        try:
            kinds[form.kind].Settings.model_validate(dict(form.settings))
        except ValidationError as error:
            for item in error.errors():
                key = ".".join(str(step) for step in item["loc"])
                place = definitions.place(f"channels.{name}.{key}")
                problems.append(Problem("channel", f"channels.{name}: {_spoken(item, key)}", place))
    known = [*definitions.tags, *definitions.tierings, *definitions.parameters]
    for name, template in definitions.templates.items():
        where = definitions.place(f"templates.{name}.channel")
        if template.channel not in channels:
            message = f"templates.{name}: there is no channel `{template.channel}`"
            problems.append(Problem("template", message, where, near_name(template.channel, channels)))
            continue
        kind = kinds.get(channels[template.channel].kind)
        places = {key: definitions.place(f"templates.{name}.{key}") for key in ("", *template.parts)}
        medium = "other" if kind is None else kind.medium
        problems += lint(name, template, medium, known, places)
    return problems


def open_channel(name: str, definitions: Definitions, folder: Path) -> Channel:
    """Return a channel of the project, ready to send.

    Args:
        name: As it is declared.
        definitions: Of the project.
        folder: The project's, for channels that write files.

    Raises:
        UnknownName: There is no such channel, or no such kind.
        BadRequest: Its settings do not fit, or an environment variable is not set.
    """
    channels = declared_channels(definitions)
    if name not in channels:
        raise UnknownName(f"there is no channel `{name}`", near_name(name, channels))
    form = channels[name]
    kinds = channel_kinds()
    if form.kind not in kinds:
        raise UnknownName(f"there is no kind of channel `{form.kind}`", near_name(form.kind, kinds))
    kind = kinds[form.kind]
    given = {key: _with_environment(key, value) for key, value in form.settings.items()}
    if "folder" in kind.Settings.model_fields:
        given["folder"] = str(folder / str(given.get("folder", OUTBOX)))
    try:
        settings = kind.Settings.model_validate(given)
    except ValidationError as error:
        said = "; ".join(_spoken(item, ".".join(map(str, item["loc"]))) for item in error.errors())
        raise BadRequest(f"the channel `{name}` cannot be opened: {said}", "run `tierwise check`") from None
    return kind(name, settings)


def _with_environment(key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    for variable in _VARIABLE.findall(value):
        if variable not in os.environ:
            raise BadRequest(f"the environment variable {variable} is not set", f"set it to the channel's `{key}`")
    return _VARIABLE.sub(lambda match: os.environ[match[1]], value)


def _spoken(item: Any, key: str) -> str:
    """Turn pydantic's words into a sentence; a value is never in it, for it may be a secret."""
    if item["type"] == "missing":
        return f"`{key}` is missing"
    if item["type"] == "extra_forbidden":
        return f"there is no key `{key}` here"
    return str(item["ctx"]["error"]) if item["type"] == "value_error" else f"`{key}`: {str(item['msg']).lower()}"
