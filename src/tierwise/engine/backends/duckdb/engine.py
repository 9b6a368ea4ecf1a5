"""The DuckDB file of a project: runs SELECTs, keeps tables, swaps new ones in at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import duckdb
import pyarrow as pa
from sqlglot import exp

from tierwise.engine.backends.duckdb.machine import limits
from tierwise.engine.depth import deep
from tierwise.errors import EngineRefused, ProjectBusy

__all__ = ["DuckEngine"]

_DIALECT: Final = "duckdb"
#: What the log beside the file holds before its content goes into the file: at the default of 16 MB each small refresh
#: would wait for that. It goes in when the engine is closed.
_CHECKPOINT: Final = "1GB"
#: Of so many customers for each megabyte everything is worked out at once: a million with 2,500 MB. What is listed or
#: told apart for each customer stays in memory while rows are grouped.
_CUSTOMERS_A_MB: Final = 400


class DuckEngine:
    """One owner's connection to ``engine/tierwise.duckdb`` (or to memory, which overflows into the folder `spill`).

    Args:
        path: the file, or None for tables in memory.
        memory_limit_mb: megabytes it may hold before it spills; by default what `limits` says.
        threads: how many it works with; by default what `limits` says.

    Example:
        >>> with DuckEngine(None) as engine:
        ...     engine.register("t", pa.table({"x": [1, 2]}))
        ...     engine.arrow(exp.select(exp.Max(this=exp.column("x")).as_("x")).from_("t")).to_pylist()
        [{'x': 2}]
    """

    def __init__(
        self,
        path: Path | None,
        *,
        memory_limit_mb: int | None = None,
        threads: int | None = None,
        spill: Path | None = None,
    ) -> None:
        config: dict[str, str | bool | int | float | list[str]] = {
            "preserve_insertion_order": "false",
            "autoload_known_extensions": "false",
        }
        allowed = limits(os.environ)
        config["memory_limit"] = f"{memory_limit_mb or allowed.memory_mb}MB"
        config["threads"] = threads or allowed.threads
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            config["temp_directory"] = str(path.parent / "spill")
            config["checkpoint_threshold"] = _CHECKPOINT
        if spill is not None:
            config["temp_directory"] = str(spill)
        self._config = config
        self.threads = threads or allowed.threads
        self.at_once: int | None = (memory_limit_mb or allowed.memory_mb) * _CUSTOMERS_A_MB
        self._begin(path, _connect(path, config))

    def _begin(self, path: Path | None, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._connection = connection
        self._counter = 0
        self._defined: set[str] = set()
        self._standing_in: dict[str, str] = {}
        self._views: set[str] = set()
        self._pinned = self._broken = False
        self._run("SET TimeZone = 'UTC'")

    def confine(self, folders: Sequence[Path]) -> None:
        """Put every file outside these folders, and every further setting, out of reach of all connections."""
        allowed = exp.Array(expressions=[exp.Literal.string(str(folder.resolve())) for folder in folders])
        for name, value in (
            ("allowed_directories", allowed),
            ("python_enable_replacements", exp.false()),
            ("enable_external_access", exp.false()),
        ):
            setting = exp.SetItem(this=exp.EQ(this=exp.var(name), expression=value))
            self.execute(exp.Set(expressions=[setting]))

    def cursor(self) -> DuckEngine:
        """Return another connection to the same tables, with temporary tables and functions of its own."""
        other = DuckEngine.__new__(DuckEngine)
        other.threads, other.at_once = self.threads, self.at_once
        other._begin(self.path, self._connection.cursor())
        return other

    def pin(self) -> None:
        """Let this connection see one state of the tables from now on; it can make temporary tables only."""
        self._run("BEGIN TRANSACTION READ ONLY")
        self._pinned = True
        self.tables()  # the state is that of the first reading

    def interrupt(self) -> None:
        """End the statement that is running, from another thread."""
        self._connection.interrupt()

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
            self._broken = self._pinned
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
            self._broken = self._pinned
            raise _refused(error, sql) from error

    def batches(self, select: exp.Expression, rows: int = 100_000) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as Arrow batches without holding them all; nothing else may be asked meanwhile."""
        sql = _written(select)
        try:
            yield from self._connection.sql(sql).to_arrow_reader(rows)
        except duckdb.Error as error:
            raise _refused(error, sql) from error

    def count(self, name: str) -> int:
        """Return how many rows a table has."""
        return int(self.rows(exp.select(exp.Count(this=exp.Star())).from_(_table(name)))[0][0])

    def create(self, name: str, select: exp.Expression, *, temporary: bool = False) -> int:
        """Make (or remake) a table of a SELECT; return how many rows it has."""
        if name in self._views:
            self.drop(name)
        kind = exp.Create(
            this=_table(name),
            kind="TABLE",
            expression=select,
            replace=True,
            properties=exp.Properties(expressions=[exp.TemporaryProperty()]) if temporary else None,
        )
        found = self._run(_written(kind))
        return int(found[0][0]) if found else 0

    def view(self, name: str, select: exp.Expression) -> None:
        """Make a temporary view of a SELECT: nothing is copied."""
        self.execute(_viewed(name, select))
        self._views.add(name)

    def insert(self, name: str, select: exp.Expression) -> int:
        """Add the rows of a SELECT to a table; return how many there were."""
        return int(self._run(_written(exp.Insert(this=_table(name), expression=select)))[0][0])

    def register(self, name: str, table: pa.Table) -> None:
        """Make a temporary table of Arrow rows."""
        self._counter += 1
        handle = f"arrow{self._counter}$"
        self._connection.register(handle, table)
        try:
            self.create(name, exp.select("*").from_(_table(handle)), temporary=True)
        finally:
            self._connection.unregister(handle)

    @contextmanager
    def lent(self, name: str, table: pa.Table) -> Iterator[None]:
        """Let statements read Arrow rows as a table, where they are."""
        self._connection.register(name, table)
        try:
            yield
        finally:
            self._connection.unregister(name)

    def define(self, name: str, body: exp.Expression) -> None:
        """Define a function of one argument ``w`` for this connection."""
        if name not in self._defined:
            function = exp.UserDefinedFunction(
                this=exp.to_identifier(name), expressions=[exp.to_identifier("w")], wrapped=True
            )
            temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
            self.execute(
                exp.Create(this=function, kind="MACRO", expression=body.copy(), replace=True, properties=temporary)
            )
            self._defined.add(name)

    def drop(self, name: str) -> None:
        """Drop a table or a temporary view, if it is there."""
        if self._broken:  # the failed transaction takes its tables along
            return
        self._run(_written_drop(name, "VIEW" if name in self._views else "TABLE"))
        self._views.discard(name)

    def stand_in(self, name: str, new: str) -> None:
        """Let this connection, and no other, find a new table under a name; `settle` lets all of them."""
        self.execute(_viewed(name, exp.select("*").from_(_table(new))))
        self._standing_in[name] = new

    def settle(self, more: Mapping[str, str]) -> None:
        """Put every table that stands in, and more of them, in the place of the old ones, all at once."""
        names = {**self._standing_in, **more}
        self._together([*(_dropped(name, "VIEW", "temp") for name in self._standing_in), *_swapped(names)])
        self._standing_in.clear()

    def swap(self, names: Mapping[str, str]) -> None:
        """Put new tables in the place of old ones, all at once: {final name: name of the new table}."""
        self._together(_swapped(names))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do several things all at once: other connections see all of them, or none when one fails."""
        self._run("BEGIN TRANSACTION")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            with suppress(EngineRefused):  # it may have ended by itself; what failed is what must be told
                self._run("ROLLBACK")
            raise

    def _together(self, statements: Sequence[exp.Expression]) -> None:
        with self.transaction():
            for statement in statements:
                self.execute(statement)

    def exchange(self, name: str, new: str) -> None:
        """Put a new table in the place of an old one, inside a transaction."""
        for statement in _swapped({name: new}):
            self.execute(statement)

    def write_parquet(self, select: exp.Expression, path: Path) -> None:
        """Write the rows of a SELECT to a Parquet file."""
        copy = exp.Copy(
            this=exp.Subquery(this=select),
            kind=False,
            files=[exp.Literal.string(str(path))],
            params=[
                exp.CopyParameter(this=exp.var("FORMAT"), expression=exp.var("PARQUET")),
                exp.CopyParameter(this=exp.var("COMPRESSION"), expression=exp.var("ZSTD")),
                exp.CopyParameter(this=exp.var("COMPRESSION_LEVEL"), expression=exp.Literal.number(1)),
            ],
        )
        self._run(_written(copy))

    def rewrite(self, tables: Mapping[str, exp.Expression]) -> None:
        """Write tables, each of a SELECT, to a new file that takes the place of this one; no other connection is open.

        Nothing else of the old file remains: what a table has dropped stays in a DuckDB file for a while.
        """
        assert self.path is not None, "only a file is rewritten"
        fresh = self.path.with_name(f"{self.path.name}.new")
        fresh.unlink(missing_ok=True)
        alias = exp.to_identifier("fresh", quoted=True)
        self.execute(exp.Attach(this=exp.Alias(this=exp.Literal.string(str(fresh)), alias=alias)))
        for name, select in tables.items():
            place = _table(name)
            place.set("db", exp.to_identifier("main"))
            place.set("catalog", alias.copy())
            self.execute(exp.Create(this=place, kind="TABLE", expression=select))
        self.execute(exp.Detach(this=exp.Table(this=alias.copy())))
        os.replace(fresh, self.path)
        self.close()
        for path in (self.path, fresh):
            path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        self._begin(self.path, _connect(self.path, self._config))

    # -- what is there ----------------------------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Return the names of the tables that stay."""
        return [str(row[0]) for row in self._run(_tables())]

    def columns(self, name: str) -> dict[str, str]:
        """Return a table's columns with their types; none of a table that is not there."""
        try:
            found = self._connection.sql(_written(exp.select("*").from_(_table(name))))
        except duckdb.CatalogException:
            return {}
        return {column: str(kind) for column, kind in zip(found.columns, found.types, strict=True)}

    # -- what a person wrote ----------------------------------------------------------------------------------------

    def kinds_of(self, sql: str) -> list[str]:
        """Return what each statement of a text is: ``SELECT``, ``COPY`` …"""
        return [str(statement.type).rpartition(".")[2] for statement in self._connection.extract_statements(sql)]

    def parsed(self, sql: str) -> str:
        """Return the tree of a SELECT as DuckDB reads it, as JSON."""
        return str(self._connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0])

    def written_by_hand(self, sql: str, limit: int | None) -> pa.Table:
        """Answer a text that `tierwise.engine.backends.duckdb.reader` has looked through."""
        relation = self._connection.sql(sql)
        return (relation if limit is None else relation.limit(limit)).to_arrow_table()


