"""Tables and queries of PostgreSQL and SQLite databases: one connection that only reads, in one snapshot.

The address may hold a password, so it comes from an environment variable and is in no message, log or manifest.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlglot
from sqlalchemy import URL, Connection, Engine, LargeBinary, create_engine, exc, inspect, make_url
from sqlglot import exp

from tierwise.definitions.sources import Source
from tierwise.errors import SourceUnreadable, near_name
from tierwise.sources.environment import with_environment
from tierwise.sources.records_batch import shorten
from tierwise.sources.records_files import fingerprint
from tierwise.sources.records_table import Field, TableReader

__all__ = ["DatabaseOrigin"]

_BATCH_ROWS: Final = 65_536
_CONNECT_SECONDS: Final = 15
_STATEMENT_MINUTES: Final = 15
_LOOK: Final = "look for its name in the database; `schema.table` names one in another schema"
_SERVERS: Final = ("postgresql", "postgres", "postgresql+psycopg")
_ADDRESSES: Final = "write postgresql://user:password@host/name, sqlite:///path, or the path of an SQLite file"
#: What a session of the server is told: when to give up, and one way of writing values for ever.
_SESSION: Final = {
    "statement_timeout": f"{_STATEMENT_MINUTES}min", "lock_timeout": "30s", "synchronize_seqscans": "off",
    "idle_in_transaction_session_timeout": "0",
    "timezone": "UTC", "datestyle": "ISO", "intervalstyle": "iso_8601", "extra_float_digits": "1",
}  # fmt: skip
#: PostgreSQL's types by their number; all others are read as texts.
_KINDS: Final = {
    16: "boolean", 20: "integer", 21: "integer", 23: "integer", 26: "integer", 700: "float", 701: "float",
    1700: "number", 1082: "date", 1114: "wall", 1184: "instant",
}  # fmt: skip
_BYTES: Final = 17
_AS_TEXT: Final = frozenset(number for number, kind in _KINDS.items() if kind in ("number", "date", "wall", "instant"))


class DatabaseOrigin:
    """A table or query of a source's database; what it opens is one connection with one snapshot until it is closed.

    Args:
        source: what is declared.
        folder: where the path of an SQLite file begins.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self.source, self.folder = source, folder
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._selected: exp.Query | None = None

    @property
    def name(self) -> str:
        """Return what the lake calls it: nothing of the address."""
        return f"database: {self.source.origin}"

    @property
    def shown(self) -> str:
        """Return what reports call it."""
        return self.source.origin

    def fingerprint(self) -> str:
        """Return a hash of the content.

        Of an SQLite database it is the hash of its files. A server hashes every row itself, in the snapshot that is
        read afterwards: the counters it keeps beside the rows miss transactions that commit late.
        """
        url = self._url()
        if url.drivername == "sqlite":
            path = _checked_path(url)
            parts = [fingerprint(each) for each in (path, Path(f"{path}-wal")) if each.exists() and each.stat().st_size]
            return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()
        with self._refusing():
            rows = self._open().exec_driver_sql(_hash_of(self._select()).sql(dialect="postgres")).one()
        return hashlib.blake2b(repr(tuple(map(str, rows))).encode(), digest_size=16).hexdigest()

    def open(self) -> TableReader:
        """Return a reader of the rows."""
        with self._refusing():
            select = self._select()
            statement = select.sql(dialect=self._dialect)
            fields = self._fields(select.copy().limit(0, copy=False).sql(dialect=self._dialect))
        decimal = self.source.numbers.decimal
        return TableReader(self.shown, fields, lambda: self._chunks(statement), decimal)

    def close(self) -> None:
        """Let go of the connection and its snapshot."""
        self._selected = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    # -- reading ----------------------------------------------------------------------------------------------------

    def _chunks(self, statement: str) -> Iterator[Sequence[Sequence[Any]]]:
        with self._refusing():
            # With `stream_results` the server keeps the result and hands it out as it is asked.
            options = {"stream_results": True, "max_row_buffer": _BATCH_ROWS, "yield_per": _BATCH_ROWS}
            result = self._open().exec_driver_sql(statement, execution_options=options)
            yield from result.partitions(_BATCH_ROWS)

    def _fields(self, probe: str) -> list[Field]:
        """Return the columns of a statement that gives no row."""
        result = self._open().exec_driver_sql(probe)
        assert result.cursor is not None, "a SELECT has a cursor"
        described: list[tuple[str, Any]] = [(str(one[0]), one[1]) for one in result.cursor.description or ()]
        result.close()
        if self._dialect == "sqlite":
            return [Field(name, "text") for name, _ in described]
        for name, number in described:
            if number == _BYTES:
                message = f"{self.shown}: the column `{name}` holds bytes (bytea)"
                raise SourceUnreadable(message, "leave it out of the query, or decode it there")
        return [Field(name, _KINDS.get(number, "text")) for name, number in described]

    def _select(self) -> exp.Query:
        """Return the one SELECT that is read; from then on the driver hands out texts, which reflection cannot read."""
        if self._selected is None:
            connection = self._open()
            if self.source.query is not None:
                self._selected = _checked_query(self.shown, self.source.query, self._dialect)
            else:
                self._selected = _select_of_table(self.shown, self.source.table or "", connection)
            if self._dialect == "postgres":
                _load_texts(connection.connection.driver_connection)
        return self._selected

    @property
    def _dialect(self) -> str:
        return "sqlite" if self._url().drivername == "sqlite" else "postgres"

    # -- the connection ---------------------------------------------------------------------------------------------

    def _url(self) -> URL:
        declared = self.source.database or ""
        text = with_environment(declared, "the address of the database")
        if "://" not in text:
            return URL.create("sqlite", database=str(self.folder / text))
        try:
            url = make_url(text)
        except (exc.ArgumentError, ValueError):
            raise SourceUnreadable(f"{declared}: is not the address of a database", _ADDRESSES) from None
        if url.drivername in _SERVERS:
            return url.set(drivername="postgresql+psycopg")
        if url.drivername != "sqlite" or not url.database:
            raise SourceUnreadable(f"{declared}: is a database of a kind that is not read", _ADDRESSES)
        return URL.create("sqlite", database=str(self.folder / url.database))

    def _open(self) -> Connection:
        """Return the connection, in a transaction that only reads and sees one state."""
        if self._connection is None:
            url = self._url()
            self._engine = _sqlite(url) if url.drivername == "sqlite" else _server(url)
            self._connection = self._engine.connect()
            if url.drivername == "sqlite":
                self._connection.exec_driver_sql("BEGIN")
        return self._connection

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn what a driver raises into a refusal without the address."""
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: exc.SQLAlchemyError) -> SourceUnreadable:
        original = getattr(error, "orig", None)
        said = str(original if original is not None else error).strip().partition("\n")[0]
        url = self._url()
        for secret in (url.render_as_string(hide_password=False), url.password, url.username, url.host, url.database):
            if secret and len(str(secret)) > 2:
                said = said.replace(str(secret), "…")
        if self._connection is None:
            hint = "check the address in the environment variable, the rights, and that the database is up"
            return SourceUnreadable(f"{self.shown}: the database cannot be reached ({shorten(said)})", hint)
        if getattr(original, "sqlstate", None) == "57014":
            hint = "make the query quicker, or copy its result into a table"
            return SourceUnreadable(f"{self.shown}: takes more than {_STATEMENT_MINUTES} minutes", hint)
        key = "table" if self.source.query is None else "query"
        return SourceUnreadable(f"{self.shown}: {shorten(said)}", f"check `{key}:` of the source", key=key)


def _checked_path(url: URL) -> Path:
    path = Path(url.database or "")
    if not path.is_file():
        hint = near_name(path.name, [one.name for one in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise SourceUnreadable(f"{path}: there is no such database", hint or "check the path")
    return path


def _sqlite(url: URL) -> Engine:
    from pysqlite3 import dbapi2

    path = _checked_path(url)

    def connect() -> Any:
        # `mode=ro`: SQLite would otherwise make the file, or write to it. Batches are read ahead by another thread than
        # the one that looked at the columns, never by two at once.
        where = f"{path.absolute().as_uri()}?mode=ro"
        connection = dbapi2.connect(where, uri=True, isolation_level=None, timeout=30, check_same_thread=False)
        connection.text_factory = _text_or_bytes
        return connection

    return create_engine("sqlite://", module=dbapi2, creator=connect)


def _text_or_bytes(data: bytes) -> str | bytes:
    """Return a text; one that is no UTF-8 stays bytes, which reject its row."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _server(url: URL) -> Engine:
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    settings = {"connect_timeout": _CONNECT_SECONDS, "options": options, "client_encoding": "UTF8"}
    try:
        engine = create_engine(url, connect_args=settings)
    except ModuleNotFoundError:
        hint = "pip install 'tierwise[postgres]'"
        raise SourceUnreadable("reading from PostgreSQL needs a driver that is not installed", hint) from None
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True, no_parameters=True)


