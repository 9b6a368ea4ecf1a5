"""Identifiers that stand for nothing: what clerks type where a field must not be empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["placeholders"]

_WORDS: Final = (
    "unknown", "none", "null", "nil", "nan", "na", "n/a", "no", "empty", "undefined", "anonymous", "guest", "visitor",
    "test", "tester", "testing", "demo", "example", "sample", "default", "temp", "dummy", "fake", "admin", "user",
    "customer", "client", "abc", "xxx", "aaa", "asdf", "qwerty", "000", "111", "123", "1234", "12345", "123456",
    "0", "1", "-", "--", ".", "?", "无", "没有", "未知", "暂无", "空", "匿名", "游客", "测试", "不详",
)  # fmt: skip
_HOSTS: Final = (
    "test.com", "test.cn", "example.com", "example.org", "example.net", "none.com", "null.com", "unknown.com",
    "a.com", "aa.com", "abc.com", "xxx.com", "nomail.com", "noemail.com", "email.com", "mail.com", "domain.com",
    "qq.com", "163.com", "126.com", "gmail.com", "hotmail.com", "sina.com",
)  # fmt: skip
_SENT: Final = ("noemail", "nomail", "no-reply", "noreply", "donotreply", "info", "email", "mail", "a", "aa", "aaa")
_OPERATORS: Final = tuple(range(130, 200))
_DIGITS: Final = "0123456789"


def placeholders(declared: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Yield (role, text) of every identifier that stands for nothing: those everybody knows, and those declared.

    Args:
        declared: texts by role.

    Example:
        >>> known = set(placeholders({"phone": ("400-800-1234",)}))
        >>> [pair in known for pair in (("phone", "13800000000"), ("email", "test@test.com"), ("openid", "unknown"))]
        [True, True, True]
        >>> ("phone", "400-800-1234") in known, ("phone", "13912345678") in known, ("phone", "13912345670") in known
        (True, True, False)
    """
    for prefix in _OPERATORS:
        for tail in (*(digit * 8 for digit in _DIGITS), "12345678", "87654321", "01234567"):
            yield "phone", f"{prefix}{tail}"
    for length in range(5, 16):
        for digit in _DIGITS:
            yield "phone", digit * length
        yield "phone", "1234567890123456"[:length]
    for name in (*_WORDS, *_SENT):
        for host in _HOSTS:
            yield "email", f"{name}@{host}"
    for role in ("openid", "id_number"):
        for word in _WORDS:
            yield role, word
            yield role, word.upper()
            yield role, word.capitalize()
        for digit in _DIGITS:
            for length in range(2, 21):
                yield role, digit * length
    yield "id_number", "123456789012345678"
    for role, texts in declared.items():
        for text in texts:
            yield role, text
