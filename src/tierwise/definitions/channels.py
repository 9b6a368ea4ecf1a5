"""What a brand declares about messages: the channels they go by, and the templates they are made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from tierwise.definitions.language.times import parse_date
from tierwise.definitions.model import Form, Label

__all__ = ["SECRETS", "ChannelForm", "TemplateForm"]

#: Settings that are never written down: the environment variable that has the value is named instead.
SECRETS: Final = ("password", "secret", "key_secret")
_VARIABLE: Final = re.compile(r"\$\{\w+\}")


class ChannelForm(Form):
    """A channel: its `kind`, and the settings of that kind; a secret is the name of an environment variable.

    Example:
        >>> form = ChannelForm.model_validate({"kind": "smtp", "host": "smtp.example.com", "password": "${SMTP}"})
        >>> form.settings["host"]
        'smtp.example.com'
    """

    kind: str
    label: Label = Label()
    settings: Mapping[str, str | int | bool | tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, value: Any) -> Any:
        """Put what the kind knows, and this form does not, among the settings."""
        if not isinstance(value, Mapping) or "settings" in value:
            return value
        own = {name: given for name, given in value.items() if name in ("kind", "label")}
        rest = {name: tuple(given) if isinstance(given, list) else given for name, given in value.items()}
        return own | {"settings": {name: given for name, given in rest.items() if name not in own}}

    @field_validator("settings", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: tuple(given) if isinstance(given, list) else given for name, given in value.items()}

    @field_validator("settings")
    @classmethod
    def _no_secret(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in SECRETS:
            if name in value and not _VARIABLE.fullmatch(str(value[name])):
                raise ValueError(f"`{name}` is a secret: name the environment variable that has it, ${{NAME}}")
        return value


class TemplateForm(Form):
    """What a message says, and in which channel; `{{ … }}` stands for a tag, or for `person.name` and the like.

    `code` is the provider's number of the template and `fields` what fills its variables. A `medical_ad` has the number
    of its review and the last day of it. What is `transactional` (a receipt, a booking) is owed and needs no way out.
    """

    channel: str
    subject: str = ""
    text: str = ""
    html: str = ""
    code: str = ""
    fields: Mapping[str, str] = Field(default_factory=dict)
    category: Literal["marketing", "transactional", "medical_ad"] = "marketing"
    review: str = ""
    review_until: str = ""
    label: Label = Label()

    @field_validator("review_until")
    @classmethod
    def _date(cls, value: str) -> str:
        if value and parse_date(value) is None:
            raise ValueError(f"`{value}` is not a date, written 2026-12-31")
        return value

    @model_validator(mode="after")
    def _whole(self) -> TemplateForm:
        if not self.text and not self.code:
            raise ValueError("`text` is missing")
        if self.category == "medical_ad" and not (self.review and self.review_until):
            raise ValueError("a medical advert needs `review`, the number of its review, and `review_until`")
        return self

    @property
    def parts(self) -> dict[str, str]:
        """Return every text with fields in it, by its key."""
        whole = {"subject": self.subject, "text": self.text, "html": self.html}
        whole |= {f"fields.{name}": text for name, text in self.fields.items()}
        return {key: text for key, text in whole.items() if text}

    def expired(self, on: date) -> bool:
        """Return whether a medical advert's review no longer holds on a day."""
        until = parse_date(self.review_until) if self.review_until else None
        return until is not None and on > until
