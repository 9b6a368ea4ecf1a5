"""SMS by the cloud's protocol: its published signature, its errors, hangs and silences, its reports that come twice."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.channels.provider import Provider, Request
from tierwise.channels.aliyun import AliyunSmsChannel, AliyunSmsSettings, read_replies, read_reports, signed
from tierwise.channels.base import Absent, Accepted, Outgoing, Refused, Unknown
from tierwise.errors import BadRequest

AT = datetime(2026, 3, 1, 17, 30)
MESSAGE = Outgoing("m-1", "+8613800138000", AT, code="SMS_1", fields={"name": "李雷 & co", "n": "3"})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as found:
        yield found


def channel(provider: Provider) -> AliyunSmsChannel:
    settings = AliyunSmsSettings(
        key_id="testid", key_secret="testsecret", sign_name="茶店", endpoint=provider.url, inside=(provider.authority,)
    )
    return AliyunSmsChannel("sms", settings)


def test_the_published_signature() -> None:
    """The example of the cloud's own documentation of signature version 3."""
    settings = AliyunSmsSettings(key_id="YourAccessKeyId", key_secret="YourAccessKeySecret", sign_name="x")
    query = {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    at, nonce = datetime(2023, 10, 26, 10, 22, 32), "3156853299f313e23d1673dc12e1703d"
    text, headers = signed(settings, "ecs.cn-shanghai.aliyuncs.com", "RunInstances", "2014-05-26", query, at, nonce)
    assert text == "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    assert headers["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;"
        "x-acs-signature-nonce;x-acs-version,Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def _verified(request: Request) -> bool:
    """Whether the provider, working from the request alone, comes to the same signature."""
    given = request.headers["authorization"]
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    query = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in sorted(request.query.items()))
    lines = "".join(f"{name}:{request.headers[name]}\n" for name in names)
    whole = f"POST\n{request.path}\n{query}\n{lines}\n{';'.join(names)}\n{hashlib.sha256(request.body).hexdigest()}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(whole.encode()).hexdigest()}"
    return given.endswith(hmac.new(b"testsecret", text.encode(), hashlib.sha256).hexdigest())


def test_a_message_as_the_provider_sees_it(provider: Provider) -> None:
    with provider.answering((200, b'{"Code":"OK","BizId":"900^0"}')) as asked:
        assert channel(provider).send(MESSAGE) == Accepted("900^0")
    request = asked[0]
    assert _verified(request)
    assert request.headers["x-acs-date"] == "2026-03-01T17:30:00Z"
    assert request.query.pop("TemplateParam") == '{"name":"李雷 & co","n":"3"}'
    assert request.query == {"PhoneNumbers": "13800138000", "SignName": "茶店", "TemplateCode": "SMS_1", "OutId": "m-1"}


def test_the_same_try_has_the_same_nonce(provider: Provider) -> None:
    """The cloud takes a nonce once: what is sent again by mistake within the instant is refused there too."""
    door = channel(provider)
    with provider.answering((200, b'{"Code":"OK"}')) as asked:
        door.send(MESSAGE)
        door.send(MESSAGE)
        door.send(Outgoing("m-2", MESSAGE.to, AT, code="SMS_1"))
    nonces = [request.headers["x-acs-signature-nonce"] for request in asked]
    assert nonces[0] == nonces[1] != nonces[2]


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, "isv.BUSINESS_LIMIT_CONTROL", Refused("isv.BUSINESS_LIMIT_CONTROL", "no", again=True)),
        (400, "Throttling.User", Refused("Throttling.User", "no", again=True)),
        (200, "isv.MOBILE_NUMBER_ILLEGAL", Refused("isv.MOBILE_NUMBER_ILLEGAL", "no")),
        (200, "isv.AMOUNT_NOT_ENOUGH", Refused("isv.AMOUNT_NOT_ENOUGH", "no")),
        (403, "SignatureDoesNotMatch", Refused("SignatureDoesNotMatch", "no")),
        (200, "isp.SYSTEM_ERROR", Unknown("no")),
        (400, "InternalError", Unknown("no")),
    ],
)
def test_what_the_provider_says(provider: Provider, status: int, code: str, outcome: Refused | Unknown) -> None:
    with provider.answering((status, json.dumps({"Code": code, "Message": "no"}).encode())):
        assert channel(provider).send(MESSAGE) == outcome


