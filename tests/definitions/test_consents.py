"""What is declared about consent: texts with versions, channels, lengths, and what is refused or found missing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from tierwise.definitions.check import check
from tierwise.definitions.consents import Consent
from tierwise.definitions.load import define

TEXTS = {"1": "I agree"}


def test_versions_may_look_like_numbers_and_dates() -> None:
    texts: Any = {1: "one", 2026.5: "two", date(2026, 1, 1): "three"}
    declared = Consent.model_validate({"purposes": {"marketing": {"texts": texts}}})
    assert list(declared.purposes["marketing"].texts) == ["1", "2026.5", "2026-01-01"]


def test_other_words_are_another_text() -> None:
    first, second = (
        Consent.model_validate({"purposes": {"marketing": {"texts": {"1": {"zh": words, "since": since}}}}})
        for words, since in (("同意", "2026-01-01"), ("我同意", ""))
    )
    assert first.purposes["marketing"].texts["1"].digest != second.purposes["marketing"].texts["1"].digest
    again = Consent.model_validate({"purposes": {"marketing": {"texts": {"2": {"zh": "同意"}}}}})
    assert first.purposes["marketing"].texts["1"].digest == again.purposes["marketing"].texts["2"].digest


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({}, "purposes"),
        ({"purposes": {}}, "at least 1"),
        ({"purposes": {"m": {}}}, "texts"),
        ({"purposes": {"m": {"texts": {}}}}, "at least 1"),
        ({"purposes": {"m": {"texts": {"1": " "}}}}, "says something"),
        ({"purposes": {"m": {"texts": {"1": {"zh": "x", "since": "soon"}}}}}, "is not a date"),
        ({"purposes": {"m": {"texts": TEXTS, "lasts": "long"}}}, "not a length of time"),
        ({"purposes": {"m": {"texts": TEXTS, "channels": ["sms"]}}}, "which is not under `channels`"),
        ({"channels": ["sms"], "purposes": {"m": {"texts": TEXTS, "channels": ["smss"]}}}, "did you mean `sms`"),
        ({"channels": ["sms"], "purposes": {"m": {"texts": TEXTS, "channels": ["sms", "sms"]}}}, "twice"),
        ({"channels": ["s m s"], "purposes": {"m": {"texts": TEXTS}}}, "is not a name"),
        ({"purposes": {"m": {"texts": TEXTS, "lawful": True}}}, "lawful"),
        ({"purposes": {"m": {"texts": {True: "yes"}}}}, "valid string"),
    ],
)
def test_what_has_no_meaning_is_refused(form: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Consent.model_validate(form)


def test_sensitive_definitions_need_a_purpose_of_their_own() -> None:
    tags = {"sore": {"value": "count(orders)", "sensitive": "health"}, "n": "count(orders)"}
    general = {"purposes": {"marketing": {"texts": TEXTS}}}
    definitions, _ = define("shop", tags=tags, consent=general)
    assert definitions is not None
    catalogue, problems = check(definitions)
    assert catalogue is not None, "a warning stops no run"
    assert [(one.code, one.severity, one.hint) for one in problems] == [
        ("consent", "warning", "declare a purpose with `sensitive: health`: it needs a consent of its own")
    ]
    own = {"purposes": {**general["purposes"], "advice": {"texts": TEXTS, "sensitive": "health"}}}
    for consent in (own, None):
        more = {} if consent is None else {"consent": consent}
        definitions, _ = define("shop", tags=tags, **more)
        assert definitions is not None
        assert check(definitions)[1] == []


def test_consent_changes_no_hash_of_the_definitions() -> None:
    with_consent, _ = define("shop", tags={"n": "count(orders)"}, consent={"purposes": {"m": {"texts": TEXTS}}})
    without, _ = define("shop", tags={"n": "count(orders)"})
    assert with_consent is not None
    assert without is not None
    assert with_consent.digest == without.digest
