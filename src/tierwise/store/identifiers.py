"""Identifiers of people in one canonical form each, so that one number written in two ways has one blind index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from unicodedata import normalize

__all__ = ["CANONICAL", "canonical", "mask"]

_NO_DIGIT: Final = re.compile(r"[^0-9]")
_LATIN_AND_DIGITS: Final = re.compile(r"[^0-9A-Za-z]")
_CHINESE_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")
#: No telephone number is shorter or longer: E.164 allows 15 digits.
_DIGITS_MIN, _DIGITS_MAX = 5, 15
#: A mask shows a mark for each hidden character, and never tells how long a long text is.
_MASK_MAX: Final = 8


def _phone(text: str) -> str:
    plain = normalize("NFKC", text).strip()
    digits = _NO_DIGIT.sub("", plain)
    foreign = plain.startswith("+")
    if digits.startswith("00") and not foreign:
        digits, foreign = digits[2:], True
    national = digits.removeprefix("86")
    abroad = foreign and national == digits  # an American number has the digits of a Chinese mobile too
    if _CHINESE_MOBILE.fullmatch(national) and not abroad:  # 13 digits that begin with 86, or 11: the same telephone
        return f"+86{national}"
    if not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
        return ""
    return f"+{digits}" if foreign else digits


def _email(text: str) -> str:
    address = normalize("NFKC", text).strip().lower()
    name, at, host = address.rpartition("@")
    return address if name and at and host and not re.search(r"\s", address) else ""


def _id_number(text: str) -> str:
    return _LATIN_AND_DIGITS.sub("", normalize("NFKC", text)).upper()


def _openid(text: str) -> str:
    return normalize("NFC", text).strip()


#: The roles that identify: what a value of each becomes before it is indexed; an empty text means it cannot be used.
CANONICAL: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {"phone": _phone, "email": _email, "openid": _openid, "id_number": _id_number}
)


def canonical(role: str, text: str) -> str:
    """Return an identifier in its canonical form, or an empty text when it is none.

    Example:
        >>> [canonical("phone", text) for text in ("138-0013-8000", "０１０-６５５３ ２１００", "n/a")]
        ['+8613800138000', '01065532100', '']
        >>> canonical("email", " Li.Na@Example.COM "), canonical("id_number", "11010519491231002x")
        ('li.na@example.com', '11010519491231002X')
    """
    return CANONICAL[role](text)


def mask(role: str, text: str) -> str:
    """Return a value of a personal role as somebody may see it who only has to recognise it.

    Example:
        >>> mask("phone", "13800138000"), mask("name", "王小芳"), mask("email", "li.na@example.com")
        ('138****8000', '王**', 'l****@example.com')
        >>> mask("address", "上海市静安区一号")
        '********'
    """
    if role == "email" and "@" in text:
        name, _, host = text.rpartition("@")
        return f"{name[:1]}{'*' * min(len(name) - 1, _MASK_MAX)}@{host}"
    if role == "name":
        return text[:1] + "*" * min(len(text) - 1, _MASK_MAX)
    if role in ("phone", "id_number") and len(text) >= 2 * 4:
        shown = 3 if len(text) >= 11 else 0
        return f"{text[:shown]}{'*' * min(len(text) - shown - 4, _MASK_MAX)}{text[-4:]}"
    return "*" * min(max(len(text), 1), _MASK_MAX)
