"""Connections to the store's database, and its two kinds of transaction: `read` and `write`.

SQLite comes from `pysqlite3`, not from the machine: versions before 3.51.3 can corrupt a database in WAL mode
(only 3.44.6 and 3.50.7 have the correction too), and the one of the machine is usually older.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url

from tierwise.errors import BadRequest, EngineRefused, ProjectBusy

__all__ = ["Transactions", "is_safe_sqlite"]

_SAFE_SQLITE = (3, 51, 3)
_CORRECTED_SQLITE = ((3, 44, 6), (3, 50, 7))
_RETRY_SECONDS = 0.02
# What SQLite and PostgreSQL say when a write finds no room; SQLite calls most failing writes an I/O error.
_NO_ROOM = ("disk is full", "disk I/O error", "No space left on device", "File too large", "Disk quota exceeded")
# Keys come in any order: with SQLite's 2 MB, numbering a million of them takes three times as long.
_CACHE_KIB = 128 * 1024


def is_safe_sqlite(version: tuple[int, int, int]) -> bool:
    """Say whether this version of SQLite is free of the bug that corrupts a database in WAL mode.

    Example:
        >>> [is_safe_sqlite(version) for version in [(3, 40, 1), (3, 44, 6), (3, 51, 1), (3, 53, 4)]]
        [False, True, False, True]
    """
    corrected = any(version[:2] == fix[:2] and version >= fix for fix in _CORRECTED_SQLITE)
    return corrected or version >= _SAFE_SQLITE


class Transactions:
    """One database of the store: opens connections and hands out transactions."""

    def __init__(self, where: str | os.PathLike[str], *, busy_timeout_seconds: float = 30.0) -> None:
        self.url = _url_of(where)
        self._busy_timeout_seconds = busy_timeout_seconds
        self._write_lock = threading.Lock()
        self._opened_file: tuple[int, int] | None = None
        self._engine = self._open_sqlite() if self.is_sqlite else self._open_server()
        self._writer = self._engine.execution_options(tierwise_writes=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of the store, or nothing when it is on a server."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads: it sees one state from its first statement to its end."""
        self._see_the_file()
        with self._plain_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; it commits at the end, or leaves nothing.

        On SQLite it holds the write lock from its first moment (`BEGIN IMMEDIATE`), so that it never fails
        half-way because another writer came first; the threads of one process queue before they ask for it.
        """
        self._see_the_file()
        with self._write_lock, self._plain_errors(), self._writer.begin() as connection:
            yield connection

    def shrink(self, tables: Sequence[str]) -> None:
        """Rewrite the database so that no byte of a deleted row remains, nor in SQLite's write-ahead log.

        On PostgreSQL only the tables named are rewritten, and its write-ahead log keeps what it has until it is
        recycled.
        """
        if not self.is_sqlite:
            with self._plain_errors(), self._engine.connect() as connection:
                alone = connection.execution_options(isolation_level="AUTOCOMMIT")
                preparer = connection.dialect.identifier_preparer
                for table in tables:
                    alone.exec_driver_sql(f"VACUUM FULL {preparer.quote(table)}")
            return
        with self._write_lock, self._plain_errors():
            raw = self._engine.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute("VACUUM")
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                cursor.close()
            finally:
                raw.close()
        if busy:
            raise ProjectBusy(
                "another process is reading the store, so its write-ahead log could not be emptied",
                hint="end it, then try again",
            )

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _open_server(self) -> Engine:
        try:
            return create_engine(self.url, json_serializer=_to_json, pool_pre_ping=True)
        except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise EngineRefused(
                f"the store's URL needs a driver that is not installed: {error}",
                hint="for PostgreSQL: pip install 'tierwise[postgres]', and write postgresql+psycopg://…",
            ) from None

    def _open_sqlite(self) -> Engine:
        from pysqlite3 import dbapi2

        version = dbapi2.sqlite_version_info
        if not is_safe_sqlite(version):
            raise EngineRefused(
                f"SQLite {dbapi2.sqlite_version} can corrupt a store and is not used",
                hint="install pysqlite3 0.6.1 or newer, which brings its own SQLite (3.51.3 or newer is safe)",
            )
        if self.path is None or str(self.path) == ":memory:":
            raise BadRequest("the store must be a file: it is the memory that cannot be computed again")
        # People will be in here: nobody else on the machine may read it. SQLite gives -wal and -shm the same mode.
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._opened_file = _identity(self.path)
        except OSError as error:
            raise EngineRefused(f"the store {self.path} cannot be opened: {error.strerror}") from None
        engine = create_engine(
            self.url,
            module=dbapi2,
            json_serializer=_to_json,
            # `autocommit` of the driver: it opens no transaction of its own, `_begin` below does.
            connect_args={"timeout": self._busy_timeout_seconds, "isolation_level": None, "check_same_thread": False},
        )
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def _see_the_file(self) -> None:
        """Refuse to go on when the file is not the one that was opened: SQLite would write into the removed one."""
        if self.path is None:
            return
        try:
            found = _identity(self.path)
        except OSError:
            found = None
        if found != self._opened_file:
            raise EngineRefused(
                f"the store {self.path} was {'removed' if found is None else 'replaced'} while it was open",
                hint="put it back or restore it from a backup, then open the project again",
            )

    def _prepare(self, connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        # What is deleted is overwritten: an erased person's data would otherwise stay in free pages.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._set_wal(connection)
        # A commit is on the disk when it returns, in WAL mode only with FULL.
        connection.execute("PRAGMA synchronous = FULL")

    def _set_wal(self, connection: Any) -> None:
        """Set WAL mode; two processes that create one store at once get `locked` in spite of the busy timeout."""
        from pysqlite3 import dbapi2

        deadline = time.monotonic() + self._busy_timeout_seconds
        while True:
            try:
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                break
            except dbapi2.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
        if mode != "wal":
            raise EngineRefused(
                f"the file system of {self.path} does not allow SQLite's write-ahead log (mode {mode!r})",
                hint="keep the store on a local disk, not on a network share",
            )

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Turn what the database says into what the reader can act on."""
        try:
            yield
        except exc.DBAPIError as error:
            text = str(error.orig)
            if "database is locked" in text or "lock timeout" in text:
                raise ProjectBusy(
                    f"another process has been writing the store for {self._busy_timeout_seconds:g} seconds",
                    hint="wait until it has finished, then try again",
                ) from error
            if "not a database" in text or "malformed" in text:
                raise EngineRefused(
                    f"{self.path} is not a readable store: {text}", hint="restore it from a backup; do not delete it"
                ) from error
            if any(words in text for words in _NO_ROOM):
                raise EngineRefused(
                    f"the store's disk has no room, or fails: {text.strip()}",
                    hint="nothing of this step was written; make room, then try again",
                ) from error
            if isinstance(error, exc.OperationalError | exc.InternalError):
                raise EngineRefused(
                    f"the store could not be used: {text.strip()}", hint="see to the database, then try again"
                ) from error
            raise


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tierwise_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _url_of(where: str | os.PathLike[str]) -> URL:
    text = os.fspath(where)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        return make_url(text)
    except exc.ArgumentError:
        # The text may hold a password, so it is not repeated.
        raise BadRequest("the store's URL cannot be understood", hint="write sqlite:///store.db or a path") from None


_to_json = partial(json.dumps, ensure_ascii=False, allow_nan=False, default=str)
