"""The channel `smtp`: mail with a way out that mailboxes understand, and a fate that is known up to the last byte."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import ClassVar, Literal

from pydantic import BaseModel, field_validator

from tierwise.channels.base import Absent, Accepted, Outcome, Outgoing, Refused, Unknown
from tierwise.definitions.model import Form

__all__ = ["MailChannel", "MailSettings"]


class MailSettings(Form):
    """The settings of `smtp`: the server, how the line is secured, and in whose name is written."""

    host: str
    sender: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    reply_to: str = ""

    @field_validator("sender")
    @classmethod
    def _address(cls, value: str) -> str:
        if "@" not in parseaddr(value)[1] or "\n" in value:
            raise ValueError(f"`{value}` is no sender, written Tea Shop <hello@example.com>")
        return value


class MailChannel:
    """Sends one mail a connection.

    Everything before the mail's text is refused for certain when it fails. Once the text goes out, only the server's
    answer says what became of it; a line that drops before that leaves the fate unknown, and nothing is sent again.
    """

    Settings: ClassVar[type[BaseModel]] = MailSettings
    address: ClassVar[str] = "email"
    medium: ClassVar[str] = "mail"
    deduplicates: ClassVar[bool] = False
    timeout_seconds: float = 20.0

    def __init__(self, name: str, settings: MailSettings, context: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.settings = settings
        self._context = context

    def send(self, message: Outgoing) -> Outcome:
        """Hand the mail to the server."""
        try:
            mail = self._mail(message)
            text = mail.as_bytes(policy=SMTP)
        except (ValueError, MessageError, IndexError) as error:
            return Refused("bad-message", str(error))
        try:
            server = self._open()
        except (OSError, smtplib.SMTPException) as error:
            # A wrong password stays wrong.
            again = not isinstance(error, smtplib.SMTPAuthenticationError)
            return Refused("unreachable", f"{self.settings.host}: {error}", again=again)
        try:
            return self._hand_over(server, message.to, text)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def lookup(self, message: Outgoing, ref: str = "") -> Outcome | Absent:
        """Nobody can be asked: a mail's fate is not told afterwards."""
        return Unknown("a mail server does not tell what it has taken")

    def _hand_over(self, server: smtplib.SMTP, to: str, text: bytes) -> Outcome:
        steps: tuple[Callable[[], tuple[int, bytes]], ...] = (
            lambda: server.mail(parseaddr(self.settings.sender)[1]),
            lambda: server.rcpt(to),
        )
        try:
            for step in steps:
                code, said = step()
                if code not in (250, 251):
                    return _refused(code, said)
        except (OSError, smtplib.SMTPException) as error:
            return Refused("unreachable", str(error), again=True)
        try:
            code, said = server.data(text)
        except smtplib.SMTPDataError as error:
            return _refused(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            return Unknown(f"the line dropped before the server answered: {error}")
        return Accepted(said.decode("utf-8", "replace")[:200]) if code == 250 else _refused(code, said)

    def _open(self) -> smtplib.SMTP:
        settings = self.settings
        context = self._context or ssl.create_default_context()
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=self.timeout_seconds, context=context
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=self.timeout_seconds)
        try:
            if settings.security == "starttls":
                server.starttls(context=context)
            server.ehlo_or_helo_if_needed()
            if settings.user:
                server.login(settings.user, settings.password)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Outgoing) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        sender = parseaddr(self.settings.sender)
        mail["From"] = Address(sender[0], addr_spec=sender[1])
        mail["To"] = Address(addr_spec=message.to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(message.at.replace(tzinfo=UTC))
        mail["Message-ID"] = f"<{message.message_id}@{sender[1].rpartition('@')[2]}>"
        if self.settings.reply_to:
            mail["Reply-To"] = self.settings.reply_to
        if message.unsubscribe_url:
            # RFC 8058: a mailbox posts to the address when its user presses "unsubscribe"; nobody has to log in.
            mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(message.text)
        if message.html:
            mail.add_alternative(message.html, subtype="html")
        return mail


def _refused(code: int, said: bytes | str) -> Refused:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return Refused(f"smtp-{code}", text[:200], again=400 <= code < 500)
