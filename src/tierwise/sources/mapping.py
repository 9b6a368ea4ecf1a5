"""A source's declaration against the columns a file really has: which value goes where, checked before reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from tierwise.definitions.language.checker import Scope, check_expression
from tierwise.definitions.language.kinds import BOOLEAN, TEXT, Kind, kind_named
from tierwise.definitions.language.nodes import Column as ColumnNode
from tierwise.definitions.language.nodes import Node, walk
from tierwise.definitions.language.parser import SyntaxProblem, parse
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import ColumnOf, Expr
from tierwise.definitions.load import Definitions
from tierwise.definitions.sources import ColumnForm, Source, StreamMapping
from tierwise.definitions.streams import CUSTOMERS, PERSONAL_ROLES, Stream
from tierwise.errors import Problem, near_name
from tierwise.sources.convert import kind_of_arrow
from tierwise.store.identifiers import CANONICAL

__all__ = ["INDEX_SUFFIX", "MappedStream", "Mapping_", "Through", "map_source"]

#: What the lake calls the blind index of a personal field: the field's name with this behind it.
INDEX_SUFFIX: Final = "_index"


@dataclass(frozen=True)
class MappedStream:
    """One stream of a source, its expressions checked against the file.

    `personal` are the fields that go to the people vault, each with the file's column and its role; what identifies
    leaves its blind index in `columns`, as ``<field>_index``. With `through`, a column of another stream, `customer` is
    no number of a customer but a value of that column, and the row is of the customer whose row there has it.
    """

    stream: Stream
    where: Expr | None
    time: Expr | None
    time_formats: tuple[str, ...]
    customer: Expr | None
    columns: Mapping[str, tuple[Expr, Kind, tuple[str, ...]]]
    row_key: tuple[str, ...]
    personal: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    through: Through | None = None


@dataclass(frozen=True)
class Through:
    """The column of another stream by which a row finds its customer."""

    stream: str
    column: str


@dataclass(frozen=True)
class Mapping_:
    """A whole source mapped onto one file's columns."""

    streams: tuple[MappedStream, ...]
    exclude: Mapping[str, Expr]
    currency: str | None
    personal: Mapping[str, str]
    native: Mapping[str, pa.DataType]
    problems: tuple[Problem, ...] = field(default=())


def map_source(
    name: str,
    source: Source,
    definitions: Definitions,
    streams: Mapping[str, Stream],
    native: Mapping[str, pa.DataType],
) -> Mapping_:
    """Map a source onto the columns of a file; `problems` says everything that does not fit.

    Args:
        name: the source's name.
        source: what was declared.
        definitions: for the places.
        streams: every stream and reference table, with the columns sources add.
        native: the file's columns with their types (text for CSV).
    """
    return _Mapper(name, source, definitions, streams, native).run()


