"""Takes what is in the event log into the lake, in order; what it had taken before a crash has no second effect."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tierwise.definitions.language.nodes import Column, Name, walk
from tierwise.definitions.language.parser import SyntaxProblem, parse
from tierwise.definitions.sources import Source
from tierwise.errors import TierwiseError, UnknownName
from tierwise.project import Project
from tierwise.server.ingest.frames import frames, open_frame
from tierwise.server.ingest.log import EventLog
from tierwise.store import Segment

__all__ = ["Absorber", "columns_read"]

_LOG = logging.getLogger("tierwise.server")
#: So many rows are absorbed together at most: a refresh for many costs little more than one for few.
_TOGETHER: Final = 20_000
#: A segment is ended after this time, so that nothing lies longer in the log than it must.
_OPEN_FOR: Final = timedelta(minutes=5)
_LOOK_SECONDS: Final = 0.2
_AFTER_TROUBLE_SECONDS: Final = 5.0


class Absorber:
    """Absorbs an event log into a project, in a thread of its own.

    Args:
        project: the project.
        log: the log.
        clock: gives the current instant with its zone.
    """

    def __init__(self, project: Project, log: EventLog, clock: Callable[[], datetime]) -> None:
        self._project, self._log, self._clock = project, log, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="absorber", daemon=True)
        self.trouble = ""

    def start(self) -> None:
        """Begin to absorb."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after what is being absorbed; the rest is absorbed after the next start."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def step(self) -> int:
        """Absorb some of what waits; return how many rows it was.

        Raises:
            TierwiseError: when it cannot be absorbed; it stays in the log, and the next step tries again.
        """
        for segment in self._project.store.segments.all():
            was_open = self._log.is_open(segment.segment_id)
            if segment.absorbed_to < self._log.end(segment):
                return self._absorb(segment)
            if not was_open:
                self._log.destroy(segment)
            elif segment.begun_at + _OPEN_FOR <= self._clock() and segment.absorbed_to:
                self._log.rotate()
        return 0

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                found = self.step()
                self.trouble = ""
            except Exception as error:
                # Whatever is wrong here must not end the thread: what waits in the log is somebody's.
                told = error.code if isinstance(error, TierwiseError) else type(error).__name__
                if told != self.trouble:
                    _LOG.error("events wait to be absorbed: %s", told)
                self.trouble = told
                self._stopping.wait(_AFTER_TROUBLE_SECONDS)
                continue
            if not found:
                self._stopping.wait(_LOOK_SECONDS)

    def _absorb(self, segment: Segment) -> int:
        """Absorb records from where a segment was absorbed to, each source's rows together."""
        key = self._project.store.segments.key(segment.segment_id)
        if key is None:
            return 0
        cipher, data = AESGCM(key), self._log.path(segment.segment_id).read_bytes()[: self._log.end(segment)]
        found: dict[str, list[dict[str, str]]] = {}
        count, until = 0, len(data)
        for offset, end, body in frames(data, segment.absorbed_to):
            said = open_frame(cipher, segment.segment_id, offset, body)
            if said is None:
                _LOG.error("a record of segment %s is not what was written", segment.segment_id)
                continue
            record: dict[str, Any] = msgspec.json.decode(said)
            found.setdefault(record["source"], []).extend(record["rows"])
            count += len(record["rows"])
            if count >= _TOGETHER:
                until = end
                break
        # Declared otherwise, the same records are other rows; those that are in the lake are found by their keys.
        declared = self._project.definitions.digest[:12]
        position = f"events/{segment.segment_id}:{segment.absorbed_to}-{until}/{declared}"
        for number, (source, rows) in enumerate(found.items(), 1):
            self._take(source, rows, position, compute=number == len(found))
        self._log.absorbed(segment, until)
        return count

    def _take(self, source: str, rows: list[dict[str, str]], position: str, compute: bool) -> None:
        form = self._project.definitions.sources.get(source)
        if form is None:
            raise UnknownName(f"events wait for the source `{source}`, which is no longer declared", "declare it again")
        names = dict.fromkeys((*columns_read(form), *(name for row in rows for name in row)))
        table = pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})
        self._project.absorb(source, table, position, compute=compute)


def columns_read(source: Source) -> tuple[str, ...]:
    """Return the columns that a source reads: events need not say all of them, and those they leave out are empty.

    Example:
        >>> from tierwise.definitions.sources import Source
        >>> columns_read(Source.model_validate({
        ...     "live": True, "customer": "member", "row_key": "id",
        ...     "streams": {"orders": {"time": "at", "columns": {"amount": "price * pieces"}}},
        ... }))
        ('id', 'member', 'at', 'price', 'pieces')
    """
    texts = [*source.row_key, *source.types, *source.formats, *source.exclude.values()]
    texts += [] if source.customer is None else [source.customer.value]
    texts += [] if source.currency is None else [source.currency.column]
    for mapping in source.streams.values():
        forms = (mapping.time, mapping.customer, *mapping.columns.values())
        texts += [form.value for form in forms if form is not None]
        texts += [*mapping.row_key, *([] if mapping.where is None else [mapping.where])]
    found: dict[str, None] = {}
    for text in texts:
        try:
            nodes = [node for _, node in walk(parse(text))]
        except SyntaxProblem:  # the name of a column that is no identifier
            found[text] = None
        else:
            found.update(dict.fromkeys(node.name for node in nodes if isinstance(node, Name | Column)))
    return tuple(found)
