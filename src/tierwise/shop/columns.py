"""Arrow columns from numpy arrays: labels of fixed width, money, wall times, values picked from a list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["instants", "labels", "money", "money_text", "picked"]


def labels(prefix: str | NDArray[np.uint8], numbers: NDArray[np.int64], width: int) -> pa.Array:
    """Return the texts ``<prefix>-<number>``, the number padded with zeros to `width` digits.

    Args:
        prefix: One letter for all, or the byte of a letter for each.
        numbers: Not negative, fewer than `width` digits each.
        width: The number of digits.

    Example:
        >>> labels("c", np.array([7, 42]), 4).to_pylist()
        ['c-0007', 'c-0042']
    """
    text = np.empty((len(numbers), width + 2), np.uint8)
    text[:, 0] = ord(prefix) if isinstance(prefix, str) else prefix
    text[:, 1] = ord("-")
    rest = numbers.astype(np.int64, copy=True)
    for place in range(width + 1, 1, -1):
        rest, digit = np.divmod(rest, 10)
        text[:, place] = digit + 48
    assert not rest.any(), f"a label number has more than {width} digits"
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * (width + 2)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), len(numbers), buffers)


def money(fen: NDArray[np.int64]) -> pa.Array:
    """Return whole fen as decimals with two digits after the point.

    Example:
        >>> [str(value) for value in money(np.array([1250, -5])).to_pylist()]
        ['12.50', '-0.05']
    """
    words = np.empty((len(fen), 2), np.int64)
    words[:, 0] = fen
    words[:, 1] = fen >> 63  # The upper half of a 128-bit number repeats the sign.
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(fen), [None, pa.py_buffer(words)])


def money_text(fen: int) -> str:
    """Return fen as a person writes them.

    Example:
        >>> money_text(1205)
        '12.05'
    """
    return f"{fen // 100}.{fen % 100:02d}"


def instants(second: NDArray[np.int64], known: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return seconds of wall time since 1970 as timestamps without zone; null where `known` is false.

    Example:
        >>> instants(np.array([60])).to_pylist()
        [datetime.datetime(1970, 1, 1, 0, 1)]
    """
    stamps = (second * 1_000_000).view("datetime64[us]")
    return pa.array(stamps, mask=None if known is None else ~known)


def picked(position: NDArray[np.integer], values: Sequence[str] | pa.Array) -> pa.Array:
    """Return the value at each position; null where the position is negative.

    Example:
        >>> picked(np.array([1, -1]), ["store", "app"]).to_pylist()
        ['app', None]
    """
    index = position.astype(np.int32, copy=False)
    dictionary = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    missing = index < 0
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=missing if missing.any() else None), dictionary)
