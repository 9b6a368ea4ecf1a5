"""Imports: a file is uploaded, looked at, rehearsed, and committed as a job."""

from __future__ import annotations

import fnmatch
import glob
import io
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import Field
from ruamel.yaml import YAML
from starlette.concurrency import run_in_threadpool

from tierwise.definitions.plain import plain
from tierwise.errors import BadRequest, TierwiseError, UnknownName, near_name
from tierwise.server.access import Caller, who_may
from tierwise.server.files import NO_FILE, DefinitionFiles
from tierwise.server.routers.answering import Body
from tierwise.server.uploads import DATA, Received, UploadedFiles
from tierwise.store import Upload

__all__ = ["Commit", "Rehearsal", "commit", "discard", "import_", "imports", "rehearse", "router", "upload"]

router = APIRouter(prefix="/v1/imports", tags=["imports"])
_WRITE = who_may("imports.write")
#: What nobody has committed by then is thrown away: it may be full of personal data.
_KEPT_FOR: Final = timedelta(hours=24)
_BYTES: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_NAME = Field(max_length=64, pattern=r"^[^\W\d]\w*$", examples=["orders"], description="the source's name")
_DECLARATION = Field(
    None,
    description="a new source as `sources/*.yaml` would declare it; without it, the source is declared already",
    examples=[{"customer": "member_no", "streams": {"orders": {"time": "paid_at", "columns": {"amount": "paid"}}}}],
)


class Rehearsal(Body):
    """Which source would read the file."""

    source: str = _NAME
    declaration: dict[str, Any] | None = _DECLARATION
    most: int = Field(100, ge=0, le=1000, description="so many refused rows are shown")


class Commit(Body):
    """Which source reads the file from now on."""

    source: str = _NAME
    declaration: dict[str, Any] | None = _DECLARATION
    replace: bool = Field(False, description="take the place of a file of this name")


@router.post("", status_code=201, openapi_extra=_BYTES)
async def upload(
    request: Request,
    name: str = Query(
        max_length=120, description="the file's name; its ending says what it is", examples=["orders.csv"]
    ),
    caller: Caller = _WRITE,
) -> dict[str, Any]:
    """Upload a file; the answer says how it is written, its columns with examples, and a source that would read it.

    The body is the file itself, at most 1 GB. What nobody commits within a day is thrown away.
    """
    files: UploadedFiles = request.app.state.uploads
    received = await files.receive(name, request.stream())
    return await run_in_threadpool(_begun, caller, files, received, request.app.state.clock())


@router.get("")
def imports(limit: int = Query(20, ge=1, le=1000), caller: Caller = _WRITE) -> dict[str, Any]:
    """List the newest uploads, the newest first."""
    return {"items": [_upload(found) for found in caller.project.store.uploads.list(limit)]}


@router.get("/{upload_id}")
def import_(upload_id: int, caller: Caller = _WRITE) -> dict[str, Any]:
    """Return one upload; once its job has imported it, with what became of its rows."""
    found = caller.project.store.uploads.get(upload_id)
    report = None
    for entry in caller.project.lake.entries("rows") if found.state == "committed" else ():
        about = entry.about
        if (about["source"], about["file"], about["fingerprint"]) == (found.source, found.file, found.fingerprint):
            report = about["report"]
    return {**_upload(found), "report": report}


