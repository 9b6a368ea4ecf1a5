"""Logging in and out, and who one is."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pwdlib import PasswordHash
from pydantic import Field

from tierwise.errors import Forbidden, Unauthenticated, UnknownName
from tierwise.project import Project
from tierwise.server.access import CSRF_HEADER, SESSION_COOKIE, Caller, who
from tierwise.server.routers.answering import Body
from tierwise.store import Actor, Session

__all__ = ["Login", "Setup", "hash_password", "log_in", "log_out", "me", "router", "session", "set_up"]

router = APIRouter(prefix="/v1", tags=["access"])


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()  # argon2id


def hash_password(password: str) -> str:
    """Return the slow hash of a password."""
    return _hasher().hash(password)


class Login(Body):
    """Who logs in."""

    name: str = Field(max_length=80)
    password: str = Field(max_length=400)


@router.post("/session")
def log_in(login: Login, request: Request, response: Response) -> dict[str, Any]:
    """Log in; the answer sets the cookie, and says what every change must send as `X-CSRF-Token`."""
    project: Project = request.app.state.project
    now, accounts = request.app.state.clock(), project.store.accounts
    wrong = Unauthenticated("the name or the password is wrong", "after some wrong passwords wait a quarter of an hour")
    try:
        user = accounts.user(login.name)
    except UnknownName:
        _hasher().verify(login.password, _nobodys_hash())  # so that it takes as long as with a user
        raise wrong from None
    right = _hasher().verify(login.password, user.password_hash or _nobodys_hash())
    if user.locked_until is not None and user.locked_until > now:
        raise wrong
    if not right or user.password_hash is None or user.disabled_at is not None:
        accounts.failed(user.name, now)
        raise wrong
    token, session = accounts.begin_session(user, now)
    secure: bool = request.app.state.secure
    response.set_cookie(SESSION_COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
    return _as_json(session)


@cache
def _nobodys_hash() -> str:
    return hash_password("")


class Setup(Body):
    """The first user of a project, who owns it."""

    token: str = Field(max_length=200, description="what `tierwise serve` has shown")
    name: str = Field(max_length=80)
    password: str = Field(min_length=12, max_length=400)


@router.post("/setup", status_code=201)
def set_up(asked: Setup, request: Request) -> dict[str, Any]:
    """Make the first user, with the token that the server has shown to whoever started it; it serves once."""
    project: Project = request.app.state.project
    wanted: str | None = request.app.state.setup_token
    if wanted is None or not secrets.compare_digest(asked.token.encode(), wanted.encode()):
        raise Forbidden("this is not the token of the first start", "`tierwise serve` shows it while there is no user")
    request.app.state.setup_token = None
    actor, now = Actor("setup"), request.app.state.clock()
    user = project.store.accounts.add_user(asked.name, ["owner"], hash_password(asked.password), actor, now)
    return {"name": user.name, "roles": list(user.roles)}


@router.get("/session")
def session(request: Request) -> dict[str, Any]:
    """Say who is logged in in this browser, and the token for changes."""
    found = _of_cookie(request)
    if found is None:
        raise Unauthenticated("nobody is logged in", "POST /v1/session logs in")
    return _as_json(found)


@router.delete("/session", status_code=204)
def log_out(request: Request, response: Response) -> None:
    """Log out."""
    found = _of_cookie(request)
    if found is not None:
        given = request.headers.get(CSRF_HEADER, "")
        if not secrets.compare_digest(given.encode(), found.csrf.encode()):
            raise Forbidden("the request does not come from the console", "send the session's `x-csrf-token`")
        store = request.app.state.project.store
        store.accounts.end_session(request.cookies[SESSION_COOKIE], request.app.state.clock())
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.get("/me")
def me(caller: Caller = Depends(who)) -> dict[str, Any]:
    """Say who asks and what they may do."""
    return {"actor": str(caller.actor), "roles": list(caller.actor.roles), "rights": sorted(caller.rights)}


def _of_cookie(request: Request) -> Session | None:
    project: Project = request.app.state.project
    return project.store.accounts.session(request.cookies.get(SESSION_COOKIE, ""), request.app.state.clock())


def _as_json(found: Session) -> dict[str, Any]:
    user = {"name": found.user.name, "roles": list(found.user.roles)}
    return {"user": user, "csrf": found.csrf, "expires_at": found.expires_at.isoformat()}
