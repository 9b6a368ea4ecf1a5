"""The channel `aliyun_sms`: SMS by Alibaba Cloud, its reports of delivery and what customers answer.

The provider does not recognise a message that is sent again (its documentation says so), so what is lost on the way is
asked for (`QuerySendDetails`) and never blindly repeated. Requests are signed by the cloud's signature version 3.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import quote

from pydantic import BaseModel

from tierwise.channels.base import Absent, Accepted, Outcome, Outgoing, Receipt, Refused, Reply, Unknown
from tierwise.channels.calling import AnswerLost, NotBegun, Resolve, call, resolved, target_of
from tierwise.definitions.model import Form
from tierwise.errors import BadRequest

__all__ = ["AliyunSmsChannel", "AliyunSmsSettings", "read_replies", "read_reports", "signed"]

_VERSION: Final = "2017-05-25"
_ALGORITHM: Final = "ACS3-HMAC-SHA256"
#: The provider's times are those of China.
_CHINA: Final = timedelta(hours=8)
_PAGE: Final = 50
_MOST_PAGES: Final = 20
#: What the same message may be tried again after; of anything else the same would come out.
_LATER: Final = ("isv.BUSINESS_LIMIT_CONTROL", "isv.DAY_LIMIT_CONTROL", "Throttling", "ServiceUnavailable")
#: Codes after which even the provider does not say whether it has sent.
_DARK: Final = ("isp.SYSTEM_ERROR", "isp.GATEWAY_ERROR", "InternalError", "UnknownError")
_NO_MORE: Final = re.compile(r"^\s*(?:td|t|r|n|退订|拒收|取消|unsubscribe|stop)\s*[。.!！]*\s*$", re.IGNORECASE)


class AliyunSmsSettings(Form):
    """The settings of `aliyun_sms`: the access key, the signature's name, the endpoint."""

    key_id: str
    key_secret: str
    sign_name: str
    endpoint: str = "https://dysmsapi.aliyuncs.com"
    inside: tuple[str, ...] = ()


