"""Whether the server lives, and whether it can answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from tierwise.errors import TierwiseError
from tierwise.project import Project

__all__ = ["health", "ready", "router"]

router = APIRouter(tags=["operations"])


@router.get("/health")
def health() -> dict[str, str]:
    """Say that the process lives."""
    return {"state": "ok"}


@router.get("/ready")
def ready(request: Request, response: Response) -> dict[str, Any]:
    """Say whether store, definitions and engine can be asked; 503 when not all of them can."""
    project: Project = request.app.state.project
    parts: dict[str, str] = {}
    for name, look in (("store", project.store.revision), ("definitions", lambda: project.catalogue)):
        try:
            look()
            parts[name] = "ok"
        except TierwiseError as error:
            parts[name] = error.code
    parts["engine"] = "ok" if project.owner().get("answers") else "away"
    parts["events"] = str(request.app.state.ingest.state()["state"])
    ok = all(state == "ok" for state in parts.values())
    if not ok:
        response.status_code = 503
    return {"state": "ok" if ok else "not ready", "parts": parts}