def _load_texts(connection: Any) -> None:
    """Have the driver hand out as the server's own text whatever is no whole number, float or truth value."""
    from psycopg.types.string import TextLoader

    for info in connection.adapters.types:
        for number in (info.oid, info.array_oid):
            if number and number != _BYTES and (number not in _KINDS or number in _AS_TEXT):
                connection.adapters.register_loader(number, TextLoader)


# -- what is read -----------------------------------------------------------------------------------------------------


def _checked_query(shown: str, query: str, dialect: str) -> exp.Query:
    """Return a query that is one SELECT and nothing else."""
    hint = "one SELECT, such as: select id, paid_at, amount from orders"
    try:
        found = [one for one in sqlglot.parse(query, dialect=dialect) if one is not None]
    except sqlglot.errors.SqlglotError as error:
        said = shorten(str(error).partition("\n")[0])
        raise SourceUnreadable(f"{shown}: cannot be parsed ({said})", hint, key="query") from None
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        raise SourceUnreadable(f"{shown}: is not one SELECT", hint, key="query")
    if found[0].find(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock) is not None:
        raise SourceUnreadable(f"{shown}: would change or lock what it reads", hint, key="query")
    return found[0]


def _select_of_table(shown: str, name: str, connection: Connection) -> exp.Query:
    """Return the SELECT of a table or view without its columns of bytes, in the order of its key where it has one."""
    schema, _, plain = name.rpartition(".")
    inspector, place = inspect(connection), schema or None
    schemas = inspector.get_schema_names()
    if place is not None and place not in schemas:
        raise SourceUnreadable(
            f"{shown}: there is no schema `{place}`", near_name(place, schemas) or _LOOK, key="table"
        )
    if not inspector.has_table(plain, schema=place):
        known = [*inspector.get_table_names(place), *inspector.get_view_names(place)]
        raise SourceUnreadable(
            f"{shown}: there is no such table or view", near_name(plain, known) or _LOOK, key="table"
        )
    with warnings.catch_warnings(category=exc.SAWarning, action="ignore"):  # a type it does not know is read as text
        columns = inspector.get_columns(plain, schema=place)
    kept = [str(one["name"]) for one in columns if not isinstance(one["type"], LargeBinary)]
    if not kept:
        raise SourceUnreadable(f"{shown}: has no column that can be read", "name other columns in a `query:`")
    key = inspector.get_pk_constraint(plain, schema=place)["constrained_columns"]
    select = exp.select(*map(_quoted, kept)).from_(exp.table_(plain, db=place, quoted=True))
    return select.order_by(*map(_quoted, key)) if key else select


def _quoted(name: str) -> exp.Column:
    return exp.column(name, quoted=True)


def _hash_of(select: exp.Query) -> exp.Select:
    """Return the SELECT of the number of rows and of the sum of their hashes, which no order changes."""
    row = exp.Cast(this=exp.column("hashed"), to=exp.DataType.build("text"))
    hashed = exp.Anonymous(this="hashtextextended", expressions=[row, exp.Literal.number(0)])
    total = exp.Sum(this=exp.Cast(this=hashed, to=exp.DataType.build("decimal")))
    return exp.select(exp.Count(this=exp.Star()), total).from_(select.copy().subquery("hashed"))
