"""What is declared: the files, their problems, and what an edit would do."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import Field

from tierwise.definitions.plain import plain
from tierwise.errors import Outdated
from tierwise.server.access import Caller, who_may
from tierwise.server.files import DefinitionFiles, FileText, SavedFile
from tierwise.server.routers.answering import Body

__all__ = ["Edit", "definitions", "diff", "plan", "read_file", "remove_file", "router", "save_file"]

router = APIRouter(prefix="/v1", tags=["definitions"])
_READ, _WRITE = who_may("definitions.read"), who_may("definitions.write")


@router.get("/definitions")
def definitions(request: Request, caller: Caller = _READ) -> dict[str, Any]:
    """List the files with their versions, and everything that is wrong with what they declare."""
    files: DefinitionFiles = request.app.state.files
    listed = [{"path": one.path, "version": one.version, "bytes": len(one.text.encode())} for one in files.all()]
    problems = [problem.as_json() for problem in caller.project.check()]
    broken = any(problem["severity"] == "error" for problem in problems)
    digest = None if broken else caller.project.definitions.digest
    return {"digest": digest, "files": listed, "problems": problems}


@router.get("/definitions/files/{path:path}")
def read_file(path: str, request: Request, response: Response, caller: Caller = _READ) -> dict[str, Any]:
    """Return one file; its `ETag` is what a change of it must send as `If-Match`."""
    files: DefinitionFiles = request.app.state.files
    found = files.read(path)
    response.headers["ETag"] = _etag(found.version)
    return _text(found)


class Edit(Body):
    """What a file is to say."""

    text: str = Field(max_length=1 << 20)


@router.put("/definitions/files/{path:path}")
def save_file(
    path: str,
    edit: Edit,
    request: Request,
    response: Response,
    if_match: str | None = Header(None),
    if_none_match: str | None = Header(None),
    dry_run: bool = False,
    caller: Caller = _WRITE,
) -> dict[str, Any]:
    """Save a file once the whole project was found right with it; `dry_run` only looks.

    `If-Match` names the version that was edited; a new file says `If-None-Match: *`.
    """
    files: DefinitionFiles = request.app.state.files
    saved = files.save(path, edit.text, _version(if_match, if_none_match), dry_run=dry_run)
    if not dry_run:
        _note(request, caller, "definitions.save", saved)
        response.headers["ETag"] = _etag(saved.after)
    return _saved(saved)


@router.delete("/definitions/files/{path:path}")
def remove_file(
    path: str,
    request: Request,
    if_match: str | None = Header(None),
    dry_run: bool = False,
    caller: Caller = _WRITE,
) -> dict[str, Any]:
    """Remove a file once the whole project was found right without it."""
    files: DefinitionFiles = request.app.state.files
    saved = files.save(path, None, _version(if_match, None), dry_run=dry_run)
    if not dry_run:
        _note(request, caller, "definitions.remove", saved)
    return _saved(saved)


@router.get("/plan")
def plan(top: int = 20, caller: Caller = who_may("customers.read")) -> dict[str, Any]:
    """Say what a run would do, and who would move by what was edited since the newest recorded run."""
    found: dict[str, Any] = plain(caller.project.plan(max(0, min(top, 1000))))
    return found


@router.get("/diff")
def diff(caller: Caller = _READ) -> dict[str, Any]:
    """Say what is declared otherwise than at the newest recorded run, in text and in sentences."""
    return {"items": plain(caller.project.diff())}


def _version(if_match: str | None, if_none_match: str | None) -> str:
    if if_match is None and if_none_match == "*":
        return "none"
    if if_match is None:
        raise Outdated("which version was edited is not said", "send its `ETag` as `If-Match`, or `If-None-Match: *`")
    return if_match.removeprefix("W/").strip('"')


def _etag(version: str) -> str:
    return f'"{version}"'


def _note(request: Request, caller: Caller, action: str, saved: SavedFile) -> None:
    details = {"before": saved.before, "after": saved.after, "definitions": saved.digest}
    at = request.app.state.clock()
    caller.project.store.audit.record(at, caller.actor, action, f"definitions:{saved.path}", details)


def _text(found: FileText) -> dict[str, Any]:
    return {"path": found.path, "text": found.text, "version": found.version}


def _saved(saved: SavedFile) -> dict[str, Any]:
    warnings = [problem.as_json() for problem in saved.warnings]
    return {"path": saved.path, "version": saved.after, "digest": saved.digest, "problems": warnings}