@pytest.mark.parametrize("behaviour", ["drop", "hang", (500, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b"{}")])
def test_an_answer_that_says_nothing_leaves_the_fate_unknown(provider: Provider, behaviour: Any) -> None:
    door = channel(provider)
    door.timeout_seconds = 0.3
    with provider.answering(behaviour) as asked:
        assert isinstance(door.send(MESSAGE), Unknown)
    # Once: nothing is tried again by itself.
    assert len(asked) == 1


def test_what_is_not_even_asked(provider: Provider) -> None:
    with provider.answering((200, b"{}")) as asked:
        assert channel(provider).send(Outgoing("m", "li.lei@example.com", AT, code="SMS_1")).code == "bad-address"  # type: ignore[union-attr]
        assert channel(provider).send(Outgoing("m", "+8613800138000", AT)).code == "no-template"  # type: ignore[union-attr]
    assert asked == []
    settings = AliyunSmsSettings(key_id="a", key_secret="b", sign_name="c")
    gone = AliyunSmsChannel("sms", settings, resolve=lambda host, port: []).send(MESSAGE)
    assert isinstance(gone, Refused)
    assert (gone.code, gone.again) == ("unreachable", True)


def _sent(total: int, status: int = 3) -> Any:
    """Answer pages of what was sent that day; the message looked for is the last."""

    def answer(request: Request) -> tuple[int, bytes]:
        assert (request.query["PhoneNumber"], request.query["SendDate"]) == ("13800138000", "20260302")
        page, size = int(request.query["CurrentPage"]), int(request.query["PageSize"])
        rows = [
            {"OutId": "m-1" if at == total - 1 else f"other-{at}", "SendStatus": status, "ErrCode": "MX:0002"}
            for at in range((page - 1) * size, min(page * size, total))
        ]
        return 200, json.dumps({"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}}).encode()

    return answer


def test_what_became_of_a_message(provider: Provider) -> None:
    """By the provider's day, which is China's: half past one at night on the second of March."""
    door = channel(provider)
    with provider.answering(_sent(1)):
        assert door.lookup(MESSAGE, "900^0") == Accepted("900^0")
    with provider.answering(_sent(120)) as asked:
        assert door.lookup(MESSAGE) == Accepted("")
    assert len(asked) == 3
    with provider.answering(_sent(1, status=2)):
        assert door.lookup(MESSAGE) == Refused("MX:0002")
    with provider.answering(_sent(0)):
        assert door.lookup(MESSAGE) == Absent()
    for behaviour in ("drop", (200, b'{"Code":"isv.X","Message":"no"}')):
        with provider.answering(behaviour):
            assert isinstance(door.lookup(MESSAGE), Unknown)


def test_reports_that_come_twice_are_the_same() -> None:
    row = {"phone_number": "13800138000", "biz_id": "900^0", "out_id": "m-1", "success": True,
           "report_time": "2026-03-02 09:00:00", "err_code": "DELIVERED"}  # fmt: skip
    body = json.dumps([row, row, row | {"success": False, "err_code": "MX:0002"}]).encode()
    first, again, other = read_reports(body)
    assert first == again
    assert (first.message_id, first.ref, first.state, first.at) == (
        "m-1",
        "900^0",
        "delivered",
        datetime(2026, 3, 2, 1),
    )
    assert (other.state, other.code) == ("failed", "MX:0002")
    assert other.receipt_id != first.receipt_id


@pytest.mark.parametrize(
    ("text", "withdraws"),
    [("TD", True), (" t ", True), ("R", True), ("退订", True), ("退订。", True), ("N", True), ("stop", True),
     ("谢谢", False), ("Table for two", False), ("怎么退订", False), ("", False)],
)  # fmt: skip
def test_what_an_answer_means(text: str, withdraws: bool) -> None:
    body = json.dumps(
        [{"phone_number": "13800138000", "content": text, "send_time": "soon", "sequence_id": 1}]
    ).encode()
    [reply] = read_replies(body)
    assert (reply.withdraws, reply.at, reply.sender) == (withdraws, None, "13800138000")


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000], ids=range(5))
def test_what_is_no_report(body: bytes) -> None:
    for read in (read_reports, read_replies):
        with pytest.raises(BadRequest):
            read(body)
