"""The queue of one process's writers: many small deeds share a transaction, and so its wait for the disk."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection, exc

from tierwise.errors import EngineRefused, TierwiseError
from tierwise.store.transactions import Transactions

__all__ = ["WriterQueue"]

_Asked = TypeVar("_Asked")
_Done = TypeVar("_Done")
#: So many deeds share a transaction at most: those who wait for it wait for all of them.
_AT_ONCE: Final = 256
_ATTEMPTS: Final = 5
_END: Final = None


class WriterQueue(Generic[_Asked, _Done]):
    """Deeds of any number of threads, done in the order they come, a transaction for as many as are waiting.

    While one transaction waits for the disk the next deeds gather, so that a hundred callers cost hardly more than one.

    Args:
        transactions: the store.
        perform: does deeds inside a transaction; gives for each what came of it, or the error that refused it.
    """

    def __init__(
        self,
        transactions: Transactions,
        perform: Callable[[Connection, Sequence[_Asked]], Sequence[_Done | TierwiseError]],
    ) -> None:
        self._transactions, self._perform = transactions, perform
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[_Asked, Future[_Done]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process = 0
        self._closed = False

    def submit(self, asked: _Asked) -> Future[_Done]:
        """Put a deed into the queue; the future has what came of it once that is on the disk, or why it was refused."""
        promise: Future[_Done] = Future()
        with self._lock:
            if self._closed:
                raise EngineRefused("the store was closed", "open it again")
            if self._thread is None or self._process != os.getpid():
                self._start()
            self._waiting.put((asked, promise))
        return promise

    def call(self, asked: _Asked) -> _Done:
        """Do a deed and wait until it is on the disk.

        Raises:
            TierwiseError: why it was refused.
        """
        return self.submit(asked).result()

    def do(self, asked: Sequence[_Asked]) -> list[_Done | TierwiseError]:
        """Do deeds in one transaction of their own, without the queue.

        Raises:
            TierwiseError: when the transaction failed; then none of them was done.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self._transactions.write() as connection:
                    return list(self._perform(connection, asked))
            except (exc.IntegrityError, EngineRefused) as error:
                # On a server another process can take the same key, or the same locks in another order, at the same
                # moment; nothing of this transaction was written, and the next attempt sees what the other one did.
                if attempt == _ATTEMPTS - 1 or not _collided(error):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Do what is waiting, then end."""
        with self._lock:
            self._closed = True
            thread = self._thread if self._process == os.getpid() else None
            if thread is not None:
                self._waiting.put(_END)
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        """Start the thread; a process that was forked has a queue of its own."""
        self._waiting = queue.SimpleQueue()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._work, args=(self._waiting,), name="tierwise-writer", daemon=True)
        self._thread.start()

    def _work(self, waiting: queue.SimpleQueue[tuple[_Asked, Future[_Done]] | None]) -> None:
        ended = False
        while not ended:
            taken = [waiting.get()]
            while len(taken) < _AT_ONCE:
                try:
                    taken.append(waiting.get_nowait())
                except queue.Empty:
                    break
            ended = _END in taken
            work = [one for one in taken if one is not None and one[1].set_running_or_notify_cancel()]
            if work:
                self._answer(work)

    def _answer(self, work: Sequence[tuple[_Asked, Future[_Done]]]) -> None:
        try:
            done = self.do([asked for asked, _ in work])
        except BaseException as error:
            for _, promise in work:
                promise.set_exception(error)
            return
        for (_, promise), fate in zip(work, done, strict=True):
            if isinstance(fate, TierwiseError):
                promise.set_exception(fate)
            else:
                promise.set_result(fate)


def _collided(error: Exception) -> bool:
    return isinstance(error, exc.IntegrityError) or "deadlock detected" in str(error)
