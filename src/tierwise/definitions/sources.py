"""What a brand declares about where its rows come from: files, columns, formats, keys and exclusions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tierwise.definitions.language.kinds import KIND_NAMES
from tierwise.definitions.model import Expression, Form, known_zone
from tierwise.definitions.streams import PERSONAL_ROLES

__all__ = ["ColumnForm", "CurrencyForm", "NumbersForm", "Source", "StreamMapping"]


class ColumnForm(Form):
    """Where a column's value comes from: a column of the file, or an expression over its columns.

    `type` is needed only for columns Tierwise does not know (text otherwise); `formats` are strptime formats, tried in
    order; `role` marks personal data. `through`, of a customer, says ``stream.column``: the customer is that of the row
    of this stream whose column has the value.
    """

    value: Expression
    type: str | None = None
    formats: tuple[str, ...] = ()
    role: str | None = None
    through: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | ColumnForm) else {"value": value}

    @field_validator("formats", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str | None) -> str | None:
        if value is not None and (value not in KIND_NAMES or value == "duration"):
            raise ValueError(
                f"there is no type `{value}`; one of {', '.join(k for k in KIND_NAMES if k != 'duration')}"
            )
        return value

    @field_validator("through")
    @classmethod
    def _stream_and_column(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[^.\s]+\.[^.\s]+", value):
            raise ValueError(f"`{value}` does not name a column of a stream, as in `orders.order_id`")
        return value

    @field_validator("role")
    @classmethod
    def _known_role(cls, value: str | None) -> str | None:
        if value is not None and value not in PERSONAL_ROLES:
            raise ValueError(f"there is no personal role `{value}`; one of {', '.join(PERSONAL_ROLES)}")
        return value


class NumbersForm(Form):
    """How numbers are written in a file: the decimal sign and the sign between thousands."""

    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'", ""] = ","

    @model_validator(mode="before")
    @classmethod
    def _other_sign(cls, value: Any) -> Any:
        """With a decimal comma the sign between thousands is a point, unless it is declared."""
        if isinstance(value, Mapping) and value.get("decimal") == "," and "thousands" not in value:
            return {**value, "thousands": "."}
        return value

    @model_validator(mode="after")
    def _not_the_same(self) -> NumbersForm:
        if self.decimal == self.thousands:
            raise ValueError(f"the decimal sign and the sign between thousands are both `{self.decimal}`")
        return self


def _rate(currency: object, rate: object) -> Decimal:
    try:
        found = Decimal(str(rate))
    except InvalidOperation:
        found = Decimal(0)
    if not found.is_finite() or not 0 < found < 10**12:
        raise ValueError(f"the rate of `{currency}` is {rate!r}, not a number above 0")
    return found


class CurrencyForm(Form):
    """The column that names a row's currency, and what one unit of each is worth in the project's currency."""

    column: str
    rates: Mapping[str, Decimal] = Field(default_factory=dict)

    @field_validator("rates", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return (
            {str(key).upper(): _rate(key, rate) for key, rate in value.items()} if isinstance(value, Mapping) else value
        )


class StreamMapping(Form):
    """How rows of the file become rows of one stream.

    Either mapped (`where`, `time`, `columns`) or derived: ``{from: items, by: order_id}`` makes one order of all items
    with the same order_id, its time the last line's, its amount the lines' sum.
    """

    where: Expression | None = None
    time: ColumnForm | None = None
    columns: Mapping[str, ColumnForm] = Field(default_factory=dict)
    customer: ColumnForm | None = None
    row_key: tuple[str, ...] = ()
    from_: str | None = Field(default=None, alias="from")
    by: str | None = None

    @field_validator("row_key", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _mapped_or_derived(self) -> StreamMapping:
        if (self.from_ is None) != (self.by is None):
            raise ValueError("a derived stream needs both `from:` and `by:`")
        if self.from_ is not None and (self.where or self.time or self.columns or self.row_key):
            raise ValueError("a derived stream takes only `from:` and `by:`")
        return self


class Source(Form):
    """Files of one shape, a table of a database or rows that are sent, and what their columns mean.

    Either `file`, or `database` with a `table` or a `query`, or `live`; ``${NAME}`` in the first two is an environment
    variable. Rows can be sent to every source; a `live` one has no others.
    `sheet` is a workbook's, by name or counted from 1. Without a `header` the columns are named by `columns`.
    `zone` is the zone of times without an offset (default: the project's); `key_space` names whose customer numbers
    these are; without `row_key` a row is known by its content and its how-many-th occurrence in the file.
    """

    file: str = ""
    database: str | None = None
    table: str | None = None
    query: str | None = None
    live: bool = False
    customer: ColumnForm | None = None
    key_space: str = "default"
    zone: str | None = None
    encoding: str | None = None
    delimiter: str = ","
    quote: str = '"'
    skip_lines: int = Field(default=0, ge=0, le=1000)
    header: bool = True
    columns: tuple[str, ...] = ()
    sheet: int | str | None = None
    row_key: tuple[str, ...] = ()
    on_change: Literal["replace", "keep_first", "quarantine"] = "replace"
    exclude: Mapping[str, Expression] = Field(default_factory=dict)
    types: Mapping[str, str] = Field(default_factory=dict)
    formats: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    numbers: NumbersForm = NumbersForm()
    currency: CurrencyForm | None = None
    missing: tuple[str, ...] = ()
    streams: Mapping[str, StreamMapping] = Field(min_length=1)

    @field_validator("row_key", "missing", "columns", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @field_validator("database")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        if value is not None and re.search(r"://[^/@]*:[^/@$]+@", value):
            raise ValueError("a password does not belong into a file: put the URL into an environment variable")
        return value

    @field_validator("sheet")
    @classmethod
    def _from_one(cls, value: int | str | None) -> int | str | None:
        if value == "" or (isinstance(value, int) and value < 1):
            raise ValueError("a sheet is a name, or its position counted from 1")
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> Source:
        if bool(self.file) + (self.database is not None) + self.live != 1:
            raise ValueError("a source has one of `file:`, `database:` and `live: true`")
        if self.database is None and (self.table is not None or self.query is not None):
            raise ValueError("`table:` and `query:` belong to a `database:`")
        if self.database is not None and (self.table is None) == (self.query is None):
            raise ValueError("a database needs either `table:` or `query:`")
        if self.columns and self.header:
            raise ValueError("`columns:` names the columns of a file without a header: say `header: false`")
        return self

    @field_validator("formats", mode="before")
    @classmethod
    def _formats(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            pairs = value.items()
            return {
                key: (one,) if isinstance(one, str) else tuple(one) if isinstance(one, list) else one
                for key, one in pairs
            }
        return value

    @field_validator("types")
    @classmethod
    def _known_types(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for column, kind in value.items():
            if kind not in KIND_NAMES or kind == "duration":
                raise ValueError(f"column `{column}`: there is no type `{kind}`")
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return value if value is None else known_zone(value)

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) != 1 or value in "\r\n\0":
            raise ValueError("one character is needed")
        return value

    @model_validator(mode="after")
    def _only_customers_through(self) -> Source:
        for name, mapping in self.streams.items():
            for target, form in (*mapping.columns.items(), ("time", mapping.time)):
                if form is not None and form.through is not None:
                    raise ValueError(f"`{name}.{target}`: only a `customer:` goes through another stream")
        return self

    def relies_on(self) -> frozenset[str]:
        """Return the streams whose rows say whose rows these are."""
        customers = (self.customer, *(mapping.customer for mapping in self.streams.values()))
        return frozenset(one.through.partition(".")[0] for one in customers if one is not None and one.through)

    @property
    def origin(self) -> str:
        """Return what its rows come from, for people: the file as declared, or the table."""
        if self.live:
            return "rows that are sent"
        if self.database is None:
            return self.file
        return f"table {self.table}" if self.table is not None else "query"

    def personal(self) -> Mapping[str, str]:
        """Return the file columns that hold personal data, with their role."""
        found: dict[str, str] = {}
        for stream, mapping in self.streams.items():
            for name, form in mapping.columns.items():
                role = form.role or (name if name in PERSONAL_ROLES and stream not in ("products", "stores") else None)
                if role is not None:
                    found[form.value] = role
        for customer in (self.customer, *(mapping.customer for mapping in self.streams.values())):
            if customer is not None and customer.role is not None:
                found[customer.value] = customer.role
        return found
