"""The rows of an experiment as checked numbers: texts are read strictly, what is missing is refused."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tierwise.errors import BadRequest, UnknownName, near_name

__all__ = ["FloatArray", "IntArray", "arms_of", "column", "flags", "instants", "numbers"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MOST_ARMS: Final = 50


def column(rows: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column; blank texts are missing.

    Raises:
        UnknownName: There is none.
    """
    if name not in rows.column_names:
        raise UnknownName(f"there is no column `{name}`", near_name(name, rows.column_names))
    found = rows[name]
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if _is_text(found.type):
        trimmed = pc.utf8_trim_whitespace(found)
        found = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    return found


def arms_of(rows: pa.Table, name: str) -> tuple[IntArray, list[str]]:
    """Return the arm of each row, counted from 0, and the arms' names in order.

    Raises:
        BadRequest: A row has no arm, or there are more arms than an experiment can have.
    """
    found = column(rows, name)
    if found.null_count:
        raise BadRequest(f"{_rows(found.null_count)} no `{name}`", "leave out who was not assigned")
    coded = pc.dictionary_encode(found.cast(pa.string())).combine_chunks()
    coded = coded if isinstance(coded, pa.DictionaryArray) else pa.concat_arrays(coded.chunks)
    names = coded.dictionary.to_pylist()
    if len(names) > _MOST_ARMS:
        raise BadRequest(f"`{name}` has {len(names)} different values; an experiment has at most {_MOST_ARMS} arms")
    order = sorted(range(len(names)), key=lambda code: names[code])
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return rank[coded.indices.to_numpy(zero_copy_only=False)], [names[code] for code in order]


def numbers(rows: pa.Table, name: str) -> FloatArray:
    """Return a column as numbers; true is 1, false 0, and texts are read.

    Raises:
        BadRequest: A value is missing, infinite or no number.

    Example:
        >>> numbers(pa.table({"visit": ["1", "0", "1"]}), "visit")
        array([1., 0., 1.])
    """
    found = column(rows, name)
    if found.null_count:
        hint = "write 0 where nothing happened; leave a row out only where that has nothing to do with its arm"
        raise BadRequest(f"{_rows(found.null_count)} no `{name}`", hint, column=name, count=found.null_count)
    values = _cast(found, pa.float64(), name, "number").to_numpy()
    wrong = int(np.count_nonzero(~np.isfinite(values)))
    if wrong:
        raise BadRequest(f"{_rows(wrong)} a `{name}` that is infinite or no number", column=name, count=wrong)
    return np.asarray(values, np.float64)


def flags(rows: pa.Table, name: str) -> NDArray[np.bool_]:
    """Return a column as yes or no; missing is no.

    Raises:
        BadRequest: A value is neither.
    """
    found = column(rows, name)
    if pa.types.is_integer(found.type) or pa.types.is_floating(found.type):
        found = found.cast(pa.float64())
        known = pc.fill_null(found, 0.0).to_numpy()
        if not np.isin(known, (0.0, 1.0)).all():
            raise BadRequest(f"`{name}` is not everywhere 0 or 1", "write 1 for yes, 0 for no", column=name)
        return np.asarray(known == 1)
    values = _cast(found, pa.bool_(), name, "yes or no")
    return np.asarray(pc.fill_null(values, False).to_numpy(), np.bool_)


def instants(rows: pa.Table, name: str) -> NDArray[np.datetime64]:
    """Return a column of instants or dates, texts in ISO form; missing ones are NaT.

    Raises:
        BadRequest: A value is no instant.
    """
    found = column(rows, name)
    if pa.types.is_timestamp(found.type) or pa.types.is_date(found.type) or pa.types.is_null(found.type):
        return np.asarray(found.cast(pa.timestamp("us")).to_numpy())
    if _is_text(found.type):
        for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                return np.asarray(found.cast(kind).cast(pa.timestamp("us")).to_numpy())
            except pa.ArrowInvalid:
                continue
    raise BadRequest(f"`{name}` is not everywhere an instant", "write 2026-03-01 10:00:00, all with a zone or none")


def _cast(found: pa.ChunkedArray, kind: pa.DataType, name: str, what: str) -> pa.ChunkedArray:
    if pa.types.is_boolean(found.type) or pa.types.is_decimal(found.type):
        return found.cast(kind)
    if _is_text(found.type):
        for attempt in (kind, pa.bool_()):
            try:
                return found.cast(attempt).cast(kind)
            except pa.ArrowInvalid:
                continue
        raise BadRequest(f"`{name}` is not everywhere a {what}: {_first_odd(found, kind)!r}", column=name)
    if pa.types.is_integer(found.type) or pa.types.is_floating(found.type):
        return found.cast(kind)
    raise BadRequest(f"`{name}` is {found.type}, not a {what}", column=name)


def _first_odd(found: pa.ChunkedArray, kind: pa.DataType) -> Any:
    """Return the first value that cannot be read."""
    for value in pc.unique(found).to_pylist():
        try:
            pa.array([value], pa.string()).cast(kind)
        except pa.ArrowInvalid:
            return value
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"
