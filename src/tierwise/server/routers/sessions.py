"""Logging in and out, second factors, and who one is."""

from __future__ import annotations

import base64
import secrets
import threading
from datetime import datetime
from functools import cache
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from pwdlib import PasswordHash
from pydantic import Field

from tierwise.errors import BadRequest, Forbidden, Unauthenticated, UnknownName
from tierwise.project import Project
from tierwise.server.access import CSRF_HEADER, SESSION_COOKIE, Caller, address_of, who
from tierwise.server.routers.answering import Body
from tierwise.server.second_factor import STEP_SECONDS, address_for, step_of
from tierwise.store import Actor, Session, User

__all__ = [
    "Code", "Login", "Password", "Setup", "begin_second_factor", "confirm_second_factor", "hash_password", "log_in",
    "log_out", "me", "router", "session", "set_up",
]  # fmt: skip

router = APIRouter(prefix="/v1", tags=["access"])
#: A slow hash takes 64 MB: so many are worked out at once, however many log in.
_VERIFYING: Final = threading.BoundedSemaphore(2)


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()  # argon2id


def hash_password(password: str) -> str:
    """Return the slow hash of a password."""
    return _hasher().hash(password)


class Login(Body):
    """Who logs in; `code` is that of the authenticator, once there is one."""

    name: str = Field(max_length=80, examples=["li.na"])
    password: str = Field(max_length=400)
    code: str | None = Field(None, max_length=20, examples=["123456"])


@router.post("/session")
def log_in(login: Login, request: Request, response: Response) -> dict[str, Any]:
    """Log in; the answer sets the cookie, and says what every change must send as `X-CSRF-Token`."""
    project: Project = request.app.state.project
    now, accounts = request.app.state.clock(), project.store.accounts
    request.app.state.strangers.take(address_of(request), now)
    wrong = Unauthenticated("the name or the password is wrong", "after some wrong passwords wait a quarter of an hour")
    try:
        user = accounts.user(login.name)
    except UnknownName:
        _is_right(login.password, _nobodys_hash())  # so that it takes as long as with a user
        raise wrong from None
    right = _is_right(login.password, user.password_hash or _nobodys_hash())
    if user.locked_until is not None and user.locked_until > now:
        raise wrong
    if not right or user.password_hash is None or user.disabled_at is not None:
        accounts.failed(user.name, now)
        raise wrong
    _check_code(project, user, login.code, now)
    token, session = accounts.begin_session(user, now)
    secure: bool = request.app.state.secure
    response.set_cookie(SESSION_COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
    return _as_json(session)


@cache
def _nobodys_hash() -> str:
    return hash_password("")


def _is_right(password: str, hashed: str) -> bool:
    with _VERIFYING:
        return _hasher().verify(password, hashed)


def _check_code(project: Project, user: User, code: str | None, now: datetime) -> None:
    """Refuse somebody whose authenticator says another code, or has said this one before.

    Raises:
        Unauthenticated: when the code is missing, wrong or used.
    """
    secret = project.store.second_factors.secret(user)
    if secret is None:
        return
    if not code:
        raise Unauthenticated("a code of the authenticator is needed", "send `code` along", second_factor="needed")
    step = step_of(secret, code, now)
    if step is None or not project.store.second_factors.use(user, step, now):
        project.store.accounts.failed(user.name, now)
        raise Unauthenticated("the code is wrong, or was used before", "wait for the next one", second_factor="wrong")


class Setup(Body):
    """The first user of a project, who owns it."""

    token: str = Field(max_length=200, description="what `tierwise serve` has shown")
    name: str = Field(max_length=80)
    password: str = Field(min_length=12, max_length=400)


@router.post("/setup", status_code=201)
def set_up(asked: Setup, request: Request) -> dict[str, Any]:
    """Make the first user, with the token that the server has shown to whoever started it; it serves once."""
    project: Project = request.app.state.project
    request.app.state.strangers.take(address_of(request), request.app.state.clock())
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


class Password(Body):
    """The own password, once more."""

    password: str = Field(max_length=400)


class Code(Body):
    """What the authenticator says."""

    code: str = Field(max_length=20, examples=["123456"])


@router.post("/second-factor")
def begin_second_factor(asked: Password, request: Request, caller: Caller = Depends(who)) -> dict[str, Any]:
    """Begin a second factor: the answer has the secret for an authenticator, and as an address for its picture."""
    user, store, now = _themselves(caller), caller.whole.store, request.app.state.clock()
    request.app.state.strangers.take(address_of(request), now)
    if user.password_hash is None or not _is_right(asked.password, user.password_hash):
        store.accounts.failed(user.name, now)
        raise Forbidden("the password is wrong", "send your own password once more")
    if store.second_factors.confirmed(user):
        raise BadRequest("there is a second factor already", "an owner or admin takes it away: PATCH /v1/users/NAME")
    secret = store.second_factors.begin(user, now)
    shown = base64.b32encode(secret).decode().rstrip("=")
    return {"secret": shown, "address": address_for(secret, user.name), "seconds": STEP_SECONDS}


@router.post("/second-factor/confirm")
def confirm_second_factor(asked: Code, request: Request, caller: Caller = Depends(who)) -> dict[str, Any]:
    """Confirm a second factor with a code of the authenticator; from then on logging in needs one."""
    user, store, now = _themselves(caller), caller.whole.store, request.app.state.clock()
    request.app.state.strangers.take(address_of(request), now)
    secret = store.second_factors.secret(user, confirmed=False)
    if secret is None:
        raise BadRequest("there is no second factor to confirm", "POST /v1/second-factor begins one")
    step = step_of(secret, asked.code, now)
    if step is None or not store.second_factors.use(user, step, now):
        raise BadRequest("the code is wrong", "is the clock of the authenticator right?")
    return {"confirmed": True}


def _themselves(caller: Caller) -> User:
    """Return the user who asks.

    Raises:
        Forbidden: when it is a program.
    """
    if caller.actor.kind != "user":
        raise Forbidden("a key has no second factor", "log in as a user")
    return caller.whole.store.accounts.user(caller.actor.id)


@router.get("/me")
def me(caller: Caller = Depends(who)) -> dict[str, Any]:
    """Say who asks and what they may do."""
    rights = sorted(caller.rights)
    return {"actor": str(caller.actor), "roles": list(caller.actor.roles), "rights": rights, "barred": caller.barred}


def _of_cookie(request: Request) -> Session | None:
    project: Project = request.app.state.project
    return project.store.accounts.session(request.cookies.get(SESSION_COOKIE, ""), request.app.state.clock())


def _as_json(found: Session) -> dict[str, Any]:
    user = {"name": found.user.name, "roles": list(found.user.roles)}
    return {"user": user, "csrf": found.csrf, "expires_at": found.expires_at.isoformat()}
