"""What is wrong with a template before anybody gets it: unknown fields, no way out, no signature, banned promises."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from tierwise.channels.templates import Template
from tierwise.definitions.channels import TemplateForm
from tierwise.errors import BadRequest, Place, Problem, near_name

__all__ = ["PERSON", "lint", "sms_parts"]

#: What the vault has of a person, filled in when a message is sent and nowhere else; and what a message knows itself.
PERSON: Final = ("person.name", "person.phone", "person.email", "unsubscribe_url", "brand")

#: One SMS has so many characters; of a longer one each part has a little less, and more than so many are refused.
_ONE_SMS: Final = 70
_PART: Final = 67
_MOST_SMS: Final = 500
_SUBJECT: Final = 60
_SIGNATURE: Final = re.compile(r"^【[^【】]{2,20}】|【[^【】]{2,20}】$")
_WAY_OUT: Final = re.compile(r"(?:回复?|退订回|拒收请?回复?)\s*(?:TD|T|R|N|退订)|退订", re.IGNORECASE)
#: Absolute promises that the advertising law forbids, and cures that may not be promised outside medical adverts.
_ABSOLUTE: Final = ("最佳", "最好", "第一品牌", "国家级", "最高级", "绝对", "百分之百", "100%")
_CURES: Final = ("根治", "治愈", "疗效", "药到病除", "无副作用", "包治", "有效率")


def lint(
    name: str, form: TemplateForm, medium: str, known: Collection[str], places: Mapping[str, Place] | None = None
) -> list[Problem]:
    """Return every problem of a template; warnings do not stop it from being sent.

    Args:
        name: The template's name.
        form: What is declared.
        medium: By whose manners it is judged: ``sms``, ``mail`` or ``other``.
        known: The fields that can be filled in besides those of a person.
        places: Where its keys stand.

    Example:
        >>> form = TemplateForm(channel="sms", text="【茶店】{{ person.nam }}您好，回来看看")
        >>> [problem.message for problem in lint("back", form, "sms", ["points"])]
        ['back: there is no field `person.nam`', 'back: it says no way out']
    """
    found = _Found(name, places or {})
    for key, text in form.parts.items():
        try:
            template = Template(text, html=key == "html")
        except BadRequest as error:
            found.add(key, error.message, error.hint)
            continue
        for field in sorted(template.fields):
            if field not in known and field not in PERSON:
                found.add(key, f"there is no field `{field}`", near_name(field, [*known, *PERSON]))
        if key == "subject" and template.fields & {"unsubscribe_url"}:
            found.add(key, "a subject has no address in it")
    owed = form.category == "transactional"
    if medium == "sms":
        _sms(form, owed, found)
    elif medium == "mail":
        _mail(form, owed, found)
    if not owed:
        _promises(form, found)
    return found.problems


def sms_parts(text: str) -> int:
    """Return as how many SMS a text is sent and paid.

    Example:
        >>> sms_parts("茶" * 70), sms_parts("茶" * 71), sms_parts("")
        (1, 2, 1)
    """
    return 1 if len(text) <= _ONE_SMS else -(-len(text) // _PART)


class _Found:
    """The problems of one template, each at its key."""

    def __init__(self, name: str, places: Mapping[str, Place]) -> None:
        self.name = name
        self.places = places
        self.problems: list[Problem] = []

    def add(self, key: str, message: str, hint: str = "", severity: str = "error") -> None:
        where = self.places.get(key, self.places.get("", Place(path=f"templates.{self.name}.{key}")))
        self.problems.append(Problem("template", f"{self.name}: {message}", where, hint, severity=severity))


def _sms(form: TemplateForm, owed: bool, found: _Found) -> None:
    fixed = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", form.text)
    if form.text and not _SIGNATURE.search(form.text.strip()):
        found.add("text", "no signature 【…】 begins or ends it", "begin with 【brand】")
    if form.text and not owed and not _WAY_OUT.search(fixed):
        found.add("text", "it says no way out", "end with 拒收请回复R")
    if len(fixed) > _MOST_SMS:
        found.add("text", f"it has {len(fixed)} characters; {_MOST_SMS} are possible")
    elif sms_parts(fixed) > 1:
        said = f"it is paid as {sms_parts(fixed)} messages: {len(fixed)} characters, one has {_ONE_SMS}"
        found.add("text", said, severity="warning")
    if form.html:
        found.add("html", "an SMS has no HTML")


def _mail(form: TemplateForm, owed: bool, found: _Found) -> None:
    if not form.subject.strip():
        found.add("subject", "a mail has a subject")
    elif len(form.subject) > _SUBJECT:
        found.add("subject", f"the subject has {len(form.subject)} characters; phones show {_SUBJECT}", "", "warning")
    if "\n" in form.subject.strip():
        found.add("subject", "a subject is one line")
    if form.html and not form.text:
        found.add("text", "a mail in HTML has its text too")
    if not owed and "unsubscribe_url" not in form.text + form.html:
        found.add("text", "it says no way out", "write {{ unsubscribe_url }} where one can see it")


def _promises(form: TemplateForm, found: _Found) -> None:
    for key, text in form.parts.items():
        for word in _ABSOLUTE:
            if word in text:
                found.add(key, f"`{word}` is a promise that adverts may not make", "say what is true of it", "warning")
        if form.category != "medical_ad":
            for word in _CURES:
                if word in text:
                    hint = "such a text is a medical advert: `category: medical_ad` with the number of its review"
                    found.add(key, f"`{word}` promises a cure", hint)
