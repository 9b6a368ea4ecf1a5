"""What a brand declares about consent: channels, purposes, the texts people agree to, and for how long it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import Field, field_validator, model_validator

from tierwise.definitions.language.times import Duration, parse_date, parse_duration
from tierwise.definitions.model import Form, Label
from tierwise.definitions.names import name_problem
from tierwise.errors import near_name

__all__ = ["Consent", "ConsentText", "Purpose"]

_DIGEST_BYTES = 16


class ConsentText(Form):
    """The words that people agree to, in Chinese and in English, and the day from which on they were shown.

    Example:
        >>> text = ConsentText.model_validate({"zh": "我同意接收短信", "since": "2026-01-01"})
        >>> text.digest == ConsentText.model_validate("我同意接收短信").digest
        False
    """

    zh: str = ""
    en: str = ""
    since: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"zh": value, "en": value} if isinstance(value, str) else value

    @field_validator("since")
    @classmethod
    def _date(cls, value: str) -> str:
        if value and parse_date(value) is None:
            raise ValueError(f"`{value}` is not a date, written 2026-01-01")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> ConsentText:
        if not (self.zh.strip() or self.en.strip()):
            raise ValueError("a text says something, in `zh:` or `en:`")
        return self

    @property
    def digest(self) -> bytes:
        """Return the hash of the words, by which a statement knows what was agreed to."""
        words = repr((self.zh, self.en))
        return hashlib.blake2b(words.encode(), digest_size=_DIGEST_BYTES).digest()

    @property
    def since_on(self) -> date | None:
        """Return the day from which on it was shown."""
        return parse_date(self.since) if self.since else None


class Purpose(Form):
    """What people may agree to: on which channels, in the words of which text, for how long.

    `channels` are those it can be granted for; without any it is granted as a whole. `texts` are its versions: one that
    was shown is never changed, new words are a new version. `sensitive` names the class of data it is for: such a
    purpose needs a consent of its own, with evidence. `lasts` is how long a grant holds, for ever by default.
    """

    texts: Mapping[str, ConsentText] = Field(min_length=1)
    channels: tuple[str, ...] = ()
    sensitive: str = ""
    lasts: str = ""
    label: Label = Label()
    about: str = ""

    @field_validator("channels", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @field_validator("texts", mode="before")
    @classmethod
    def _versions(cls, value: Any) -> Any:
        """A version may look like a number or a date."""
        if not isinstance(value, Mapping):
            return value
        return {
            name.isoformat() if isinstance(name, date) else name if isinstance(name, bool) else str(name): text
            for name, text in value.items()
        }

    @field_validator("lasts")
    @classmethod
    def _length(cls, value: str) -> str:
        length = parse_duration(value) if value else None
        if value and (length is None or not (length.months or length.micros)):
            raise ValueError(f"`{value}` is not a length of time, written 365d or 2y")
        return value

    @property
    def holds_for(self) -> Duration | None:
        """Return how long a grant holds."""
        return parse_duration(self.lasts) if self.lasts else None


class Consent(Form):
    """The brand's channels, and the purposes that people agree to or not.

    Example:
        >>> sms = {"texts": {"2026-01": "I want offers by text message"}, "channels": ["sms"]}
        >>> declared = Consent.model_validate({"channels": {"sms": "短信"}, "purposes": {"marketing": sms}})
        >>> declared.purposes["marketing"].channels, list(declared.purposes["marketing"].texts)
        (('sms',), ['2026-01'])
    """

    channels: Mapping[str, Label] = Field(default_factory=dict)
    purposes: Mapping[str, Purpose] = Field(min_length=1)

    @field_validator("channels", mode="before")
    @classmethod
    def _bare_names(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {name: {} for name in value}
        return {name: form or {} for name, form in value.items()} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _sensible(self) -> Consent:
        for what, names in (("channels", self.channels), ("purposes", self.purposes)):
            for name in names:
                if problem := name_problem(name):
                    raise ValueError(f"{what}: {problem}")
        for name, purpose in self.purposes.items():
            for channel in purpose.channels:
                if channel not in self.channels:
                    hint = near_name(channel, self.channels)
                    message = f"purposes: `{name}` names the channel `{channel}`, which is not under `channels`"
                    raise ValueError(f"{message}; {hint}" if hint else message)
            twice = sorted({one for one in purpose.channels if purpose.channels.count(one) > 1})
            if twice:
                raise ValueError(f"purposes: `{name}` names the channel `{twice[0]}` twice")
        return self

    @property
    def spoken(self) -> dict[str, tuple[str, ...]]:
        """Return the channels of each purpose, as rules may ask for them."""
        return {name: purpose.channels for name, purpose in self.purposes.items()}
