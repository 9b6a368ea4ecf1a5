"""What every command shares: the project it is about, the language, and how answers and errors are printed."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

import tierwise
from tierwise.definitions.plain import plain
from tierwise.errors import TierwiseError

if TYPE_CHECKING:
    import pyarrow as pa

    from tierwise.project import Project

__all__ = ["CONTEXT", "Context", "plain", "user"]


@dataclass(frozen=True)
class Context:
    """The global options of one command."""

    folder: str
    json: bool
    language: str
    command: str = ""
    opened: list[Project] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[Project]:
        """Open the project; it stays open until the answer is printed, since others may be asking meanwhile."""
        from tierwise.store import Actor

        project = tierwise.open(self.folder, actor=Actor("cli", user()), command=f"tierwise {self.command}".strip())
        self.opened.append(project)
        yield project

    def close(self) -> None:
        """Finish what others have asked of this process, and let go of the project."""
        while self.opened:
            self.opened.pop().close(self._still)

    def _still(self, doing: list[dict[str, Any]]) -> None:
        names = ", ".join(f"{one['verb'].rpartition('.')[2]} of {one['actor']}, pid {one['pid']}" for one in doing)
        self.tell(self.word(f"正在为其他进程完成：{names}", f"finishing for others: {names}"))

    def word(self, zh: str, en: str) -> str:
        """Return the word of the language."""
        return zh if self.language == "zh" else en

    # -- answers ----------------------------------------------------------------------------------------------------

    def print_json(self, value: object) -> None:
        """Print one JSON document."""
        sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def say(self, text: str = "") -> None:
        """Print a line for people."""
        _console().print(text, highlight=False, markup=False, soft_wrap=True)

    def tell(self, sentence: str) -> None:
        """Say what is happening meanwhile, on stderr, so that it never mixes with an answer."""
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()

    def show(self, rows: pa.Table, columns: list[str] | None = None, titles: dict[str, str] | None = None) -> None:
        """Print an Arrow table for people, or as JSON."""
        if self.json:
            self.print_json(rows.to_pylist())
            return
        self.rows(rows.to_pylist(), columns or rows.column_names, titles or {})

    def rows(self, rows: list[dict[str, Any]], columns: list[str], titles: dict[str, str]) -> None:
        """Print rows as a table, numbers to the right."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            numeric = bool(rows) and all(isinstance(row.get(column), int | float | Decimal | None) for row in rows)
            table.add_column(titles.get(column, column), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(row.get(column), column) for column in columns))
        _console().print(table)

    # -- errors -----------------------------------------------------------------------------------------------------

    def fail(self, error: TierwiseError) -> None:
        """Print what was refused, and what to do."""
        if self.json:
            self.print_json({"error": error.as_json()})
        else:
            sys.stderr.write(f"{error}\n")

    def fail_unexpected(self, message: str, hint: str) -> None:
        """Print that something of ours broke."""
        if self.json:
            self.print_json({"error": {"code": "bug", "message": message, "hint": hint}})
        else:
            sys.stderr.write(f"{message}\n  {hint}\n")


CONTEXT: Final[ContextVar[Context]] = ContextVar("context")


def user() -> str:
    """Return who is at the keyboard, as the machine knows them; nothing where it knows nobody."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _cell(value: Any, column: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "✓" if value else "–"
    if isinstance(value, float) and column == "share":
        return f"{value:.1%}"
    if isinstance(value, int):
        return f"{value:,}" if not column.endswith("_id") else str(value)
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value).replace("[", "\\[")


def _console() -> Console:
    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, highlight=False)
