"""What is posted to a brand's own address: signed, once, and with a fate that is known."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from calendar import timegm
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.channels.provider import Provider
from tierwise.channels.base import Accepted, Outgoing, Refused, Unknown
from tierwise.channels.webhook import WebhookChannel, WebhookSettings
from tierwise.errors import BadRequest

SECRET = "a secret of the brand"
MESSAGE = Outgoing("m-1", "wx-7", datetime(2026, 3, 1, 2, 30), text="您好", fields={"points": "12"}, customer_id=42)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as found:
        yield found


def channel(provider: Provider, **said: Any) -> WebhookChannel:
    given = {"url": f"{provider.url}/hook", "secret": SECRET, "inside": (provider.authority,)} | said
    return WebhookChannel("crm", WebhookSettings.model_validate(given))


def test_what_is_posted_can_be_believed(provider: Provider) -> None:
    with provider.answering((204, b"")) as asked:
        assert channel(provider).send(MESSAGE) == Accepted("m-1")
    request = asked[0]
    timestamp = request.headers["webhook-timestamp"]
    assert int(timestamp) == timegm(MESSAGE.at.timetuple())
    signed = f"m-1.{timestamp}.".encode() + request.body
    mark = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{mark}"
    assert request.headers["webhook-id"] == "m-1"
    said = {"message_id": "m-1", "customer_id": 42, "to": "wx-7", "text": "您好", "fields": {"points": "12"}}
    assert json.loads(request.body) == said


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (401, False), (302, False), (410, False), (408, True), (429, True), (503, True)]
)
def test_what_is_refused(provider: Provider, status: int, again: bool) -> None:
    with provider.answering((status, b"")):
        assert channel(provider).send(MESSAGE) == Refused(f"http-{status}", again=again)


def test_an_answer_that_is_lost(provider: Provider) -> None:
    with provider.answering("drop"):
        assert isinstance(channel(provider).send(MESSAGE), Unknown)
    door = channel(provider)
    door.timeout_seconds = 0.2
    with provider.answering("hang"):
        assert isinstance(door.send(MESSAGE), Unknown)
    assert isinstance(door.lookup(MESSAGE), Unknown)
    assert door.deduplicates


def test_an_address_that_leads_inside_is_never_called(provider: Provider) -> None:
    outcome = channel(provider, url="https://metadata.example.com/", inside=())
    outcome._resolve = lambda host, port: ["169.254.169.254"]
    refused = outcome.send(MESSAGE)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.again) == ("unreachable", True)


def test_what_cannot_be_declared(provider: Provider) -> None:
    with pytest.raises(ValueError, match="fewer than 16"):
        channel(provider, secret="short")
    with pytest.raises(BadRequest, match="is not https"):
        channel(provider, inside=())


def test_an_id_that_would_split_a_header(provider: Provider) -> None:
    outcome = channel(provider).send(Outgoing("a\r\nX: y", "", datetime(2026, 3, 1)))
    assert isinstance(outcome, Refused)
    assert outcome.code == "bad-message"
