"""The routes, one file per noun; every one says the right it needs, or stands in `PUBLIC` or `OWN`."""

from typing import Final

__all__ = ["OWN", "PUBLIC"]

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
#: The routes of whoever is known, about themselves.
OWN: Final = frozenset({("GET", "/v1/me"), ("POST", "/v1/second-factor"), ("POST", "/v1/second-factor/confirm")})