class _Mapper:
    def __init__(
        self,
        name: str,
        source: Source,
        definitions: Definitions,
        streams: Mapping[str, Stream],
        native: Mapping[str, pa.DataType],
    ) -> None:
        self.name, self.source, self.definitions, self.streams, self.native = name, source, definitions, streams, native
        self.problems: list[Problem] = []
        kinds = {column: kind_of_arrow(kind) for column, kind in native.items()}
        kinds |= {column: kind_named(kind) for column, kind in source.types.items() if column in kinds}
        self.scope = Scope(columns=kinds, zone=Zone(source.zone or definitions.settings.timezone))
        self.personal = source.personal()

    def run(self) -> Mapping_:
        source = self.source
        for section, columns in (("types", source.types), ("formats", source.formats)):
            for column in columns:
                self.has(column, f"{section}.{column}")
        for column in source.row_key:
            self.has(column, "row_key")
        if source.currency is not None:
            self.has(source.currency.column, "currency.column")
        customer = None
        if source.customer is not None:
            customer = self.customer(source.customer, "customer")
        exclude = {name: self.condition(text, f"exclude.{name}") for name, text in source.exclude.items()}
        mapped = []
        for stream_name, mapping in source.streams.items():
            stream = self.streams.get(stream_name)
            if mapping.from_ is not None:
                if mapping.from_ not in source.streams or stream_name != "orders" or mapping.from_ != "items":
                    self.report(
                        "source",
                        f"`{stream_name}` cannot be derived from `{mapping.from_}`",
                        f"streams.{stream_name}",
                        "orders can be derived: {from: items, by: order_id}",
                    )
                elif mapping.by not in source.streams[mapping.from_].columns:
                    known = near_name(mapping.by or "", source.streams[mapping.from_].columns)
                    what = f"`{mapping.from_}` has no column `{mapping.by}` to put its rows together by"
                    self.report("source", what, f"streams.{stream_name}.by", known)
            elif stream is not None:
                mapped.append(self.stream(stream, mapping, customer))
        return Mapping_(
            tuple(mapped),
            {k: v for k, v in exclude.items() if v is not None},
            source.currency.column if source.currency else None,
            self.personal,
            self.native,
            tuple(self.problems),
        )

    def report(self, code: str, message: str, path: str, hint: str = "") -> None:
        self.problems.append(
            Problem(
                code, f"{self.source.origin}: {message}", self.definitions.place(f"sources.{self.name}.{path}"), hint
            )
        )

    def has(self, column: str, path: str) -> bool:
        if column in self.personal:
            where = "which only the people vault keeps"
            self.report("source", f"`{column}` holds personal data, {where}", path, "name another column")
            return False
        if column in self.native:
            return True
        self.report("source", f"there is no column `{column}`", path, near_name(column, self.native))
        return False

    def stream(self, stream: Stream, mapping: StreamMapping, customer: Expr | None) -> MappedStream:
        path = f"streams.{stream.name}"
        if mapping.customer is not None:
            customer = self.customer(mapping.customer, f"{path}.customer")
        elif stream.customer and self.source.customer is None:
            self.report(
                "source",
                f"`{stream.name}` needs a customer",
                path,
                "say which column names the customer: `customer: …`",
            )
        known_by = mapping.customer or self.source.customer
        through = self.through(stream, known_by, path) if known_by is not None and stream.customer else None
        time = self.value(mapping.time, f"{path}.time") if mapping.time is not None else None
        timeless = mapping.time is None and through is None
        if timeless and stream.customer and stream.name != CUSTOMERS.name:
            self.report("source", f"`{stream.name}` needs a time", path, "say which column is the time: `time: …`")
        for required in stream.required:
            if required not in mapping.columns:
                self.report(
                    "source",
                    f"`{stream.name}` needs the column `{required}`",
                    path,
                    f"map it: `columns: {{{required}: …}}`",
                )
        columns: dict[str, tuple[Expr, Kind, tuple[str, ...]]] = {}
        personal: dict[str, tuple[str, str]] = {}
        for target, form in mapping.columns.items():
            role = form.role or (target if target in PERSONAL_ROLES and stream.customer else None)
            if role is not None:
                if self.keeps(stream, mapping, target, form, role):
                    personal[target] = (form.value, role)
                    if role in CANONICAL:
                        columns[f"{target}{INDEX_SUFFIX}"] = (ColumnOf(form.value, kind=TEXT), TEXT, ())
                continue
            known = stream.column(target)
            expr = self.value(form, f"{path}.columns.{target}")
            if known is not None and expr is not None and self.fits(expr, known.kind, f"{path}.columns.{target}"):
                columns[target] = (expr, known.kind, self.formats(form))
        where = self.condition(mapping.where, f"{path}.where") if mapping.where is not None else None
        row_key = mapping.row_key or self.source.row_key or ((stream.key,) if not stream.customer else ())
        if not stream.customer and not mapping.row_key and not self.source.row_key:
            key_form = mapping.columns.get(stream.key)
            row_key = (key_form.value,) if key_form is not None else ()
        for column in mapping.row_key:
            self.has(column, f"{path}.row_key")
        time_formats = self.formats(mapping.time) if mapping.time is not None else ()
        if known_by is not None and known_by.role is not None and stream.customer:
            personal["customer"] = (known_by.value, known_by.role)
        who = customer if stream.customer else None
        return MappedStream(stream, where, time, time_formats, who, columns, row_key, personal, through)

    def through(self, stream: Stream, form: ColumnForm, path: str) -> Through | None:
        """Return the other stream's column by which a row finds its customer, if it is declared to go through one."""
        if form.through is None:
            return None
        name, _, column = form.through.partition(".")
        other, place = self.streams.get(name), f"{path}.customer" if self.source.customer is not form else "customer"
        if other is None or not other.customer:
            hint = near_name(name, [one.name for one in self.streams.values() if one.customer])
            self.report("source", f"there is no stream `{name}` with customers to go through", place, hint)
        elif other.column(column) is None:
            hint = near_name(column, [one.name for one in other.columns])
            self.report("source", f"`{name}` has no column `{column}`", place, hint)
        elif name == stream.name:
            self.report("source", f"a row of `{name}` cannot find its customer in `{name}` itself", place)
        elif not self.is_brought(name, column):
            what = f"no source of the key space `{self.source.key_space}` maps `{form.through}` to a column of its file"
            self.report("source", what, place, "rows that are put together of others have no row to go through")
        return Through(name, column)

    def is_brought(self, stream: str, column: str) -> bool:
        """Whether a source with the same customers maps a column of a stream."""
        return any(
            stream in one.streams and column in one.streams[stream].columns
            for one in self.definitions.sources.values()
            if one.key_space == self.source.key_space
        )

    def customer(self, form: ColumnForm, path: str) -> Expr | None:
        """Return who a row is about; somebody known by personal data is known by its blind index."""
        if form.role is None:
            return self.value(form, path)
        if form.role not in CANONICAL:
            what = f"a customer cannot be known by `{form.role}`, which two people may share"
            self.report("source", what, path, f"map the brand's own customer number, or one of {', '.join(CANONICAL)}")
            return None
        return ColumnOf(form.value, kind=TEXT) if form.value in self.native else None  # an absent one is reported

    def keeps(self, stream: Stream, mapping: StreamMapping, target: str, form: ColumnForm, role: str) -> bool:
        """Whether a personal column can go to the vault."""
        path = f"streams.{stream.name}.columns.{target}"
        if not stream.customer:
            what = f"`{stream.name}` has no customers, so nobody's vault can keep `{target}`"
            self.report("source", what, path, "leave it out")
            return False
        if role in CANONICAL and f"{target}{INDEX_SUFFIX}" in mapping.columns:
            what = f"`{target}{INDEX_SUFFIX}` is the name of the blind index of `{target}`"
            self.report("source", what, f"streams.{stream.name}.columns.{target}{INDEX_SUFFIX}", "give it another name")
            return False
        return form.value in self.native or role not in CANONICAL

    def formats(self, form: ColumnForm) -> tuple[str, ...]:
        return form.formats or self.source.formats.get(form.value, ())

    def value(self, form: ColumnForm, path: str) -> Expr | None:
        """Return a column of the file, or the checked expression over its columns."""
        if form.value in self.native:
            if form.value in self.personal and form.role is None:
                self.report(
                    "source", f"`{form.value}` holds personal data and cannot be loaded under another name", path
                )
                return None
            return ColumnOf(form.value, kind=self.scope.columns[form.value])  # type: ignore[index]
        node = self.parsed(form.value, path)
        if node is None:
            return None
        if isinstance(node, ColumnNode):
            self.has(node.name, path)
            return None
        checked = check_expression(
            node, self.scope, text=form.value, place=self.definitions.place(f"sources.{self.name}.{path}")
        )
        self.problems += checked.problems
        return checked.expr

    def condition(self, text: str, path: str) -> Expr | None:
        node = self.parsed(text, path)
        if node is None:
            return None
        place = self.definitions.place(f"sources.{self.name}.{path}")
        checked = check_expression(node, self.scope, text=text, place=place, expect=BOOLEAN)
        self.problems += checked.problems
        return checked.expr

    def parsed(self, text: str, path: str) -> Node | None:
        try:
            node = parse(text, rows=True, place=self.definitions.place(f"sources.{self.name}.{path}"))
        except SyntaxProblem as error:
            if text.isprintable() and not any(sign in text for sign in "()<>=\"'+*"):
                self.has(text, path)  # a name with blanks: meant as a column
            else:
                self.problems.append(error.problem)
            return None
        for _, part in walk(node):
            if isinstance(part, ColumnNode) and part.name in self.personal:
                self.report("source", f"`{part.name}` holds personal data and cannot be read by an expression", path)
                return None
        return node

    def fits(self, expr: Expr, kind: Kind, path: str) -> bool:
        """Whether a value can be stored as the column's kind."""
        plain = isinstance(expr, ColumnOf)
        good = (
            expr.kind == kind
            or (expr.kind.is_number and kind.is_number)
            or (plain and TEXT in (expr.kind, kind))
            or (plain and expr.kind.is_time and kind.is_time)
            or (plain and kind.is_time and expr.kind.is_number)
            or (kind == BOOLEAN and plain and expr.kind.is_number)
        )
        if not good:
            self.report("kind", f"`{path.rpartition('.')[2]}` is {kind}, the value is {expr.kind}", path)
        return good
