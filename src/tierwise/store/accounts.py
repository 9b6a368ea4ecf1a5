"""Who may use the console and the API: users with their sessions, and keys for programs; secrets only as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.schema import api_keys, sessions, users
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions

__all__ = ["ROLES", "Accounts", "ApiKey", "Session", "User"]

#: What a user or a key may be.
ROLES: Final = ("owner", "admin", "analyst", "operator", "staff", "auditor", "machine", "browser")
#: How long a session lasts without being used, and how long at most.
_IDLE: Final = timedelta(hours=12)
_LONGEST: Final = timedelta(days=7)
#: How often the use of a session is written down.
_SEEN_EVERY: Final = timedelta(minutes=5)
#: After so many wrong passwords in a row nobody can log in as this user for a while.
_MOST_FAILURES: Final = 8
_LOCKED_FOR: Final = timedelta(minutes=15)
_PREFIX: Final = "tw_"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who uses the console; `locked_until` is set after too many wrong passwords."""

    user_id: int
    name: str
    roles: tuple[str, ...]
    password_hash: str | None
    created_at: datetime
    disabled_at: datetime | None
    locked_until: datetime | None

    @property
    def actor(self) -> Actor:
        """Return the user as who does something."""
        return Actor("user", self.name, self.roles)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key for a program; `prefix` is the part of its secret that may be shown."""

    key_id: int
    name: str
    prefix: str
    roles: tuple[str, ...]
    created_at: datetime
    created_by: Actor
    expires_at: datetime | None
    revoked_at: datetime | None

    @property
    def actor(self) -> Actor:
        """Return the key as who does something."""
        return Actor("key", self.name, self.roles)


@dataclass(frozen=True, slots=True)
class Session:
    """A user who has logged in, with what every change of theirs must say along (`csrf`)."""

    user: User
    csrf: str
    expires_at: datetime


class Accounts:
    """The verbs of users, sessions and keys, on one store. No verb reads the clock: the caller says when."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    # -- users ------------------------------------------------------------------------------------------------------

    def add_user(self, name: str, roles: Sequence[str], password_hash: str | None, by: Actor, at: datetime) -> User:
        """Add a user; without a password they are let in by nothing until they have one.

        Raises:
            BadRequest: when the name is taken, or is none; when there is no such role.
        """
        _check_name(name, "user")
        held = _checked(roles)
        with self._transactions.write() as connection:
            user_id = take(connection, "user_id")  # also makes two who add one name wait for each other
            if connection.execute(select(users.c.user_id).where(users.c.name == name)).one_or_none() is not None:
                raise BadRequest(f"there is a user `{name}` already", "choose another name")
            row = {"user_id": user_id, "name": name, "roles": list(held), "password_hash": password_hash}
            connection.execute(insert(users).values(**row, created_at=at, failures=0))
            note(connection, at, by, "user.add", f"user:{name}", {"roles": list(held)})
            return _user(_row_of(connection, name))

    def user(self, name: str) -> User:
        """Return a user.

        Raises:
            UnknownName: when there is none of this name.
        """
        with self._transactions.read() as connection:
            return _user(_row_of(connection, name))

    def all_users(self) -> list[User]:
        """Return every user, by name."""
        with self._transactions.read() as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]

    def change_user(
        self,
        name: str,
        by: Actor,
        at: datetime,
        *,
        roles: Sequence[str] | None = None,
        password_hash: str | None = None,
        disabled: bool | None = None,
    ) -> User:
        """Change what a user may do, their password, or whether they are let in; their sessions end.

        Raises:
            UnknownName: when there is none of this name.
            BadRequest: when nobody with the role `owner` would be left.
        """
        values: dict[str, Any] = {}
        if roles is not None:
            values["roles"] = list(_checked(roles))
        if password_hash is not None:
            values |= {"password_hash": password_hash, "failures": 0, "locked_until": None}
        if disabled is not None:
            values["disabled_at"] = at if disabled else None
        with self._transactions.write() as connection:
            take(connection, "user_id")  # two owners who take each other's role wait for each other
            row = _row_of(connection, name)
            if values:
                connection.execute(update(users).where(users.c.user_id == row.user_id).values(**values))
            if (roles is not None or disabled) and "owner" in row.roles:
                _refuse_without_owner(connection)
            connection.execute(delete(sessions).where(sessions.c.user_id == row.user_id))
            said = {name: value for name, value in values.items() if name == "roles"}
            note(connection, at, by, "user.change", f"user:{name}", said | {"changed": sorted(values)})
            return _user(_row_of(connection, name))

    def failed(self, name: str, at: datetime) -> None:
        """Count a wrong password; too many in a row lock the user out for a while."""
        with self._transactions.write() as connection:
            row = _row_of(connection, name)
            failures = row.failures + 1
            locked = failures >= _MOST_FAILURES
            values = {"failures": 0 if locked else failures, "locked_until": at + _LOCKED_FOR if locked else None}
            connection.execute(update(users).where(users.c.user_id == row.user_id).values(**values))
            if locked:
                note(connection, at, Actor("user", name), "user.lock", f"user:{name}")

    # -- sessions ---------------------------------------------------------------------------------------------------

    def begin_session(self, user: User, at: datetime) -> tuple[str, Session]:
        """Let a user in whose password was right; return the secret of the session, which is kept nowhere, and it."""
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        row = {"digest": _digest(token), "user_id": user.user_id, "csrf": csrf, "begun_at": at, "seen_at": at}
        with self._transactions.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.seen_at < at - _IDLE))
            connection.execute(insert(sessions).values(**row))
            cleared = {"failures": 0, "locked_until": None}
            connection.execute(update(users).where(users.c.user_id == user.user_id).values(**cleared))
            note(connection, at, user.actor, "session.begin", f"user:{user.name}")
        return token, Session(user, csrf, at + _IDLE)

    def session(self, token: str, at: datetime) -> Session | None:
        """Return the session of a secret, or nothing when there is none or it is over."""
        digest = _digest(token)
        chosen = select(sessions, users).join(users, sessions.c.user_id == users.c.user_id)
        with self._transactions.read() as connection:
            row = connection.execute(chosen.where(sessions.c.digest == digest)).one_or_none()
        if row is None or row.disabled_at is not None:
            return None
        expires_at = min(row.seen_at + _IDLE, row.begun_at + _LONGEST)
        if expires_at <= at:
            return None
        if row.seen_at + _SEEN_EVERY < at:
            with self._transactions.write() as connection:
                connection.execute(update(sessions).where(sessions.c.digest == digest).values(seen_at=at))
        return Session(_user(row), row.csrf, expires_at)

    def end_session(self, token: str, at: datetime) -> None:
        """End a session; one that is over already stays so."""
        with self._transactions.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(token)))

    # -- keys -------------------------------------------------------------------------------------------------------

    def add_key(
        self, name: str, roles: Sequence[str], by: Actor, at: datetime, expires_at: datetime | None = None
    ) -> tuple[str, ApiKey]:
        """Make a key for a program; return its secret, which is shown once and kept nowhere, and the key.

        Raises:
            BadRequest: when a key of this name is in use, or there is no such role.
        """
        _check_name(name, "key")
        held = _checked(roles)
        if expires_at is not None and expires_at <= at:
            raise BadRequest(f"the key would have expired already ({expires_at:%Y-%m-%d %H:%M})", "name a later time")
        secret = _PREFIX + secrets.token_urlsafe(32)
        with self._transactions.write() as connection:
            key_id = take(connection, "key_id")
            in_use = select(api_keys.c.key_id).where(api_keys.c.name == name, api_keys.c.revoked_at.is_(None))
            if connection.execute(in_use).first() is not None:
                raise BadRequest(f"there is a key `{name}` already", "revoke it first, or choose another name")
            row = {"key_id": key_id, "name": name, "prefix": secret[:8], "digest": _digest(secret)}
            row |= {"roles": list(held), "created_at": at, "created_by": str(by), "expires_at": expires_at}
            connection.execute(insert(api_keys).values(**row))
            note(connection, at, by, "key.add", f"key:{name}", {"roles": list(held)})
            return secret, _key(connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).one())

    def key(self, secret: str, at: datetime) -> ApiKey | None:
        """Return the key of a secret, or nothing when there is none or it is over."""
        if not secret.startswith(_PREFIX):
            return None
        with self._transactions.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.digest == _digest(secret))).one_or_none()
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= at):
            return None
        return _key(row)

    def all_keys(self) -> list[ApiKey]:
        """Return every key, also those that are over, the newest first."""
        with self._transactions.read() as connection:
            return [_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.key_id.desc()))]

    def revoke_key(self, key_id: int, by: Actor, at: datetime) -> ApiKey:
        """End a key at once; one that is revoked already stays so.

        Raises:
            UnknownName: when there is none of this number.
        """
        mine = api_keys.c.key_id == key_id
        with self._transactions.write() as connection:
            row = connection.execute(select(api_keys).where(mine)).one_or_none()
            if row is None:
                raise UnknownName(f"there is no key {key_id}", "`tierwise keys list` shows them")
            if row.revoked_at is None:
                connection.execute(update(api_keys).where(mine).values(revoked_at=at))
                note(connection, at, by, "key.revoke", f"key:{row.name}")
            return _key(connection.execute(select(api_keys).where(mine)).one())


