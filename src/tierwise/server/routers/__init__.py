"""The routes, one file per noun; every one says the right it needs, or stands in `PUBLIC`."""

from typing import Final

__all__ = ["PUBLIC"]

#: The routes that anybody may use: (method, path).
PUBLIC: Final = frozenset(
    {
        ("GET", "/health"),
        ("GET", "/ready"),
        ("POST", "/v1/setup"),
        ("POST", "/v1/session"),
        ("DELETE", "/v1/session"),
        ("GET", "/v1/session"),
    }
)
