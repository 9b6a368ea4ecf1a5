"""The DuckDB file of a project: runs SELECTs, keeps tables, swaps new ones in at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import duckdb
import pyarrow as pa
from sqlglot import exp

from tierwise.errors import BadRequest, EngineRefused, ProjectBusy

__all__ = ["DuckEngine"]

_DIALECT: Final = "duckdb"
#: How many Python frames writing a statement may take.
_DEEPEST: Final = 20_000


class DuckEngine:
    """One owner's connection to ``engine/tierwise.duckdb`` (or to memory, for trials and tests).

    Example:
        >>> with DuckEngine(None) as engine:
        ...     engine.register("t", pa.table({"x": [1, 2]}))
        ...     engine.arrow(exp.select(exp.Max(this=exp.column("x")).as_("x")).from_("t")).to_pylist()
        [{'x': 2}]
    """

    def __init__(self, path: Path | None, *, memory_limit_mb: int | None = None, threads: int | None = None) -> None:
        self.path = path
        config: dict[str, str | bool | int | float | list[str]] = {
            "preserve_insertion_order": "false",
            "autoload_known_extensions": "false",
        }
        if memory_limit_mb is not None:
            config["memory_limit"] = f"{memory_limit_mb}MB"
        if threads is not None:
            config["threads"] = threads
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            config["temp_directory"] = str(path.parent / "spill")
        self._connection = _connect(path, config)
        self._run("SET TimeZone = 'UTC'")
        self._counter = 0
        self._defined: set[str] = set()

    def __enter__(self) -> DuckEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; tables that were swapped in stay."""
        self._connection.close()

    # -- statements -------------------------------------------------------------------------------------------------

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise _refused(error, sql) from error

    def execute(self, statement: exp.Expression) -> None:
        """Run a statement for its effect."""
        self._run(_written(statement))

    def rows(self, select: exp.Expression) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT as tuples."""
        return self._run(_written(select))

    def arrow(self, select: exp.Expression) -> pa.Table:
        """Return the rows of a SELECT as an Arrow table."""
        sql = _written(select)
        try:
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise _refused(error, sql) from error

    def create(self, name: str, select: exp.Expression, *, temporary: bool = False) -> int:
        """Make (or remake) a table of a SELECT; return how many rows it has."""
        self.drop(name)
        kind = exp.Create(
            this=_table(name),
            kind="TABLE",
            expression=select,
            properties=exp.Properties(expressions=[exp.TemporaryProperty()]) if temporary else None,
        )
        found = self._run(_written(kind))
        return int(found[0][0]) if found else 0

    def register(self, name: str, table: pa.Table) -> None:
        """Make a temporary table of Arrow rows."""
        self._counter += 1
        handle = f"arrow{self._counter}$"
        self._connection.register(handle, table)
        try:
            self.create(name, exp.select("*").from_(_table(handle)), temporary=True)
        finally:
            self._connection.unregister(handle)

    def define(self, name: str, body: exp.Expression) -> None:
        """Define a function of one argument ``w`` for this connection."""
        if name not in self._defined:
            function = exp.UserDefinedFunction(
                this=exp.to_identifier(name), expressions=[exp.to_identifier("w")], wrapped=True
            )
            temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
            self.execute(exp.Create(this=function, kind="MACRO", expression=body, replace=True, properties=temporary))
            self._defined.add(name)

    def drop(self, name: str) -> None:
        """Drop a table, if it is there."""
        self.execute(exp.Drop(tables=[_table(name)], kind="TABLE", exists=True))

    def swap(self, names: Mapping[str, str]) -> None:
        """Put new tables in the place of old ones, all at once: {final name: name of the new table}."""
        self._run("BEGIN TRANSACTION")
        try:
            for final, new in names.items():
                self.drop(final)
                rename = exp.Alter(this=_table(new), kind="TABLE", actions=[exp.AlterRename(this=_table(final))])
                self.execute(rename)
            self._run("COMMIT")
        except BaseException:
            self._run("ROLLBACK")
            raise

    def write_parquet(self, select: exp.Expression, path: Path) -> None:
        """Write the rows of a SELECT to a Parquet file."""
        copy = exp.Copy(
            this=exp.Subquery(this=select),
            kind=False,
            files=[exp.Literal.string(str(path))],
            params=[
                exp.CopyParameter(this=exp.var("FORMAT"), expression=exp.var("PARQUET")),
                exp.CopyParameter(this=exp.var("COMPRESSION"), expression=exp.var("ZSTD")),
            ],
        )
        self._run(_written(copy))

    # -- what is there ----------------------------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Return the names of the tables that stay."""
        select = (
            exp.select("table_name")
            .from_("information_schema.tables")
            .where(exp.EQ(this=exp.column("table_schema"), expression=exp.Literal.string("main")))
            .where(exp.NEQ(this=exp.column("table_type"), expression=exp.Literal.string("LOCAL TEMPORARY")))
            .order_by("table_name")
        )
        return [str(row[0]) for row in self.rows(select)]

    def columns(self, name: str) -> dict[str, str]:
        """Return a table's columns with their types."""
        select = (
            exp.select("column_name", "data_type")
            .from_("information_schema.columns")
            .where(exp.EQ(this=exp.column("table_name"), expression=exp.Literal.string(name)))
            .order_by("ordinal_position")
        )
        return {str(column): str(kind) for column, kind in self.rows(select)}

    @staticmethod
    def read_only(path: Path, sql: str, limit: int | None) -> pa.Table:
        """Answer one SELECT a person wrote, in a connection that can change and reach nothing.

        Raises:
            BadRequest: when it is not exactly one SELECT, or cannot be answered.
            ProjectBusy: when another process holds the file.
        """
        config: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": "false",
            "lock_configuration": "true",
            "autoload_known_extensions": "false",
        }
        connection = _connect(path, config, read_only=True)
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise BadRequest("sql takes one SELECT", "to change something, edit the definitions or the sources")
            relation = connection.sql(sql)
            return (relation if limit is None else relation.limit(limit)).to_arrow_table()
        except duckdb.Error as error:
            raise BadRequest(_first_line(error), "`tierwise show tables` lists the tables and their columns") from error
        finally:
            connection.close()


