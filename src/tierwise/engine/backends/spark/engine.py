"""The engine's tables on Spark: runs SELECTs, keeps tables for the length of a session, swaps new ones in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.engine.backends.spark.dialect import for_spark
from tierwise.engine.backends.spark.files import read_files, url_of
from tierwise.engine.backends.spark.session import leave_session, open_session
from tierwise.engine.depth import deep
from tierwise.errors import EngineRefused

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["SparkEngine"]

_DIALECT: Final = "spark"
_UNSEEN: Final = "the cluster's machines must find the project's folder: name it as they see it, `engine: folder:`"


class SparkEngine:
    """One session on a Spark cluster, with the verbs of the engine's other backend.

    A table lives as long as the session: it is worked out once, kept by the executors and read from there. What must
    outlive the session is published to the lake.

    Args:
        master: the cluster's address (``spark://host:7077``, ``local[2]``).
        settings: further Spark settings, such as ``spark.executor.memory``.
        folders: {a folder here: what the cluster's machines call it}; others they call as this machine does.
    """

    #: A cluster divides the customers among its executors.
    at_once: int | None = None

    def __init__(
        self, master: str, settings: Mapping[str, str] | None = None, folders: Mapping[Path, str] | None = None
    ) -> None:
        self._session = open_session(master, settings or {})
        self._folders = dict(folders or {})
        self._macros: dict[str, exp.Expression] = {}
        self._frames: dict[str, DataFrame] = {}
        self._files: dict[tuple[str, ...], str] = {}
        self._temporary: set[str] = set()

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget every table and leave the session, which ends with the last one that uses it."""
        self.clear()
        leave_session()

    def clear(self) -> None:
        """Forget every table."""
        for name in list(self._frames):
            self._forget(name)
        for view in self._files.values():
            self._session.catalog.dropTempView(view)
        self._files.clear()

    @property
    def is_alive(self) -> bool:
        """Whether the session still answers: its Java process may have died."""
        try:
            return not self._session.sparkContext._jsc.sc().isStopped()
        except Exception:
            return False

    # -- statements -------------------------------------------------------------------------------------------------

    def sql_of(self, select: exp.Expression) -> str:
        """Return a SELECT as Spark is asked it."""
        with deep():
            tree = for_spark(select, self._macros)
            for table in list(tree.find_all(exp.Table)):
                if isinstance(table.this, exp.Anonymous) and str(table.this.this) == "read_parquet":
                    table.set("this", exp.to_identifier(self._view_of(table.this), quoted=True))
            return tree.sql(_DIALECT, identify=True)

    def _asked(self, select: exp.Expression) -> DataFrame:
        sql = self.sql_of(select)
        try:
            return self._session.sql(sql)
        except Exception as error:
            raise _refused(error, sql) from error

    def _view_of(self, call: exp.Anonymous) -> str:
        """Return the view of Parquet files, columns that some file lacks being missing there."""
        paths = tuple(str(one.this) for one in call.expressions[0].expressions)
        if paths not in self._files:
            name = f"files{len(self._files)}$"
            try:
                frame = read_files(self._session, paths, self._folders)
                frame.createOrReplaceTempView(f"`{name}`")
            except Exception as error:
                raise _refused(error, f"read {', '.join(paths)}") from error
            self._files[paths] = name
        return self._files[paths]

    def rows(self, select: exp.Expression) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT as tuples."""
        table = self.arrow(select)
        columns = [column.to_pylist() for column in table.columns]
        return list(zip(*columns, strict=True)) if columns else []

    def arrow(self, select: exp.Expression) -> pa.Table:
        """Return the rows of a SELECT as an Arrow table."""
        frame = self._asked(select)
        try:
            return _plain(frame.toArrow())
        except Exception as error:
            raise _refused(error, self.sql_of(select)) from error

    def create(self, name: str, select: exp.Expression, *, temporary: bool = False) -> int:
        """Keep a SELECT as a table; return how many rows it has.

        What is asked of it later begins at the table: nothing of how it was made is planned again, however many tables
        lie behind it. A temporary one is worked out when it is first read, together with what reads it, for a job on a
        cluster costs more than the work of a narrow pass; its rows are not counted.
        """
        frame = self._asked(select)
        try:
            kept = frame.localCheckpoint(eager=not temporary)
            self._keep(name, kept, temporary)
            return 0 if temporary else int(kept.count())
        except Exception as error:
            raise _refused(error, self.sql_of(select)) from error

    def view(self, name: str, select: exp.Expression) -> None:
        """Make a temporary view of a SELECT: nothing is kept."""
        self._keep(name, self._asked(select), True)

    def insert(self, name: str, select: exp.Expression) -> int:
        """Add the rows of a SELECT to a table; return how many there were."""
        more = self._asked(select)
        self._keep(name, self._frames[name].unionByName(more).persist(), name in self._temporary)
        try:
            return int(more.count())
        except Exception as error:
            raise _refused(error, self.sql_of(select)) from error

    def register(self, name: str, table: pa.Table) -> None:
        """Make a temporary table of Arrow rows."""
        self._keep(name, self._session.createDataFrame(table), True)

    def write_parquet(self, select: exp.Expression, folder: Path) -> Sequence[Path]:
        """Let the executors write the rows of a SELECT into a new folder; return the Parquet files there."""
        frame = self._asked(select)
        try:
            frame.write.parquet(url_of(folder, self._folders), compression="zstd")
        except Exception as error:
            raise _refused(error, self.sql_of(select)) from error
        found = sorted(folder.glob("*.parquet"))
        if not found:
            raise EngineRefused(f"what the cluster has written is not in {folder}", _UNSEEN)
        return found

    def define(self, name: str, body: exp.Expression) -> None:
        """Define a function of one argument ``w``; calls of it are written out."""
        self._macros[name] = body

    def drop(self, name: str) -> None:
        """Drop a table, if it is there."""
        self._forget(name)

    def swap(self, names: Mapping[str, str]) -> None:
        """Put new tables in the place of old ones: {final name: name of the new table}."""
        for final, new in names.items():
            frame = self._frames.pop(new)
            self._session.catalog.dropTempView(new)
            self._temporary.discard(new)
            self._keep(final, frame, False)

    def _keep(self, name: str, frame: DataFrame, temporary: bool) -> None:
        self._forget(name)
        frame.createOrReplaceTempView(f"`{name}`")
        self._frames[name] = frame
        if temporary:
            self._temporary.add(name)

    def _forget(self, name: str) -> None:
        if self._frames.pop(name, None) is not None:
            self._session.catalog.dropTempView(name)
        self._temporary.discard(name)

    # -- what is there ----------------------------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Return the names of the tables that stay."""
        return sorted(name for name in self._frames if name not in self._temporary)

    def columns(self, name: str) -> dict[str, str]:
        """Return a table's columns with their types."""
        frame = self._frames.get(name)
        return {} if frame is None else dict(frame.dtypes)


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with the types the other backend gives: instants without a zone."""
    fields = [
        pa.field(field.name, pa.timestamp("us") if pa.types.is_timestamp(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _refused(error: Exception, sql: str) -> EngineRefused:
    if isinstance(error, EngineRefused):
        return error
    lines = [line for line in str(error).splitlines() if line.strip()]
    message = lines[0] if lines else type(error).__name__
    unseen = "PATH_NOT_FOUND" in message or "FileNotFoundException" in message
    hint = f"the last good state is untouched; {_UNSEEN}" if unseen else "the last good state is untouched"
    return EngineRefused(f"Spark refused a statement: {message}", hint, statement=sql)
