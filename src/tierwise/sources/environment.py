"""Environment variables in what a source declares: ``${NAME}`` stands for its value."""

from __future__ import annotations

import os
import re

from tierwise.errors import SourceUnreadable

__all__ = ["with_environment"]


def with_environment(text: str, what: str) -> str:
    """Return a declared text with the values of the environment variables it names.

    Args:
        text: what is declared.
        what: what the text is, for the hint.

    Raises:
        SourceUnreadable: when one is not set; the message has its name, never a value.

    Example:
        >>> os.environ["BRAND_DATA"] = "/data"
        >>> with_environment("${BRAND_DATA}/orders.csv", "the path of the file")
        '/data/orders.csv'
    """
    for name in re.findall(r"\$\{(\w+)\}", text):
        if name not in os.environ:
            message = f"{text}: the environment variable {name} is not set"
            raise SourceUnreadable(message, f"set it to {what}: export {name}=…")
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], text)
