"""Mail against a real server: what it gets, what it refuses, and a line that drops at each place."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tierwise.channels.base import Accepted, Outgoing, Refused, Unknown
from tierwise.channels.mail import MailChannel, MailSettings

AT = datetime(2026, 3, 1, 2, 30)


class Mailbox:
    """What the server does: takes mails, or says or does what the recipient's name asks for."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("full"):
            return "452 4.2.2 mailbox full"
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if address.startswith("drop"):
            _drop(server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.taken.append(envelope.content)
        if envelope.rcpt_tos[0].startswith("vanish"):
            _drop(server)
        return "554 5.7.1 spam" if envelope.rcpt_tos[0].startswith("spam") else "250 2.0.0 queued as 7"


def _drop(server: SMTP) -> None:
    """End the line at once, without a word."""
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


def _login(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    # Not handled: the server itself says no.
    known = isinstance(given, LoginPassword) and given.password == b"right"
    return AuthResult(success=known, handled=False)


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port, authenticator=_login, auth_require_tls=False)
    server.start()
    yield box, port
    server.stop()


def channel(port: int, **said: Any) -> MailChannel:
    given = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "茶店 <hello@tea.example>"} | said
    return MailChannel("mail", MailSettings.model_validate(given))


def outgoing(to: str = "li.lei@example.com", **said: Any) -> Outgoing:
    given: dict[str, Any] = {
        "subject": "新茶已到",
        "text": "李雷您好\n看看吧",
        "unsubscribe_url": "https://tea.example/u/x",
    }
    return Outgoing("m-1", to, AT, **(given | said))


def _read(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=POLICY)
    assert isinstance(found, EmailMessage)
    return found


def test_a_mail_with_its_way_out(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    assert channel(port, reply_to="shop@tea.example").send(outgoing(html="<p>李雷</p>")) == Accepted(
        "2.0.0 queued as 7"
    )
    mail = _read(box.taken[0])
    assert mail["From"] == "茶店 <hello@tea.example>"
    assert (mail["To"], mail["Subject"], mail["Reply-To"]) == ("li.lei@example.com", "新茶已到", "shop@tea.example")
    assert mail["Message-ID"] == "<m-1@tea.example>"
    assert mail["Date"] == "Sun, 01 Mar 2026 02:30:00 +0000"
    # RFC 8058: one POST, no login, no second question.
    assert mail["List-Unsubscribe"] == "<https://tea.example/u/x>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == ["李雷您好", "看看吧"]
    assert html.get_content().strip() == "<p>李雷</p>"


def test_a_text_that_looks_like_the_end_of_a_mail(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    assert isinstance(channel(port).send(outgoing(text="a\n.\nMAIL FROM:<x@y>\n.b")), Accepted)
    assert len(box.taken) == 1
    assert _read(box.taken[0]).get_content().splitlines() == ["a", ".", "MAIL FROM:<x@y>", ".b"]


@pytest.mark.parametrize(
    ("to", "outcome"),
    [
        ("full@example.com", Refused("smtp-452", "4.2.2 mailbox full", again=True)),
        ("nobody@example.com", Refused("smtp-550", "5.1.1 no such user")),
        ("spam@example.com", Refused("smtp-554", "5.7.1 spam")),
    ],
)
def test_what_the_server_refuses(mailbox: tuple[Mailbox, int], to: str, outcome: Refused) -> None:
    assert channel(mailbox[1]).send(outgoing(to)) == outcome


def test_a_line_that_drops_before_the_text_is_refused_and_after_it_unknown(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    early = channel(port).send(outgoing("drop@example.com"))
    assert isinstance(early, Refused)
    assert (early.code, early.again, box.taken) == ("unreachable", True, [])
    # The server has the mail and never says so.
    assert isinstance(channel(port).send(outgoing("vanish@example.com")), Unknown)
    assert len(box.taken) == 1
    assert isinstance(channel(port).lookup(outgoing()), Unknown)


def test_logging_in(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    assert isinstance(channel(port, user="shop", password="right").send(outgoing()), Accepted)
    wrong = channel(port, user="shop", password="wrong").send(outgoing())
    assert isinstance(wrong, Refused)
    assert (wrong.code, wrong.again, len(box.taken)) == ("unreachable", False, 1)
    assert "wrong" not in wrong.message


def test_nobody_there_and_no_security(mailbox: tuple[Mailbox, int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    gone = channel(port).send(outgoing())
    assert isinstance(gone, Refused)
    assert (gone.code, gone.again) == ("unreachable", True)
    # A server that offers no encryption where it is asked for gets nothing.
    box, port = mailbox
    bare = channel(port, security="starttls").send(outgoing())
    assert isinstance(bare, Refused)
    assert box.taken == []


@pytest.mark.parametrize(
    "said",
    [{"to": "a\r\nBcc: b@c.d@example.com"}, {"to": "no address"}, {"subject": "a\nBcc: b@c.d"},
     {"unsubscribe_url": "https://x/\r\nBcc: b@c.d"}],
)  # fmt: skip
def test_nothing_slips_into_the_headers(mailbox: tuple[Mailbox, int], said: dict[str, str]) -> None:
    box, port = mailbox
    outcome = channel(port).send(outgoing(**said))
    assert isinstance(outcome, Refused)
    assert (outcome.code, box.taken) == ("bad-message", [])
