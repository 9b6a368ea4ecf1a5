"""The engine's tables on Spark: runs SELECTs, keeps tables for the length of a session, swaps new ones in."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.engine.backends.spark.dialect import for_spark
from tierwise.engine.backends.spark.session import open_session
from tierwise.engine.depth import deep
from tierwise.errors import EngineRefused

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["SparkEngine"]

_DIALECT: Final = "spark"


class SparkEngine:
    """One session on a Spark cluster, with the verbs of the engine's other backend.

    A table lives as long as the session: it is worked out once, kept by the executors and read from there. What must
    outlive the session is published to the lake.

    Args:
        master: the cluster's address (``spark://host:7077``, ``local[2]``).
        settings: further Spark settings, such as ``spark.executor.memory``.
    """

    def __init__(self, master: str, settings: Mapping[str, str] | None = None) -> None:
        self._session = open_session(master, settings or {})
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
        """Forget every table; the cluster's session ends with the process or with `stop_session`."""
        for name in list(self._frames):
            self._forget(name)
        for view in self._files.values():
            self._session.catalog.dropTempView(view)
        self._files.clear()
        self._session.catalog.clearCache()

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
            frame = self._session.read.option("mergeSchema", "true").parquet(*paths)
            frame.createOrReplaceTempView(f"`{name}`")
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

        A temporary one is worked out when it is first read, together with what reads it: a job on a cluster costs
        more than the work of a narrow pass. Its rows are not counted.
        """
        frame = self._asked(select).persist()
        self._keep(name, frame, temporary)
        if temporary:
            return 0
        try:
            return int(frame.count())
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

    def define(self, name: str, body: exp.Expression) -> None:
        """Define a function of one argument ``w``; calls of it are written out."""
        self._macros[name] = body

    def drop(self, name: str) -> None:
        """Drop a table, if it is there."""
        self._forget(name)

    def swap(self, names: Mapping[str, str]) -> None:
        """Put new tables in the place of old ones: {final name: name of the new table}."""
        for final, new in names.items():
            frame = self._frames[new]
            self._forget(new)
            self._keep(final, frame, False)

    def _keep(self, name: str, frame: DataFrame, temporary: bool) -> None:
        self._forget(name)
        frame.createOrReplaceTempView(f"`{name}`")
        self._frames[name] = frame
        if temporary:
            self._temporary.add(name)

    def _forget(self, name: str) -> None:
        frame = self._frames.pop(name, None)
        if frame is not None:
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
    lines = [line for line in str(error).splitlines() if line.strip()]
    message = lines[0] if lines else type(error).__name__
    return EngineRefused(f"Spark refused a statement: {message}", "the last good state is untouched", statement=sql)
