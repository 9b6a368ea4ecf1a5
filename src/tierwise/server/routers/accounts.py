"""Users and keys: who may use the console and the API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from tierwise.definitions.plain import plain
from tierwise.errors import BadRequest, Forbidden
from tierwise.server.access import Caller, rights_of, who_may
from tierwise.server.routers.answering import Body
from tierwise.server.routers.sessions import hash_password
from tierwise.store import ApiKey, User

__all__ = [
    "NewKey",
    "NewUser",
    "UserChange",
    "add_key",
    "add_user",
    "change_user",
    "keys",
    "revoke_key",
    "router",
    "users",
]

router = APIRouter(prefix="/v1", tags=["access"])
_READ, _WRITE = who_may("accounts.read"), who_may("accounts.write")


class NewUser(Body):
    """A user to add."""

    name: str = Field(max_length=80, examples=["li.na"])
    roles: list[str] = Field(min_length=1, max_length=10, examples=[["operator"]])
    password: str = Field(min_length=12, max_length=400)


class UserChange(Body):
    """What to change of a user; what is not said stays."""

    roles: list[str] | None = Field(None, min_length=1, max_length=10)
    password: str | None = Field(None, min_length=12, max_length=400)
    disabled: bool | None = None
    second_factor: Literal[False] | None = Field(None, description="take the second factor away")


class NewKey(Body):
    """A key to make."""

    name: str = Field(max_length=80, examples=["mini-program"])
    roles: list[str] = Field(min_length=1, max_length=10, examples=[["machine"]])
    days: int | None = Field(None, ge=1, le=3650, description="after which it ends; never by default")


@router.get("/users")
def users(caller: Caller = _READ) -> dict[str, Any]:
    """List the users."""
    return {"items": [_user(user) for user in caller.project.store.accounts.all_users()]}


@router.post("/users", status_code=201)
def add_user(asked: NewUser, request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Add a user."""
    _may_give(caller, asked.roles)
    accounts, now = caller.project.store.accounts, _now(request)
    return _user(accounts.add_user(asked.name, asked.roles, hash_password(asked.password), caller.actor, now))


@router.patch("/users/{name}")
def change_user(name: str, asked: UserChange, request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Change what a user may do, their password, or whether they are let in; their sessions end."""
    accounts = caller.project.store.accounts
    _may_give(caller, [*accounts.user(name).roles, *(asked.roles or ())])
    password = None if asked.password is None else hash_password(asked.password)
    said = {"roles": asked.roles, "password_hash": password, "disabled": asked.disabled}
    if all(value is None for value in (*said.values(), asked.second_factor)):
        raise BadRequest("nothing is to be changed", "say roles, password, disabled or second_factor")
    if asked.second_factor is False:
        caller.project.store.second_factors.remove(accounts.user(name), caller.actor, _now(request))
    return _user(accounts.change_user(name, caller.actor, _now(request), **said))  # type: ignore[arg-type]


@router.get("/keys")
def keys(caller: Caller = _READ) -> dict[str, Any]:
    """List the keys, without their secrets."""
    return {"items": [_key(key) for key in caller.project.store.accounts.all_keys()]}


@router.post("/keys", status_code=201)
def add_key(asked: NewKey, request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Make a key; its `secret` is in this answer and nowhere else."""
    _may_give(caller, asked.roles)
    now = _now(request)
    expires_at = None if asked.days is None else now + timedelta(days=asked.days)
    secret, key = caller.project.store.accounts.add_key(asked.name, asked.roles, caller.actor, now, expires_at)
    return {**_key(key), "secret": secret}


@router.delete("/keys/{key_id}")
def revoke_key(key_id: int, request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """End a key at once."""
    return _key(caller.project.store.accounts.revoke_key(key_id, caller.actor, _now(request)))


def _may_give(caller: Caller, roles: list[str]) -> None:
    """Refuse that somebody gives, or takes over, more than they have."""
    if "owner" in roles and "owner" not in caller.actor.roles:
        raise Forbidden("only an owner makes or changes an owner", "ask one")
    if not rights_of(roles) <= caller.rights:
        raise Forbidden("nobody gives rights that they do not have", "ask an owner")


def _now(request: Request) -> datetime:
    now: datetime = request.app.state.clock()
    return now


def _user(user: User) -> dict[str, Any]:
    found = {name: value for name, value in asdict(user).items() if name not in ("password_hash", "user_id")}
    row: dict[str, Any] = plain(found)
    return row


def _key(key: ApiKey) -> dict[str, Any]:
    row: dict[str, Any] = plain({**asdict(key), "created_by": str(key.created_by)})
    return row
