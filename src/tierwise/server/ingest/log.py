"""The log of received events: one thread writes, and flushes the disk once for all who wait."""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tierwise.errors import Overloaded, ProjectBusy, TierwiseError
from tierwise.lake.entries import sync
from tierwise.server.ingest.frames import frame, sound_end
from tierwise.store import Segment, Store

__all__ = ["EventLog"]

_LOG = logging.getLogger("tierwise.server")
#: A segment that has become so large is followed by another one.
_SEGMENT_BYTES: Final = 64 << 20
#: So much may wait to be absorbed; whoever sends more is asked to come again.
_BACKLOG_BYTES: Final = 256 << 20
#: So many requests are flushed together at most.
_TOGETHER: Final = 1_000
_NONCE_BYTES: Final = 12


@dataclass
class _Writing:
    """The segment that is being written."""

    segment: Segment
    cipher: AESGCM
    handle: int
    durable: int = 0


class EventLog:
    """The log in a folder; one process at a time writes it. Safe for threads.

    Every start begins a new segment, so what a crash has torn is never written after.

    Args:
        folder: where its files are.
        store: keeps the segments' keys and how far each is absorbed.
        clock: gives the current instant with its zone.
        flush: brings a file to the disk.

    Raises:
        ProjectBusy: when another process writes the log.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        clock: Callable[[], datetime],
        flush: Callable[[int], None] = os.fdatasync,
        most_bytes: int = _BACKLOG_BYTES,
    ) -> None:
        self._folder, self._store, self._clock, self._flush = folder, store, clock, flush
        self._most = most_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock_file)
            raise ProjectBusy("another server takes the events of this project", "stop it first") from None
        self._queue: queue.SimpleQueue[tuple[bytes, Future[None]] | None] = queue.SimpleQueue()
        self._state = threading.Lock()
        self._writing: _Writing | None = None
        self._ends: dict[int, int] = {}
        self._broken = ""
        self._closed = False
        self._backlog = sum(max(0, self.end(one) - one.absorbed_to) for one in store.segments.all())
        self._thread = threading.Thread(target=self._work, name="event log", daemon=True)
        self._thread.start()

    # -- writing ----------------------------------------------------------------------------------------------------

    def append(self, payload: bytes) -> Future[None]:
        """Write a record; the answer comes when it is on the disk, or says why it never will be.

        Raises:
            Overloaded: when too much waits already, or the disk has failed.
        """
        with self._state:
            if self._broken or self._closed:
                raise Overloaded(
                    f"no events are taken: {self._broken or 'the server is stopping'}",
                    "send them again later; nothing of this request has been taken",
                )
            if self._backlog + len(payload) > self._most:
                raise Overloaded(
                    f"{self._backlog >> 20} MB of events wait to be absorbed", "send these again in some seconds"
                )
            self._backlog += len(payload)
            waiting: Future[None] = Future()
            self._queue.put((payload, waiting))
        return waiting

    def close(self) -> None:
        """Write what waits, then stop; another process may write the log afterwards."""
        with self._state:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self.rotate()
        os.close(self._lock_file)

    def rotate(self) -> None:
        """End the segment that is being written; the next record begins another one."""
        with self._state:
            writing, self._writing = self._writing, None
        if writing is not None:
            os.close(writing.handle)

    def _work(self) -> None:
        ending = False
        while not ending:
            taken = [self._queue.get()]
            while len(taken) < _TOGETHER and not self._queue.empty():
                taken.append(self._queue.get())
            ending = None in taken
            group = [one for one in taken if one is not None]
            if group:
                self._write(group)

    def _write(self, group: list[tuple[bytes, Future[None]]]) -> None:
        """Write records together; nobody is told of success before all of them are on the disk."""
        try:
            with self._state:  # so that a segment is not ended while it is written
                if self._broken:
                    raise Overloaded(f"no events are taken: {self._broken}", "send them again later")
                writing = self._segment()
                offset, parts = writing.durable, []
                for payload, _ in group:
                    nonce = os.urandom(_NONCE_BYTES)
                    parts.append(frame(writing.cipher, writing.segment.segment_id, offset, nonce, payload))
                    offset += len(parts[-1])
                try:
                    _write_all(writing.handle, b"".join(parts))
                    self._flush(writing.handle)
                except OSError as error:
                    # After a failed flush nobody knows what is on the disk, and a second one may lie: the segment is
                    # given up, with what was acknowledged of it, which is sound.
                    self._broken = f"the log cannot be written ({error.strerror})"
                    _LOG.error("event log: %s", self._broken)
                    raise Overloaded(f"no events are taken: {self._broken}", "send them again later") from None
                self._backlog += offset - writing.durable - sum(len(payload) for payload, _ in group)
                writing.durable = offset
        except TierwiseError as error:
            with self._state:
                self._backlog -= sum(len(payload) for payload, _ in group)
            for _, waiting in group:
                waiting.set_exception(error)
            return
        for _, waiting in group:
            waiting.set_result(None)

    def _segment(self) -> _Writing:
        """Return the segment to write in, which is begun when there is none or it is large."""
        if self._writing is not None and self._writing.durable >= _SEGMENT_BYTES:
            os.close(self._writing.handle)
            self._writing = None
        if self._writing is None:
            segment, key = self._store.segments.begin(self._clock())
            try:
                handle = os.open(self.path(segment.segment_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                sync(self._folder)
            except OSError as error:
                raise Overloaded(f"no events are taken: {error.strerror}", "make room on the disk") from None
            self._writing = _Writing(segment, AESGCM(key), handle)
        return self._writing

    # -- reading ----------------------------------------------------------------------------------------------------

    def path(self, segment_id: int) -> Path:
        """Return the file of a segment."""
        return self._folder / f"{segment_id:012d}.log"

    def is_open(self, segment_id: int) -> bool:
        """Whether a segment is being written."""
        with self._state:
            return self._writing is not None and self._writing.segment.segment_id == segment_id

    def end(self, segment: Segment) -> int:
        """Return up to where a segment is on the disk."""
        with self._state:
            writing = self._writing
            if writing is not None and writing.segment.segment_id == segment.segment_id:
                return writing.durable
        if segment.segment_id not in self._ends:  # nobody writes it any more
            path = self.path(segment.segment_id)
            self._ends[segment.segment_id] = sound_end(path.read_bytes()) if path.exists() else 0
        return self._ends[segment.segment_id]

    def absorbed(self, segment: Segment, offset: int) -> None:
        """Note that everything of a segment before an offset is in the lake."""
        self._store.segments.absorbed(segment.segment_id, offset)
        with self._state:
            self._backlog = max(0, self._backlog - (offset - segment.absorbed_to))

    def destroy(self, segment: Segment) -> None:
        """Destroy a segment: first its key, then its file."""
        self._store.segments.destroy(segment.segment_id)
        self.path(segment.segment_id).unlink(missing_ok=True)
        self._ends.pop(segment.segment_id, None)

    def state(self) -> dict[str, str | int]:
        """Return how it is: ``ok`` or what is wrong, and how many bytes wait to be absorbed."""
        with self._state:
            return {"state": self._broken or "ok", "backlog_bytes": self._backlog}


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