def _written(statement: exp.Expression) -> str:
    """Write a statement out; deep expressions need more stack than Python gives at first."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20_000))
    try:
        return statement.sql(_DIALECT, copy=False)
    finally:
        sys.setrecursionlimit(limit)


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))


def _connect(
    path: Path | None, config: dict[str, str | bool | int | float | list[str]], read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(":memory:" if path is None else str(path), read_only=read_only, config=config)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise ProjectBusy(
                f"another process holds the project ({_holder(str(error))})", "wait until it has finished, or end it"
            ) from error
        raise EngineRefused(
            f"{path} cannot be opened: {_first_line(error)}",
            "delete the engine/ folder; `tierwise run` computes it again",
        ) from error
    except duckdb.Error as error:
        hint = "delete the engine/ folder; `tierwise run` computes it again"
        raise EngineRefused(f"{path} cannot be opened: {_first_line(error)}", hint) from error


def _holder(message: str) -> str:
    start = message.find("PID ")
    return message[start:].split(")", 1)[0].split(".", 1)[0] if start >= 0 else f"not process {os.getpid()}"


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def _refused(error: duckdb.Error, sql: str) -> EngineRefused:
    message = _first_line(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        hint = "free memory or disk space, or set a memory limit that the machine has"
    elif "No space left" in message or "disk" in message.lower():
        hint = "free disk space and run again; the last good state is untouched"
    else:
        hint = "the last good state is untouched"
    return EngineRefused(f"the engine refused a statement: {message}", hint, statement=sql)
