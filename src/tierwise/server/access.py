"""Who asks, and what each role may do: everything is forbidden that is not allowed here."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from fastapi import Depends, Request

from tierwise.errors import Forbidden, Unauthenticated
from tierwise.project import Project
from tierwise.store import Actor

__all__ = [
    "CSRF_HEADER", "MAY", "SESSION_COOKIE", "Caller", "Right", "address_of", "rights_of", "rights_required", "who",
    "who_may",
]  # fmt: skip

Right = Literal[
    "definitions.read",  # what is declared, the language
    "definitions.write",
    "answers.read",  # counts, sizes, estimates: nobody in particular
    "customers.read",  # one customer with tags, tiers and why
    "sensitive.read",  # health and the like, and whatever derives from it
    "people.read",  # names, telephone numbers
    "people.erase",
    "people.rights",  # everything held on a person, for them; what they ask
    "identity.write",  # who is one person
    "points.read",
    "points.write",
    "facts.write",  # decisions by hand
    "jobs.read",
    "jobs.write",  # runs
    "quarantine.read",  # rows as they came
    "imports.write",  # files of rows
    "sql",
    "accounts.read",
    "accounts.write",
    "audit.read",
    "events.write",  # what happened, as it happens
]
_DEFINING: Final[frozenset[Right]] = frozenset({"definitions.read", "definitions.write", "answers.read", "jobs.read"})
_ALL: Final[frozenset[Right]] = frozenset(get_args(Right))
_OPERATING: Final[frozenset[Right]] = frozenset(
    {
        *("customers.read", "people.read", "people.rights", "facts.write", "jobs.write", "quarantine.read"),
        *("imports.write", "identity.write", "points.read", "points.write"),
    }
)
_CONNECTED: Final[frozenset[Right]] = frozenset(
    {
        *("definitions.read", "answers.read", "customers.read", "jobs.read", "jobs.write", "events.write"),
        *("points.read", "points.write"),
    }
)

#: What each role may do.
MAY: Final[Mapping[str, frozenset[Right]]] = MappingProxyType(
    {
        "owner": _ALL,
        "admin": _ALL,
        "analyst": _DEFINING | {"customers.read", "jobs.write", "points.read"},
        "operator": _DEFINING | _OPERATING,
        "staff": frozenset({"customers.read", "people.read", "points.read"}),
        "auditor": frozenset({"definitions.read", "jobs.read", "accounts.read", "audit.read"}),
        "machine": _CONNECTED,
        "browser": frozenset({"events.write"}),  # a key that everybody can read
    }
)

SESSION_COOKIE: Final = "tierwise_session"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
#: Who needs a second factor on a server that others reach.
_GUARDED: Final = frozenset({"owner", "admin"})
#: Who sends events is held back by what waits in the log, not by how often they ask.
_UNLIMITED: Final = ("events.write",)
#: The attribute by which a route's dependency says what it asks for.
_ASKS: Final = "tierwise_right"


def rights_of(roles: Iterable[str]) -> frozenset[Right]:
    """Return what somebody with these roles may do; an unknown role may do nothing.

    Example:
        >>> sorted(rights_of(["staff"]))
        ['customers.read', 'people.read', 'points.read']
    """
    none: frozenset[Right] = frozenset()
    return none.union(*(MAY.get(role, none) for role in roles))


@dataclass(frozen=True)
class Caller:
    """Who asks, with the project as they have it open."""

    actor: Actor
    whole: Project
    #: Why they may do nothing yet, although they are known.
    barred: str = ""

    @cached_property
    def rights(self) -> frozenset[Right]:
        """Return what they may do; nothing while they are barred."""
        return frozenset() if self.barred else rights_of(self.actor.roles)

    @cached_property
    def project(self) -> Project:
        """Return the project, with everything they do under their name."""
        return self.whole.acting_as(self.actor)

    def may(self, right: Right) -> bool:
        """Whether they may do something."""
        return right in self.rights

    def hidden(self) -> frozenset[str]:
        """Return the tags, tierings and segments they may not see, because something sensitive is in them."""
        if self.may("sensitive.read"):
            return frozenset()
        return frozenset(name for name, kinds in self.project.catalogue.sensitive.items() if kinds)


def who(request: Request) -> Caller:
    """Return who asks, by a key (``Authorization: Bearer …``) or by a session.

    A session changes something only with the token that other pages cannot read (``X-CSRF-Token``).

    Raises:
        Unauthenticated: when nobody knows who asks.
    """
    project: Project = request.app.state.project
    now = request.app.state.clock()
    accounts = project.store.accounts
    authorization = request.headers.get("authorization")
    if authorization is not None:
        key = accounts.key(_secret(authorization), now)
        if key is None:
            request.app.state.strangers.take(address_of(request), now)
            raise Unauthenticated("the key is unknown, expired or revoked", "send `Authorization: Bearer KEY`")
        return Caller(key.actor, project)
    session = accounts.session(request.cookies.get(SESSION_COOKIE, ""), now)
    if session is None:
        raise Unauthenticated("nobody is logged in", "log in, or send `Authorization: Bearer KEY`")
    if request.method not in _SAFE:
        given = request.headers.get(CSRF_HEADER, "")
        if not secrets.compare_digest(given.encode(), session.csrf.encode()):
            raise Forbidden("the request does not come from the console", f"send the session's `{CSRF_HEADER}`")
    barred = ""
    guarded = request.app.state.secure and not _GUARDED.isdisjoint(session.user.roles)
    if guarded and not project.store.second_factors.confirmed(session.user):
        barred = "an owner or admin needs a second factor here"
    return Caller(session.user.actor, project, barred)


def address_of(request: Request) -> str:
    """Return where a request comes from, as far as it can be told."""
    return request.client.host if request.client is not None else ""


def _secret(authorization: str) -> str:
    """Return the key's secret, sent as it is or, as event libraries do, as the user name of basic authentication."""
    scheme, _, said = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return said.strip()
    try:
        user = base64.b64decode(said, validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        return ""
    return user.partition(":")[0]


def who_may(right: Right) -> Any:
    """Return the dependency of a route that only those may use who have a right; it gives the `Caller`."""

    def allowed(request: Request, caller: Caller = Depends(who)) -> Caller:
        if caller.actor.kind == "key" and right not in _UNLIMITED:
            request.app.state.programs.take(caller.actor.id, request.app.state.clock())
        if caller.barred:
            raise Forbidden(caller.barred, "POST /v1/second-factor begins one", second_factor="missing")
        if not caller.may(right):
            raise Forbidden(f"this needs the right `{right}`", "ask an owner or admin for a role that has it")
        return caller

    allowed.__dict__[_ASKS] = right
    return Depends(allowed)


def rights_required(dependencies: Iterable[Callable[..., object] | None]) -> frozenset[str]:
    """Return the rights that the dependencies of a route ask for."""
    return frozenset(one.__dict__[_ASKS] for one in dependencies if one is not None and _ASKS in vars(one))
