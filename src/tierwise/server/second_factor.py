"""Codes of an authenticator (RFC 6238: six digits, another one every 30 seconds)."""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

__all__ = ["STEP_SECONDS", "address_for", "code_at", "step_of"]

#: How long a code holds.
STEP_SECONDS: Final = 30
_DIGITS: Final = 6


def address_for(secret: bytes, name: str) -> str:
    """Return the address that an authenticator reads as a picture.

    Example:
        >>> address_for(bytes(20), "ann").partition("?")[0]
        'otpauth://totp/Tierwise:ann'
    """
    return _totp(secret).get_provisioning_uri(name, "Tierwise")


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step; the steps are counted from 1970.

    Example:
        >>> code_at(b"12345678901234567890", 1)
        '287082'
    """
    return _totp(secret).generate(step * STEP_SECONDS).decode()


def step_of(secret: bytes, code: str, at: datetime) -> int | None:
    """Return the step whose code this is, of those near an instant: clocks are seldom right; nothing of a wrong one.

    Args:
        secret: what the authenticator knows.
        code: what somebody has typed, if need be with a blank inside.
        at: now, with its zone.
    """
    typed = re.sub(r"\s", "", code)
    now, found = int(at.timestamp()) // STEP_SECONDS, None
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), typed.encode()):
            found = step
    return found


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, _DIGITS, SHA1(), STEP_SECONDS)  # the only hash that every authenticator knows
