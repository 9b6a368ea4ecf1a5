"""Channels: which there are, whether one works, and what a template says; they need the definitions only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.verbs.opened import Opened

__all__ = ["Reaching"]


class Reaching:
    """The verbs of channels; hangs on the façade as ``project.channels``."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def list(self) -> list[dict[str, Any]]:
        """Return the project's channels: name, kind, label, and the personal field that a message is sent to."""
        from tierwise.channels import channel_kinds
        from tierwise.channels.opening import declared_channels

        kinds = channel_kinds()
        return [
            {
                "channel": name,
                "kind": form.kind,
                "label": {language: form.label.text(language, name) for language in ("zh", "en")},
                "address": str(form.settings.get("address", kinds[form.kind].address)) if form.kind in kinds else None,
                "installed": form.kind in kinds,
            }
            for name, form in declared_channels(self.opened.definitions).items()
        ]

    def preview(self, template: str, values: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return what a template says with some values filled in: subject, text, html, fields.

        Args:
            template: its name.
            values: its fields by their dotted names.

        Raises:
            UnknownName: when there is no such template.
            BadRequest: when a needed field is missing.
        """
        from tierwise.channels import Template

        templates = self.opened.definitions.templates
        if template not in templates:
            raise UnknownName(f"there is no template `{template}`", near_name(template, templates))
        given = dict(values or {})
        parts = templates[template].parts
        return {key: Template(text, html=key == "html").render(given) for key, text in parts.items()}

    def test(
        self, channel: str, to: str, *, template: str = "", values: Mapping[str, Any] | None = None, key: str = ""
    ) -> dict[str, Any]:
        """Send one message to an address of one's own, to see whether a channel works.

        It goes to nobody's record and counts as nothing. A medical advert whose review is over is refused.

        Args:
            channel: by its declared name.
            to: an address of the channel.
            template: what is sent; by default a sentence that says what it is.
            values: the template's fields.
            key: the message's number; by default made of the channel and the instant.

        Raises:
            UnknownName: when there is no such channel or template.
            BadRequest: when the channel cannot be opened, or the template is another channel's or needs more values.
        """
        from tierwise.channels import Accepted, Outgoing, Refused, open_channel

        opened = self.opened
        at = opened.now()
        door = open_channel(channel, opened.definitions, opened.folder)
        parts = {"subject": "Tierwise", "text": f"【Tierwise】测试消息 / test of the channel {channel}"}
        code = ""
        if template:
            parts = self.preview(template, values)
            form = opened.definitions.templates[template]
            if form.channel != channel:
                raise BadRequest(f"the template `{template}` is for the channel `{form.channel}`")
            if form.expired(opened.catalogue.zone.day_of(at)):
                raise BadRequest(f"the review of `{template}` ended on {form.review_until}", "have it reviewed again")
            code = form.code
        fields = {name.removeprefix("fields."): text for name, text in parts.items() if name.startswith("fields.")}
        message_id = key or f"test-{channel}-{at:%Y%m%dT%H%M%S%f}"
        outgoing = Outgoing(
            message_id,
            to,
            at,
            text=parts.get("text", ""),
            subject=parts.get("subject", ""),
            html=parts.get("html", ""),
            code=code,
            fields=fields,
        )
        outcome = door.send(outgoing)
        told = {"channel": channel, "message_id": message_id, "at": at}
        if isinstance(outcome, Accepted):
            return told | {"outcome": "accepted", "ref": outcome.ref}
        if isinstance(outcome, Refused):
            return told | {
                "outcome": "refused",
                "code": outcome.code,
                "message": outcome.message,
                "again": outcome.again,
            }
        return told | {"outcome": "unknown", "message": outcome.message}
