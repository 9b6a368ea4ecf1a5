"""Live ingest for the routes: judges events, writes them to the log, and has them absorbed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime
from typing import Any

import msgspec

from tierwise.errors import BadRequest, TierwiseError, UnknownName, near_name
from tierwise.project import Project
from tierwise.server.ingest.absorber import Absorber
from tierwise.server.ingest.events import Judged, judge
from tierwise.server.ingest.log import EventLog

__all__ = ["Ingest"]


class Ingest:
    """Takes events for the live sources of a project.

    The log is opened when the first event comes, or at the start when something is left in it.

    Args:
        project: the project.
        clock: gives the current instant with its zone.
    """

    def __init__(self, project: Project, clock: Callable[[], datetime]) -> None:
        self._project, self._clock = project, clock
        self._lock = threading.Lock()
        self._log: EventLog | None = None
        self._absorber: Absorber | None = None

    def start(self) -> None:
        """Go on with what is left in the log, if there is anything."""
        try:
            if self._project.store.segments.all():
                self._opened()
        except TierwiseError:
            return  # whoever sends events is told, and the server answers everything else

    def close(self) -> None:
        """Write what waits to be written, and stop absorbing."""
        if self._absorber is not None:
            self._absorber.stop()
        if self._log is not None:
            self._log.close()

    def state(self) -> dict[str, str | int]:
        """Return how it is: ``ok`` or what is wrong, and how many bytes wait to be absorbed."""
        if self._log is None or self._absorber is None:
            return {"state": "ok", "backlog_bytes": 0}
        found = self._log.state()
        return {**found, "state": self._absorber.trouble} if self._absorber.trouble else found

    async def take(self, source: str, events: object, where: str = "events") -> dict[str, Any]:
        """Take events of a source; return what became of each once those taken are on the disk.

        Raises:
            UnknownName: when there is no such live source.
            BadRequest: when they are no events, or nothing tells the source's events from each other.
            Overloaded: when none can be taken now.
        """
        judged, waiting = await asyncio.to_thread(self._begun, source, events, where)
        if waiting is not None:
            await asyncio.wrap_future(waiting)
        refused = [{"index": one.index, "path": one.path, "message": one.message} for one in judged.refused]
        return {"accepted": len(judged.rows), "refused": len(refused), "refusals": refused}

    def _begun(self, source: str, events: object, where: str) -> tuple[Judged, Future[None] | None]:
        judged = judge(events, self._row_key(source), where)
        if not judged.rows:
            return judged, None
        return judged, self._opened().append(msgspec.json.encode({"source": source, "rows": judged.rows}))

    def source_of(self, key: str) -> str:
        """Return the live source that a key's events belong to: the one of its name, else the only one.

        Raises:
            BadRequest: when it is not clear which.
        """
        live = self._live()
        if key in live:
            return key
        if len(live) != 1:
            raise BadRequest(
                f"no live source is called `{key}` as the key is, and there are {len(live)}",
                "name the key like the source that its events belong to",
            )
        return next(iter(live))

    def _live(self) -> Mapping[str, Any]:
        return {name: one for name, one in self._project.definitions.sources.items() if one.live}

    def _row_key(self, source: str) -> tuple[str, ...]:
        live = self._live()
        if source not in live:
            raise UnknownName(f"there is no live source `{source}`", near_name(source, live))
        own = [
            mapping.row_key or live[source].row_key for mapping in live[source].streams.values() if not mapping.from_
        ]
        if not all(own):
            raise BadRequest(
                f"nothing tells the events of `{source}` from each other", "say `row_key:` in the source: what is sent "
                "again has its effect once by it",
            )  # fmt: skip
        return tuple(dict.fromkeys(name for names in own for name in names))

    def _opened(self) -> EventLog:
        with self._lock:
            if self._log is None:
                folder = self._project.folder / "store" / "events"
                self._log = EventLog(folder, self._project.store, self._clock)
                self._absorber = Absorber(self._project, self._log, self._clock)
                self._absorber.start()
            return self._log