def _check_name(name: str, what: str) -> None:
    if not name.strip() or name != name.strip() or len(name) > 80 or ":" in name or not name.isprintable():
        raise BadRequest(f"{name!r} is no name for a {what}", "at most 80 letters, digits and signs, without a colon")


def _checked(roles: Sequence[str]) -> tuple[str, ...]:
    for role in roles:
        if role not in ROLES:
            raise BadRequest(f"there is no role `{role}`", near_name(role, ROLES))
    if not roles:
        raise BadRequest("at least one role is needed", ", ".join(ROLES))
    return tuple(role for role in ROLES if role in roles)


def _refuse_without_owner(connection: Connection) -> None:
    rows = connection.execute(select(users.c.roles).where(users.c.disabled_at.is_(None)))
    if not any("owner" in row.roles for row in rows):
        raise BadRequest("nobody would be left who owns this project", "give somebody else the role `owner` first")


def _row_of(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
    if row is None:
        raise UnknownName(f"there is no user `{name}`", "`tierwise users list` shows them")
    return row


def _digest(secret: str) -> bytes:
    """Hash a secret; drawn from 2^256, it needs no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def _user(row: Row[Any]) -> User:
    found = {name: getattr(row, name) for name in User.__dataclass_fields__}
    return User(**{**found, "roles": tuple(row.roles)})


def _key(row: Row[Any]) -> ApiKey:
    found = {name: getattr(row, name) for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**found, "roles": tuple(row.roles), "created_by": Actor.parse(row.created_by)})
