"""The application: middleware, error documents and every router, over one open project."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tierwise.project import Project
from tierwise.server.files import DefinitionFiles
from tierwise.server.ingest import Ingest
from tierwise.server.limits import Limit
from tierwise.server.problems import PROBLEM_SCHEMA, add_handlers, bug, problem
from tierwise.server.routers import (
    accounts,
    answers,
    audit,
    customers,
    definitions,
    events,
    expressions,
    health,
    history,
    identity,
    imports,
    jobs,
    people,
    points,
    sessions,
    tables,
)
from tierwise.server.uploads import UploadedFiles

__all__ = ["ROUTERS", "create_app"]

#: A request says no more than so much, but for the routes that take whole files.
_MOST_BYTES: Final = 4 << 20
_MORE_BYTES: Final = {("POST", "/v1/imports"): 1 << 30}
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
#: Where browsers come by HTTPS, they come by nothing else for a year.
_SECURE_HEADERS: Final = ((b"strict-transport-security", b"max-age=31536000"),)
#: Every file of routes.
ROUTERS: Final = (
    health, sessions, definitions, expressions, answers, customers, people, history, tables, jobs, accounts, audit,
    events, imports, points, identity,
)  # fmt: skip


def create_app(
    project: Project, clock: Callable[[], datetime], *, secure: bool = False, setup_token: str | None = None
) -> FastAPI:
    """Return the API of a project.

    Args:
        project: the open project; it stays open while the application runs, and is closed with it.
        clock: gives the current instant with its zone.
        secure: whether browsers reach it by HTTPS only, so that cookies are never sent without.
        setup_token: by which the first user is made, once.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.state.ingest.start()
        yield
        app.state.ingest.close()
        project.close()

    refused: dict[int | str, dict[str, Any]] = {
        "4XX": {"description": "refused", "content": {"application/problem+json": {"schema": PROBLEM_SCHEMA}}}
    }
    app = FastAPI(
        title="Tierwise",
        version=version("tierwise"),
        description="Customer tiers and membership operations. 客户分层与会员运营。",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses=refused,
    )
    app.state.project, app.state.clock, app.state.secure = project, clock, secure
    app.state.setup_token = setup_token
    app.state.stopping = threading.Event()
    app.state.ingest = Ingest(project, clock)
    app.state.files = DefinitionFiles(project.folder)
    # Whoever is not known yet, by address; programs, by key.
    app.state.strangers, app.state.programs = Limit(30, 0.5), Limit(1_000, 100.0)
    app.state.uploads = UploadedFiles(project.folder)
    for router in ROUTERS:
        app.include_router(router.router)
    add_handlers(app)
    app.add_middleware(_Guard, headers=(*_HEADERS, *(_SECURE_HEADERS if secure else ())))
    return app


class _Guard:
    """Refuses requests that are too large, and sets the headers that keep a browser from being misled."""

    def __init__(self, app: ASGIApp, headers: Sequence[tuple[bytes, bytes]] = _HEADERS) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        read, begun = 0, False
        most = _MORE_BYTES.get((scope["method"], scope["path"]), _MOST_BYTES)

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                there = {name.lower() for name, _ in message.get("headers", [])}
                message["headers"] = [*message.get("headers", []), *(h for h in self._headers if h[0] not in there)]
            await send(message)

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLarge
            return message

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        try:
            if not declared.isdigit() or int(declared) > most:
                raise _TooLarge
            await self._app(scope, counted, with_headers)
        except _TooLarge:
            refusal = problem(413, "too-large", f"this request has at most {most >> 20} MB", "send it in parts")
            await refusal(scope, receive, with_headers)
        except Exception as error:
            if begun:  # half an answer is out: only the broken line can say so
                raise
            await bug(scope["method"], error)(scope, receive, with_headers)


class _TooLarge(Exception):
    """A request says more than is read."""
