"""What a brand declares about who is one person: identifiers, what they prove, and what never proves anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from tierwise.definitions.model import Form
from tierwise.definitions.streams import PERSONAL_ROLES

__all__ = ["IDENTIFYING", "Identifier", "Identity", "Matching"]

#: The personal roles whose values are found again however they are written, strongest first.
IDENTIFYING: Final = ("id_number", "openid", "phone", "email")
#: More records than this with one value are no person: a till's telephone, a test number.
_LIMIT: Final = {"strong": 50, "weak": 10}


class Identifier(Form):
    """Fields of the people vault whose equal values are the same thing, and what that proves.

    `fields` are the fields of the sources; an identifier that has the name of a role takes every field of the role
    that no other names. A `strong` one links by itself, of `weak` ones two have to agree. `scope` says where a value
    is the same thing: everywhere, or only within one key space. A value that more than `limit` records have links
    nobody. An `exclusive` one is verified and a person has one: two records with different ones are never one person.
    """

    fields: tuple[str, ...] = ()
    strength: Literal["strong", "weak"] = "strong"
    scope: Literal["everywhere", "key_space"] = "everywhere"
    limit: int | None = Field(default=None, ge=2)
    exclusive: bool = False

    @field_validator("fields", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _proves(self) -> Identifier:
        if self.exclusive and self.strength == "weak":
            raise ValueError("an exclusive identifier is verified, so it is not weak")
        return self

    @property
    def holders_max(self) -> int:
        """Return how many records may have one value."""
        return self.limit or _LIMIT[self.strength]


def _usual() -> dict[str, Identifier]:
    return {role: Identifier(exclusive=role == "id_number") for role in IDENTIFYING}


class Matching(Form):
    """Which columns of customers say what, so that records of one person are found though no identifier is shared.

    A pair is linked from the probability `link` on, and put up for review from `review` on.
    """

    fields: Mapping[str, Literal["name", "date", "number", "email", "text", "category"]] = Field(min_length=3)
    link: float = Field(default=0.95, gt=0, le=1)
    review: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Matching:
        if self.review > self.link:
            raise ValueError(f"`review` is {self.review}, above `link`, which is {self.link}")
        return self


class Identity(Form):
    """How records become customers. Identifiers stand strongest first: where two contradict, the earlier one holds.

    `placeholders` are values that stand for nothing, by role, beside those that everybody knows. `matching` says what
    probabilities are worked out from.

    Example:
        >>> Identity.model_validate({}).named("mobile", "phone")
        'phone'
        >>> declared = Identity.model_validate({"identifiers": {"unionid": {}, "openid": {"scope": "key_space"}}})
        >>> declared.named("unionid", "openid"), declared.named("wx", "openid"), declared.named("phone", "phone")
        ('unionid', 'openid', None)
    """

    identifiers: Mapping[str, Identifier] = Field(default_factory=_usual, min_length=1)
    placeholders: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    matching: Matching | None = None

    @field_validator("identifiers", mode="before")
    @classmethod
    def _bare_names(cls, value: Any) -> Any:
        return {name: form or {} for name, form in value.items()} if isinstance(value, Mapping) else value

    @field_validator("placeholders", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {role: tuple(texts) if isinstance(texts, list) else (texts,) for role, texts in value.items()}
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Identity:
        for role in self.placeholders:
            if role not in IDENTIFYING:
                raise ValueError(
                    f"placeholders: there is no identifying role `{role}`; one of {', '.join(IDENTIFYING)}"
                )
        named = [field for name, form in self.identifiers.items() for field in form.fields or (name,)]
        twice = sorted({field for field in named if named.count(field) > 1})
        if twice:
            raise ValueError(f"identifiers: two identifiers have the field `{twice[0]}`")
        for name, form in self.identifiers.items():
            if not form.fields and name in PERSONAL_ROLES and name not in IDENTIFYING:
                raise ValueError(f"identifiers: `{name}` identifies nobody; one of {', '.join(IDENTIFYING)}")
        return self

    def named(self, field: str, role: str) -> str | None:
        """Return the identifier that a field of the vault belongs to, nothing when it proves nothing."""
        for name in self.identifiers:
            if field in self.fields(name):
                return name
        return role if role in IDENTIFYING and self.takes(role) else None

    def takes(self, name: str) -> bool:
        """Return whether an identifier takes every field of the role whose name it has."""
        return name in IDENTIFYING and name in self.identifiers and not self.identifiers[name].fields

    def fields(self, name: str) -> tuple[str, ...]:
        """Return the fields that an identifier names."""
        return self.identifiers[name].fields or (name,)
