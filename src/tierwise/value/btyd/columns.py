"""What purchase models are given: columns of any library as checked numbers, one history for each customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tierwise.errors import BadRequest

__all__ = [
    "FloatArray",
    "Histories",
    "IntArray",
    "checked_amounts",
    "checked_histories",
    "checked_horizon",
    "checked_weights",
    "column",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: How many places of rows an error names.
_SHOWN: Final = 5


def column(values: Any, name: str) -> FloatArray:
    """Return a column as floats: a list, NumPy, pandas, Polars or Arrow column, or one number.

    Arrow decimals become floats; what is missing becomes NaN, which the checks of each model refuse.

    Raises:
        BadRequest: The values are not numbers, or form a table.

    Example:
        >>> column([1, None, 3], "frequency")
        array([ 1., nan,  3.])
    """
    try:
        if hasattr(values, "__arrow_c_stream__") or isinstance(values, pa.Array):
            arrow = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.chunked_array(values)
            if pa.types.is_temporal(arrow.type) or pa.types.is_boolean(arrow.type):
                raise TypeError(f"{arrow.type} is not a number")
            found = arrow.cast(pa.float64()).to_numpy(zero_copy_only=False) if isinstance(arrow, pa.Array) else None
            found = arrow.cast(pa.float64()).to_numpy() if found is None else found
        else:
            found = np.asarray(values)
            if found.dtype.kind not in "iufO":
                raise TypeError(f"{found.dtype} is not a number")
        found = np.asarray(found, np.float64)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise BadRequest(f"`{name}` is not a column of numbers: {error}", column=name) from None
    if found.ndim > 1:
        raise BadRequest(f"`{name}` has {found.ndim} dimensions; one column is expected", column=name)
    return found


@dataclass(frozen=True)
class Histories:
    """Each customer's purchases, as the literature writes them.

    `frequency` counts the repeat purchases, `recency` is the time from the first purchase to the last and `T` the time
    from the first purchase to the end of observation, both in one unit. `covariates` has a row for each customer.
    """

    frequency: FloatArray
    recency: FloatArray
    T: FloatArray
    covariates: FloatArray | None = None


def checked_histories(frequency: Any, recency: Any, T: Any, covariates: Any = None) -> Histories:
    """Return the three columns as equally long numbers that can be a history.

    Raises:
        BadRequest: A column is missing values, or holds what no history can be; the error names the first rows.
    """
    given = [column(frequency, "frequency"), column(recency, "recency"), column(T, "T")]
    x, tx, span = _equally_long(given, ("frequency", "recency", "T"))
    for name, values in (("frequency", x), ("recency", tx), ("T", span)):
        _refuse(~np.isfinite(values), f"`{name}` is missing or infinite", name)
        _refuse(values < 0, f"`{name}` is negative", name)
    _refuse(x != np.floor(x), "`frequency` is not a whole number of purchases", "frequency")
    _refuse(tx > span, "`recency` is later than `T`, the end of observation", "recency")
    _refuse((x == 0) & (tx != 0), "`recency` is not 0 although there is no repeat purchase", "recency")
    _refuse((x > 0) & (tx == 0), "`recency` is 0 although there are repeat purchases", "recency")
    return Histories(x, tx, span, None if covariates is None else _matrix(covariates, x.size))


def checked_amounts(frequency: Any, monetary_value: Any) -> tuple[FloatArray, FloatArray]:
    """Return frequency and mean value of the repeat purchases, checked; without repeats the mean value may be missing.

    Raises:
        BadRequest: Frequencies that cannot be, or a mean value of repeat purchases that is not above 0: the model of
            spend would answer with an infinite one, without any error.
    """
    given = [column(frequency, "frequency"), column(monetary_value, "monetary_value")]
    x, mean = _equally_long(given, ("frequency", "monetary_value"))
    _refuse(~np.isfinite(x) | (x < 0) | (x != np.floor(x)), "`frequency` is not a number of purchases", "frequency")
    repeats = x > 0
    _refuse(repeats & ~np.isfinite(mean), "`monetary_value` is missing or infinite", "monetary_value")
    _refuse(
        repeats & ~(mean > 0),
        "`monetary_value` is not above 0",
        "monetary_value",
        "leave free orders out, or take the mean of those that cost something",
    )
    return x, np.where(repeats, mean, 0.0)


def checked_weights(weights: Any, rows: int) -> FloatArray:
    """Return how many customers each row stands for; 1 when nothing is said.

    Raises:
        BadRequest: A weight is missing, negative or infinite, or there are more or fewer than rows.
    """
    if weights is None:
        return np.ones(rows)
    found = np.atleast_1d(column(weights, "weights"))
    if found.size != rows:
        raise BadRequest(f"`weights` has {found.size} rows, the other columns have {rows}", column="weights")
    _refuse(~np.isfinite(found) | (found < 0), "`weights` is missing, negative or infinite", "weights")
    return found


def checked_horizon(h: Any) -> FloatArray:
    """Return how far ahead is asked, in the unit of `T`.

    Raises:
        BadRequest: It is negative, missing or infinite.
    """
    found = column(h, "h")
    _refuse(~np.isfinite(np.atleast_1d(found)), "`h` is missing or infinite", "h")
    _refuse(np.atleast_1d(found) < 0, "`h` is negative", "h")
    return found


def _equally_long(columns: Sequence[FloatArray], names: Sequence[str]) -> list[FloatArray]:
    sizes = {values.size for values in columns if values.ndim}
    if len(sizes) > 1:
        said = ", ".join(f"{name} {values.size}" for name, values in zip(names, columns, strict=True))
        raise BadRequest(f"the columns have different numbers of rows: {said}")
    size = sizes.pop() if sizes else 1
    return [np.broadcast_to(values, (size,)) for values in columns]


def _matrix(covariates: Any, rows: int) -> FloatArray:
    try:
        found = np.asarray(covariates, np.float64)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"`covariates` is not a table of numbers: {error}", column="covariates") from None
    found = found.reshape(-1, 1) if found.ndim == 1 else found
    if found.ndim != 2 or found.shape[0] != rows:
        raise BadRequest(f"`covariates` has shape {found.shape}; {rows} rows are expected", column="covariates")
    _refuse(np.asarray(~np.isfinite(found).all(axis=1)), "`covariates` has missing or infinite values", "covariates")
    return found


def _refuse(bad: NDArray[np.bool_], what: str, name: str, hint: str = "") -> None:
    count = int(np.count_nonzero(bad))
    if count:
        rows = np.flatnonzero(bad)[:_SHOWN].tolist()
        more = ", …" if count > _SHOWN else ""
        said = ", ".join(str(row) for row in rows)
        message = f"{what} in {count} row{'s' if count != 1 else ''} (row {said}{more}, counted from 0)"
        raise BadRequest(message, hint, column=name, rows=rows, count=count)
