"""What is found in a template before anybody gets it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from tierwise.channels.lint import lint, sms_parts
from tierwise.definitions.channels import TemplateForm

SMS = "【茶店】{{ person.name | default('您') }}好，新茶已到，拒收请回复R"
MAIL = {"channel": "mail", "subject": "新茶", "text": "看看 {{ unsubscribe_url }}"}


def found(medium: str = "sms", **said: Any) -> list[str]:
    form = TemplateForm.model_validate({"channel": medium, **said})
    problems = lint("t", form, medium, ["points", "grade"])
    return [f"{problem.severity}: {problem.message.removeprefix('t: ')}" for problem in problems]


def test_nothing_is_wrong() -> None:
    assert found(text=SMS) == []
    assert found("mail", **MAIL) == []
    assert found("other", text="{{ points }}") == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"text": "【茶店】{{ point }}，回T退订"}, "error: there is no field `point`"),
        ({"text": "【茶店】{{ points + 1 }}，回T退订"}, "error: a template has no `add` (line 1)"),
        ({"text": "新茶已到，拒收请回复R"}, "error: no signature 【…】 begins or ends it"),
        ({"text": "【茶店】新茶已到"}, "error: it says no way out"),
        (
            {"text": "【茶店】" + "茶" * 80 + "拒收请回复R"},
            "warning: it is paid as 2 messages: 90 characters, one has 70",
        ),
        ({"text": "【茶店】" + "茶" * 500 + "拒收请回复R"}, "error: it has 510 characters; 500 are possible"),
        ({"text": SMS, "html": "<p>"}, "error: an SMS has no HTML"),
        ({"text": SMS + "根治失眠"}, "error: `根治` promises a cure"),
        ({"text": SMS + "国家级好茶"}, "warning: `国家级` is a promise that adverts may not make"),
    ],
)
def test_an_sms(said: dict[str, Any], message: str) -> None:
    assert message in found(**said)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"subject": ""}, "error: a mail has a subject"),
        ({"subject": "茶" * 61}, "warning: the subject has 61 characters; phones show 60"),
        ({"subject": "a\nBcc: b"}, "error: a subject is one line"),
        ({"subject": "{{ unsubscribe_url }}"}, "error: a subject has no address in it"),
        ({"text": "看看"}, "error: it says no way out"),
    ],
)
def test_a_mail(said: dict[str, Any], message: str) -> None:
    assert message in found("mail", **(MAIL | said))


def test_what_is_owed_needs_no_way_out() -> None:
    assert found(text="【茶店】您的预约在明天", category="transactional") == []
    assert found("mail", channel="mail", subject="预约", text="明天", category="transactional") == []


def test_a_medical_advert_needs_its_review() -> None:
    missing: list[dict[str, Any]] = [{}, {"review": "京医广〔2026〕第1号"}, {"review_until": "2026-12-31"}]
    for said in missing:
        with pytest.raises(ValidationError, match="a medical advert needs `review`"):
            found(text=SMS, category="medical_ad", **said)
    with pytest.raises(ValidationError, match="is not a date"):
        found(text=SMS, category="medical_ad", review="1", review_until="soon")
    whole = {"channel": "sms", "text": SMS + "疗效好", "category": "medical_ad", "review": "京医广〔2026〕第1号"}
    form = TemplateForm.model_validate(whole | {"review_until": "2026-12-31"})
    assert lint("t", form, "sms", []) == []
    assert not form.expired(date(2026, 12, 31))
    assert form.expired(date(2027, 1, 1))


def test_how_many_messages_are_paid() -> None:
    assert [sms_parts("茶" * length) for length in (0, 70, 71, 134, 135)] == [1, 1, 2, 2, 3]