def signed(
    settings: AliyunSmsSettings,
    host: str,
    action: str,
    version: str,
    query: Mapping[str, str],
    at: datetime,
    nonce: str,
) -> tuple[str, dict[str, str]]:
    """Return the query as it is sent, and the headers that sign it.

    Args:
        settings: Whose key.
        host: The endpoint's host, with its port if that is not the usual one.
        action: What is asked.
        version: Of which interface.
        query: The parameters.
        at: The instant in UTC; the cloud takes a request for 15 minutes.
        nonce: What tells this request from all others.
    """
    text = "&".join(f"{_encoded(name)}={_encoded(query[name])}" for name in sorted(query))
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    whole = "\n".join(["POST", "/", text, lines, names, headers["x-acs-content-sha256"]])
    digest = hashlib.sha256(whole.encode()).hexdigest()
    mark = hmac.new(settings.key_secret.encode(), f"{_ALGORITHM}\n{digest}".encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = f"{_ALGORITHM} Credential={settings.key_id},SignedHeaders={names},Signature={mark}"
    return text, headers


class AliyunSmsChannel:
    """Sends by the template's `code`; the message's own number goes along as `OutId`."""

    Settings: ClassVar[type[BaseModel]] = AliyunSmsSettings
    address: ClassVar[str] = "phone"
    medium: ClassVar[str] = "sms"
    deduplicates: ClassVar[bool] = False
    timeout_seconds: float = 10.0

    def __init__(
        self,
        name: str,
        settings: AliyunSmsSettings,
        *,
        resolve: Resolve = resolved,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._target = target_of(settings.endpoint, settings.inside)
        self._resolve, self._context = resolve, context

    def send(self, message: Outgoing) -> Outcome:
        """Send one SMS."""
        phone = _phone(message.to)
        if not phone:
            return Refused("bad-address", "this is no telephone number")
        if not message.code:
            return Refused("no-template", "the provider sends only its own templates: `code` is missing")
        query = {
            "PhoneNumbers": phone,
            "SignName": self.settings.sign_name,
            "TemplateCode": message.code,
            "TemplateParam": json.dumps(dict(message.fields), ensure_ascii=False, separators=(",", ":")),
            "OutId": message.message_id,
        }
        try:
            found = self._ask("SendSms", query, message)
        except NotBegun as error:
            return Refused("unreachable", str(error), again=True)
        except AnswerLost as error:
            return Unknown(str(error))
        code, said = str(found.get("Code", "")), str(found.get("Message", ""))[:200]
        if code == "OK":
            return Accepted(str(found.get("BizId", "")))
        if not code or code.startswith(_DARK):
            return Unknown(said or "the provider's answer says nothing")
        return Refused(code, said, again=code.startswith(_LATER))

    def lookup(self, message: Outgoing, ref: str = "") -> Outcome | Absent:
        """Look for the message's number among what was sent to the telephone on that day."""
        local = message.at + _CHINA
        query = {"PhoneNumber": _phone(message.to), "SendDate": f"{local:%Y%m%d}", "PageSize": str(_PAGE)}
        if ref:
            query["BizId"] = ref
        for page in range(1, _MOST_PAGES + 1):
            try:
                found = self._ask("QuerySendDetails", query | {"CurrentPage": str(page)}, message)
            except (NotBegun, AnswerLost) as error:
                return Unknown(str(error))
            if found.get("Code") != "OK":
                return Unknown(str(found.get("Message", ""))[:200])
            details = found.get("SmsSendDetailDTOs") or {}
            rows = details.get("SmsSendDetailDTO", []) if isinstance(details, dict) else []
            for row in rows:
                if isinstance(row, dict) and row.get("OutId") == message.message_id:
                    if str(row.get("SendStatus")) == "2":
                        return Refused(str(row.get("ErrCode", "failed")))
                    return Accepted(ref)
            if len(rows) < _PAGE:
                return Absent()
        return Unknown("there are more messages than are looked through")

    def _ask(self, action: str, query: Mapping[str, str], message: Outgoing) -> dict[str, Any]:
        # The same try of the same message has the same nonce, which the cloud takes once.
        tried = f"{action}|{message.message_id}|{message.at.isoformat()}|{query.get('CurrentPage', '')}"
        nonce = hashlib.sha256(tried.encode()).hexdigest()[:32]
        text, headers = signed(self.settings, self._target.authority, action, _VERSION, query, message.at, nonce)
        del headers["host"]
        target = target_of(f"{self.settings.endpoint.rstrip('/')}/?{text}", self.settings.inside)
        answer = call(
            target, b"", headers, timeout_seconds=self.timeout_seconds, resolve=self._resolve, context=self._context
        )
        if answer.status >= 500:
            raise AnswerLost(f"the provider answered {answer.status}")
        try:
            found = json.loads(answer.body)
        except ValueError:
            raise AnswerLost(f"the provider's answer ({answer.status}) cannot be read") from None
        if not isinstance(found, dict):
            raise AnswerLost("the provider's answer cannot be read")
        return found


def read_reports(body: bytes) -> list[Receipt]:
    """Return the reports of delivery that the provider posts; the same report has the same `receipt_id`.

    Raises:
        BadRequest: The body is none of the provider's.
    """
    return [
        Receipt(
            _once(row, "biz_id", "phone_number", "report_time", "success"),
            str(row.get("out_id", "")),
            str(row.get("biz_id", "")),
            "delivered" if row.get("success") in (True, "true") else "failed",
            _instant(row.get("report_time")),
            str(row.get("err_code", "")),
        )
        for row in _rows(body)
    ]


def read_replies(body: bytes) -> list[Reply]:
    """Return what customers have answered; a bare T, TD, R, N or 退订 means: no more.

    Raises:
        BadRequest: The body is none of the provider's.

    Example:
        >>> row = {"phone_number": "13800138000", "content": " td ", "send_time": "2026-03-01 10:00:00",
        ...     "sequence_id": 7}
        >>> read_replies(json.dumps([row]).encode())[0].withdraws
        True
    """
    return [
        Reply(
            _once(row, "sequence_id", "phone_number", "send_time", "content"),
            str(row.get("phone_number", "")),
            str(row.get("content", "")),
            _instant(row.get("send_time")),
            _NO_MORE.match(str(row.get("content", ""))) is not None,
        )
        for row in _rows(body)
    ]


def _rows(body: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("this is no report of the provider", "it is a JSON list") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise BadRequest("this is no report of the provider", "it is a JSON list of objects")
    return found


def _once(row: Mapping[str, Any], *names: str) -> str:
    return hashlib.sha256("|".join(str(row.get(name, "")) for name in names).encode()).hexdigest()[:32]


def _instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=None) - _CHINA
    except ValueError:
        return None


def _phone(to: str) -> str:
    """Return a number as the provider wants it: 11 digits in China, else with the country's prefix and no plus."""
    digits = re.sub(r"[\s-]", "", to)
    if not re.fullmatch(r"\+?[0-9]{6,20}", digits):
        return ""
    return digits[3:] if digits.startswith("+86") else digits.removeprefix("+")


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
