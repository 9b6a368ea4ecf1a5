"""Tiny real projects for tests: files in a folder, opened through the façade with a clock that stands still."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import tierwise
from tierwise.errors import Problem
from tierwise.lake import Lake
from tierwise.project import Project
from tierwise.sources.collect import import_sources
from tierwise.sources.importer import ImportReport

NOW: Final = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)  # noon in Shanghai
ORDERS: Final = """\
file: data/orders.csv
customer: customer
streams:
  orders: {time: time, columns: {order_id: id, amount: amount}}
"""
REFUNDS: Final = """\
file: data/refunds.csv
customer: customer
streams:
  refunds: {time: time, columns: {order_id: id, amount: amount}}
"""
EVENTS: Final = """\
file: data/events.csv
customer: customer
streams:
  events: {time: time, columns: {type: type}}
"""
RECORDS: Final = """\
file: data/customers.csv
customer: id
streams:
  customers: {columns: {city: city}}
"""
TAGS: Final = """\
tags:
  n: count(orders)
  spend: sum(orders.kept_amount)
"""
TIERS: Final = """\
tags:
  spend: sum(orders.kept_amount)
tierings:
  value:
    tiers: {high: spend >= 100, some: spend > 0, none: otherwise}
segments:
  recent: 'exists(orders, within="30d")'
"""


class Brand:
    """A project folder; `day` moves the clock on from `NOW`.

    Example:
        >>> import tempfile
        >>> brand = Brand(Path(tempfile.mkdtemp()), {"definitions/tags.yaml": TAGS})
        >>> brand.problems()
        []
    """

    def __init__(self, folder: Path, files: Mapping[str, str | bytes] | None = None) -> None:
        self.folder = folder
        if not (folder / "tierwise.yaml").exists():
            self.write({"tierwise.yaml": "name: test\n"})
        self.write(files or {})

    def copy(self, folder: Path) -> Brand:
        """Return a copy of the whole project, results included, in another folder."""
        return Brand(shutil.copytree(self.folder, folder))

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def open(self, day: float = 0) -> Project:
        return tierwise.open(self.folder, clock=lambda: NOW + timedelta(days=day))

    def run(self, day: float = 0, **options: Any) -> dict[str, Any]:
        with self.open(day) as project:
            return project.run(**options)

    def receive(self, day: float = 0) -> list[ImportReport]:
        """Import the sources and compute nothing, which is quick."""
        at = (NOW + timedelta(days=day)).replace(tzinfo=None)
        with self.open() as project:
            quarantine = self.folder / "store" / "quarantine"
            return import_sources(project.definitions, project.lake, quarantine, project.store, at)

    def imports(self, day: float = 0) -> list[dict[str, int]]:
        """Import the sources; return what became of each file's rows, zeros left out."""
        return [counted(report.as_json()) for report in self.receive(day)]

    def received(self, stream: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return the lake's rows of a stream, in the order of their lines."""
        found = Lake(self.folder / "lake").read(stream)
        rows = found.sort_by("line").select(list(columns)).to_pylist() if found is not None else []
        return [tuple(row.values()) for row in rows]

    def problems(self) -> list[Problem]:
        with self.open() as project:
            return project.check()

    def rows(self, table: str, *columns: str) -> list[dict[str, Any]]:
        """Return a table's rows as plain values."""
        with self.open() as project:
            found = project.table(table)
        return list((found.select(list(columns)) if columns else found).to_pylist())

    def values(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.rows(table, *columns)]


FATES: Final = ("new", "replaced", "duplicate", "quarantined")


def counted(report: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of an import that are not zero; they add up to the rows read, always."""
    assert report["rows_read"] == sum(report[fate] for fate in FATES), report
    assert report["quarantined"] == sum(report["reasons"].values()), report
    return {name: report[name] for name in (*FATES, "kept_first", "withdrawn") if report[name]}


def said(problems: list[Problem]) -> str:
    """Return problems as a person sees them."""
    return "\n".join(map(str, problems))


def placed(problem: Problem) -> bool:
    """Whether a problem says where: a file and a line."""
    return bool(re.match(r"[\w./]+\.yaml:\d+", str(problem.where)))


def csv(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"
