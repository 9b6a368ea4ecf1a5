"""The channel `webhook`: a message posted to an address of the brand's own, signed so that it can be believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
from calendar import timegm
from typing import ClassVar

from pydantic import BaseModel, field_validator

from tierwise.channels.base import Absent, Accepted, Outcome, Outgoing, Refused, Unknown
from tierwise.channels.calling import AnswerLost, NotBegun, Resolve, call, resolved, target_of
from tierwise.definitions.model import Form

__all__ = ["WebhookChannel", "WebhookSettings", "signature"]

#: Answers that say: later.
_LATER = frozenset({408, 425, 429})


class WebhookSettings(Form):
    """The settings of `webhook`: where to, the secret, which personal field is sent, hosts of one's own network."""

    url: str
    secret: str
    address: str = ""
    inside: tuple[str, ...] = ()

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if len(value) < 16 and not value.startswith("${"):
            raise ValueError("the secret has fewer than 16 characters")
        return value


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return what a receiver compares with: version 1 of the Standard Webhooks signature.

    Example:
        >>> signature("0123456789abcdef", "m1", 1772323200, b"{}")
        'v1,t/FqnvCnove+tVlJfa4UpQ7tyJyZcc9742mZK06dLfU='
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


class WebhookChannel:
    """Posts JSON with the headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``.

    A receiver takes an id once: what was posted before may be posted again.
    """

    Settings: ClassVar[type[BaseModel]] = WebhookSettings
    address: str = ""
    medium: ClassVar[str] = "other"
    deduplicates: ClassVar[bool] = True
    timeout_seconds: float = 5.0

    def __init__(
        self,
        name: str,
        settings: WebhookSettings,
        *,
        resolve: Resolve = resolved,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.address = settings.address
        self._target = target_of(settings.url, settings.inside)
        self._resolve, self._context = resolve, context

    def send(self, message: Outgoing) -> Outcome:
        """Post the message."""
        whole = {
            "message_id": message.message_id,
            "customer_id": message.customer_id,
            "to": message.to,
            "subject": message.subject,
            "text": message.text,
            "fields": dict(message.fields),
        }
        body = json.dumps({key: value for key, value in whole.items() if value}, ensure_ascii=False).encode()
        timestamp = timegm(message.at.timetuple())
        if any(ord(one) < 33 or ord(one) > 126 for one in message.message_id):
            return Refused("bad-message", "the message's id is no plain text")
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self.settings.secret, message.message_id, timestamp, body),
        }
        try:
            answer = call(
                self._target,
                body,
                headers,
                timeout_seconds=self.timeout_seconds,
                resolve=self._resolve,
                context=self._context,
            )
        except NotBegun as error:
            return Refused("unreachable", str(error), again=True)
        except AnswerLost as error:
            return Unknown(str(error))
        if 200 <= answer.status < 300:
            return Accepted(message.message_id)
        return Refused(f"http-{answer.status}", again=answer.status in _LATER or answer.status >= 500)

    def lookup(self, message: Outgoing, ref: str = "") -> Outcome | Absent:
        """A receiver is not asked: what is posted again under its id does no harm."""
        return Unknown("a receiver is not asked, posting again does no harm")