def _written(statement: exp.Expression) -> str:
    """Write a statement out; deep expressions need more stack than Python gives at first."""
    with deep():
        return statement.sql(_DIALECT, copy=False)


@cache
def _tables() -> str:
    """Write the statement that lists the tables, which every verb begins with."""
    select = (
        exp.select("table_name")
        .from_("information_schema.tables")
        .where(exp.EQ(this=exp.column("table_schema"), expression=exp.Literal.string("main")))
        .where(exp.EQ(this=exp.column("table_type"), expression=exp.Literal.string("BASE TABLE")))
        .order_by("table_name")
    )
    return _written(select)


def _viewed(name: str, select: exp.Expression) -> exp.Expression:
    temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
    return exp.Create(this=_table(name), kind="VIEW", expression=select, replace=True, properties=temporary)


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))


def _dropped(name: str, kind: str, catalog: str | None = None) -> exp.Expression:
    table = _table(name)
    if catalog is not None:
        table.set("db", exp.to_identifier(catalog))
    return exp.Drop(tables=[table], kind=kind, exists=True)


@lru_cache(maxsize=1024)
def _written_drop(name: str, kind: str) -> str:
    """Write a drop out: every evaluation ends with dozens, of the same few names."""
    return _written(_dropped(name, kind))


def _swapped(names: Mapping[str, str]) -> list[exp.Expression]:
    """Return the statements that drop the old tables and give their names to the new ones."""
    found = []
    for final, new in names.items():
        rename = exp.Alter(this=_table(new), kind="TABLE", actions=[exp.AlterRename(this=_table(final))])
        found += [_dropped(final, "TABLE"), rename]
    return found


def _connect(path: Path | None, config: dict[str, str | bool | int | float | list[str]]) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(":memory:" if path is None else str(path), config=config)
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
