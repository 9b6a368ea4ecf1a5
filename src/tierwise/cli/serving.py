"""The API: serve, and who may use it: users and keys."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tierwise.cli.context import CONTEXT, user
from tierwise.errors import BadRequest

if TYPE_CHECKING:
    from tierwise.store import Actor

__all__ = [
    "add_key", "add_user", "change_user", "list_keys", "list_users", "register", "revoke_key", "serve",
]  # fmt: skip

_LEAST_PASSWORD = 12
_users = typer.Typer(no_args_is_help=True, help="Who may use the console: add, change, list.")
_keys = typer.Typer(no_args_is_help=True, help="Keys for programs that use the API: add, list, revoke.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    _users.command("add")(add_user)
    _users.command("change")(change_user)
    _users.command("list")(list_users)
    _keys.command("add")(add_key)
    _keys.command("list")(list_keys)
    _keys.command("revoke")(revoke_key)
    app.add_typer(_users, name="users")
    app.add_typer(_keys, name="keys")


def serve(
    host: str = typer.Option("127.0.0.1", help="The address to listen on; only this machine by default."),
    port: int = typer.Option(8000, min=0, max=65535, help="The port to listen on; 0 takes a free one."),
    secure: bool = typer.Option(False, "--secure", help="Browsers reach it by HTTPS only (behind a proxy)."),
    no_worker: bool = typer.Option(False, "--no-worker", help="Work off no jobs here; another worker does."),
) -> None:
    """Serve the API until told to stop, with the engine's process and a worker beside it."""
    # Imported late: only this command needs a web server.
    from tierwise.server.serving import serve as begin

    context = CONTEXT.get()
    begin(Path(context.folder), _now, context.tell, host=host, port=port, secure=secure, works=not no_worker)


_ROLES = typer.Option(..., "--role", help="owner, admin, analyst, operator, staff, auditor, machine; may be repeated.")


def add_user(name: str = typer.Argument(..., help="The user's name."), role: list[str] = _ROLES) -> None:
    """Add a user; the password is asked for, or read from standard input."""
    from tierwise.server.routers.sessions import hash_password

    context = CONTEXT.get()
    password = hash_password(_password())
    with context.open() as project:
        found = project.store.accounts.add_user(name, role, password, _actor(), _now())
    _print({"name": found.name, "roles": list(found.roles)})


def change_user(
    name: str = typer.Argument(..., help="The user's name."),
    role: list[str] = typer.Option([], "--role", help="What the user may be from now on; may be repeated."),
    password: bool = typer.Option(False, "--password", help="Give a new password."),
    disable: bool = typer.Option(False, "--disable", help="Let the user in no more."),
    enable: bool = typer.Option(False, "--enable", help="Let the user in again."),
    no_second_factor: bool = typer.Option(False, "--no-second-factor", help="Take their authenticator away."),
) -> None:
    """Change what a user may do, their password, or whether they are let in; their sessions end."""
    from tierwise.server.routers.sessions import hash_password

    if disable and enable:
        raise BadRequest("a user is either let in or not", "say --disable or --enable")
    hashed = hash_password(_password()) if password else None
    with CONTEXT.get().open() as project:
        if no_second_factor:
            project.store.second_factors.remove(project.store.accounts.user(name), _actor(), _now())
        found = project.store.accounts.change_user(
            name, _actor(), _now(), roles=role or None, password_hash=hashed,
            disabled=True if disable else False if enable else None,
        )  # fmt: skip
    _print({"name": found.name, "roles": list(found.roles), "disabled": found.disabled_at is not None})


def list_users() -> None:
    """List the users."""
    with CONTEXT.get().open() as project:
        rows = [asdict(one) for one in project.store.accounts.all_users()]
    _list(rows, ["name", "roles", "created_at", "disabled_at", "locked_until"])


def add_key(
    name: str = typer.Argument(..., help="What the key is for."),
    role: list[str] = _ROLES,
    days: int = typer.Option(0, min=0, help="After how many days it ends; 0: never."),
) -> None:
    """Make a key; its secret is shown once."""
    now = _now()
    expires_at = now + timedelta(days=days) if days else None
    with CONTEXT.get().open() as project:
        secret, key = project.store.accounts.add_key(name, role, _actor(), now, expires_at)
    _print({"key_id": key.key_id, "name": key.name, "roles": list(key.roles), "secret": secret})


def list_keys() -> None:
    """List the keys, without their secrets."""
    with CONTEXT.get().open() as project:
        rows = [{**asdict(one), "created_by": str(one.created_by)} for one in project.store.accounts.all_keys()]
    _list(rows, ["key_id", "name", "prefix", "roles", "created_at", "created_by", "expires_at", "revoked_at"])


def revoke_key(key_id: int = typer.Argument(..., help="The key's number.")) -> None:
    """End a key at once."""
    with CONTEXT.get().open() as project:
        key = project.store.accounts.revoke_key(key_id, _actor(), _now())
    _print({"key_id": key.key_id, "name": key.name, "revoked_at": key.revoked_at})


def _password() -> str:
    """Read a password: twice from a keyboard, one line from anything else."""
    if not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\n")
    else:
        given = getpass.getpass("password: ")
        if getpass.getpass("again: ") != given:
            raise BadRequest("the two passwords differ", "try again")
    if len(given) < _LEAST_PASSWORD:
        raise BadRequest(f"a password has at least {_LEAST_PASSWORD} signs", "take some words that have no connection")
    return given


def _list(rows: list[dict[str, Any]], columns: list[str]) -> None:
    context = CONTEXT.get()
    shown = [{name: row[name] for name in columns} for row in rows]
    if context.json:
        context.print_json(shown)
        return
    context.rows([{**row, "roles": ", ".join(row["roles"])} for row in shown], columns, {})


def _print(row: dict[str, Any]) -> None:
    context = CONTEXT.get()
    if context.json:
        context.print_json(row)
        return
    for name, value in row.items():
        context.say(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


def _actor() -> Actor:
    from tierwise.store import Actor

    return Actor("cli", user())


def _now() -> datetime:
    return datetime.now(UTC)