@router.post("/{upload_id}/rehearse")
def rehearse(upload_id: int, asked: Rehearsal, request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Say what an import would do now: counts, reasons, the first rows that would be refused; nothing is taken in."""
    files: UploadedFiles = request.app.state.uploads
    found = caller.project.store.uploads.get(upload_id)
    declared = _declared(asked.declaration, found)
    report = caller.project.importing.rehearse(str(files.path(found)), asked.source, declared, asked.most, found.name)
    caller.project.store.audit.record(request.app.state.clock(), caller.actor, "upload.rehearse", f"upload:{upload_id}")
    answer: dict[str, Any] = plain(report)
    return answer


@router.post("/{upload_id}/commit", status_code=202)
def commit(upload_id: int, asked: Commit, request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Put the file into the project, declare its source if it is new, and ask for the run that imports it."""
    files: UploadedFiles = request.app.state.uploads
    definitions: DefinitionFiles = request.app.state.files
    store, now = caller.project.store, request.app.state.clock()
    found = store.uploads.get(upload_id)
    if found.state != "uploaded":
        raise BadRequest(f"upload {upload_id} was {found.state} before", "send the file again")
    declared = _declared(asked.declaration, found)
    target = _target(caller, asked.source, found.name) if declared is None else f"{DATA}/{found.name}"
    caller.project.importing.fit(str(files.path(found, target)), asked.source, declared)
    if declared is None:
        files.move(found, target, replace=asked.replace)
    else:
        path, text = f"sources/{asked.source}.yaml", _yaml(declared)
        known = any(one.path == path and one.text == text for one in definitions.all())
        if not known:  # the whole project is checked with it before the file goes anywhere
            definitions.save(path, text, NO_FILE, dry_run=True)
        files.move(found, target, replace=asked.replace)
        if not known:
            saved = definitions.save(path, text, NO_FILE)
            said = {"before": saved.before, "after": saved.after, "definitions": saved.digest}
            store.audit.record(now, caller.actor, "definitions.save", f"definitions:{path}", said)
    job = caller.project.jobs.add("run", key=f"upload:{upload_id}")
    return _upload(store.uploads.commit(upload_id, asked.source, target, job.job_id, caller.actor, now))


@router.delete("/{upload_id}")
def discard(upload_id: int, request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Throw an uploaded file away."""
    files: UploadedFiles = request.app.state.uploads
    found = caller.project.store.uploads.discard(upload_id, caller.actor, request.app.state.clock())
    files.discard(upload_id)
    return _upload(found)


def _begun(caller: Caller, files: UploadedFiles, received: Received, now: datetime) -> dict[str, Any]:
    store = caller.project.store
    for old in store.uploads.waiting(now - _KEPT_FOR):
        store.uploads.discard(old.upload_id, caller.actor, now)
        files.discard(old.upload_id)
    try:
        found = store.uploads.begin(received.name, received.size_bytes, received.fingerprint, caller.actor, now)
        path = files.keep(received, found.upload_id)
    except BaseException:
        received.draft.unlink(missing_ok=True)
        raise
    try:
        look = caller.project.importing.look(str(path), f"{DATA}/{received.name}")
    except TierwiseError:
        store.uploads.discard(found.upload_id, caller.actor, now)
        files.discard(found.upload_id)
        raise
    answer: dict[str, Any] = plain({**_upload(found), "look": look})
    return answer


def _target(caller: Caller, source: str, name: str) -> str:
    """Return where a file goes that a declared source is to read.

    Raises:
        UnknownName: when there is no such source.
        BadRequest: when the source reads no file, or none of this name.
    """
    declared = caller.project.definitions.sources
    if source not in declared:
        raise UnknownName(f"there is no source `{source}`", near_name(source, declared) or "send its `declaration`")
    pattern = declared[source].file
    if not pattern or "${" in pattern:
        raise BadRequest(f"`{source}` reads no file of the project", "declare another source for it")
    if not glob.has_magic(pattern):
        if PurePosixPath(pattern).suffixes[-1:] != PurePosixPath(name).suffixes[-1:]:
            raise BadRequest(f"`{source}` reads `{pattern}`, and `{name}` is another kind of file", "convert it first")
        return pattern
    target = str(PurePosixPath(pattern).parent / name)
    if glob.has_magic(str(PurePosixPath(pattern).parent)) or not fnmatch.fnmatch(target, pattern):
        raise BadRequest(f"`{source}` reads `{pattern}`, and `{name}` is none of these", "name the file so that it is")
    return target


def _declared(declaration: dict[str, Any] | None, upload: Upload) -> dict[str, Any] | None:
    """Return a new source as it is to be declared: it reads the file where that will be."""
    if declaration is None:
        return None
    return {"file": f"{DATA}/{upload.name}", **{key: value for key, value in declaration.items() if key != "file"}}


def _yaml(declared: dict[str, Any]) -> str:
    """Return a new source's file."""
    written = io.StringIO()
    YAML().dump(declared, written)
    return written.getvalue()


def _upload(found: Upload) -> dict[str, Any]:
    row: dict[str, Any] = plain({**asdict(found), "actor": str(found.actor)})
    return row
