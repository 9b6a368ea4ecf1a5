"""Every refusal as a problem document (RFC 9457), with the stable code that the command line gives too."""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from tierwise.definitions.plain import plain
from tierwise.errors import TierwiseError

__all__ = ["PROBLEM_SCHEMA", "add_handlers", "bug", "problem"]

_LOG = logging.getLogger("tierwise.server")
#: When to ask again somebody who cannot answer now.
_RETRY_SECONDS: Final = "5"
_MEDIA_TYPE: Final = "application/problem+json"
#: What routes refuse by other means than a `TierwiseError`.
_CODES: Final = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "wrong-media-type"}

#: The shape of every refusal, for OpenAPI.
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:tierwise:problem:unknown-name"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable; docs/reference/errors.md lists them"},
        "detail": {"type": "string", "description": "what to do"},
        "problems": {"type": "array", "items": {"type": "object"}},
    },
}


def problem(status: int, code: str, title: str, detail: str = "", **more: Any) -> Response:
    """Return a refusal.

    Args:
        status: of HTTP.
        code: what is wrong, for programs.
        title: what is wrong, for people.
        detail: what to do.
        more: whatever else the code's document has.
    """
    body = {"type": f"urn:tierwise:problem:{code}", "title": title, "status": status, "code": code}
    body |= {"detail": detail} if detail else {}
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = str(more.get("retry_after", _RETRY_SECONDS))
    return JSONResponse(plain(body | more), status, media_type=_MEDIA_TYPE, headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Let an application answer every refusal as a problem document."""
    app.add_exception_handler(TierwiseError, _refused)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(HTTPException, _http)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, TierwiseError)
    said = error.as_json()
    more = {name: value for name, value in said.items() if name not in ("code", "message", "hint", "status", "type")}
    return problem(error.status, error.code, error.message, error.hint, **more)


def _misunderstood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {"where": ".".join(str(step) for step in one["loc"]), "message": one["msg"]} for one in error.errors()
    ]  # without the value that was sent: it may be somebody's
    title = f"the request cannot be understood: {found[0]['where']}" if found else "the request cannot be understood"
    return problem(422, "bad-request", title, found[0]["message"] if found else "", problems=found)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase.lower()
    return problem(error.status_code, _CODES.get(error.status_code, "bad-request"), phrase)


def bug(method: str, error: Exception) -> Response:
    """Say that something of ours broke; what the error says may hold a customer's data, so only its kind is told."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _LOG.error("%s: %s at %s:%s", method, type(error).__name__, Path(frame.filename).name, frame.lineno)
    return problem(500, "bug", "this is a bug in Tierwise", "please report what you asked and when")
