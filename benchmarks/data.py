"""A benchmark's project: the standard definitions over a lake that is written directly, seeded, in columns."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.streams import BUILT_IN, REFERENCE_TABLES
from tierwise.lake import Lake
from tierwise.store import Store

__all__ = ["AS_OF", "EVENTS", "ITEMS", "ORDERS", "draw_customers", "make_project"]

#: The instant all answers are for (naive UTC): local 08:00 of 1 January 2026.
AS_OF: Final = datetime(2026, 1, 1)
#: Rows a customer, on average.
EVENTS, ORDERS, ITEMS = 50, 5, 10
_EVENT_DAYS: Final = 365
_ORDER_DAYS: Final = 730
_CHUNK: Final = 4_000_000
_SKUS: Final = 2_000
_TYPES: Final = {"view": 9, "search": 2, "favourite": 1, "add_to_cart": 2, "share": 1, "coupon_used": 1}
_CHANNELS: Final = ("app", "mini_program", "store", "web")
_CITIES: Final = 300
_RECEIVED: Final = AS_OF - timedelta(hours=1)
_ARROW: Final = {
    "text": pa.string(),
    "money": pa.decimal128(18, 2),
    "decimal": pa.decimal128(18, 6),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "date": pa.date32(),
    "instant": pa.timestamp("us"),
}
_Columns = dict[str, Any]


def make_project(folder: Path, customers: int, seed: int, said: Callable[[str], None], events: int = EVENTS) -> None:
    """Write a project of so many customers, each with 50 events, 5 orders and 10 items on average, zipf-like.

    The lake is written as an import would leave it, without the detour through source files. The first customer is a
    very busy one: about 0.4 % of everything at a million customers.

    Args:
        folder: a folder that does not exist yet.
        customers: how many.
        seed: of everything random.
        said: called with what has been written.
        events: how many a customer has on average.
    """
    shutil.copytree(Path(__file__).parent / "standard", folder)
    lake = Lake(folder / "lake")
    for number, (stream, chunks) in enumerate(_streams(customers, seed, events).items(), start=1):
        draft = lake.draft("generated") / f"{stream}.parquet"
        _write(draft, stream, number, chunks)
        said(f"{stream}: {draft.stat().st_size / 1e6:,.0f} MB")
        about = {"source": stream, "file": f"data/{stream}.parquet", "replaced": [], "report": {"quarantined": 0}}
        lake.commit("rows", [(stream, draft)], f"{number:08d}", about)
    (folder / "store").mkdir()
    store = Store.open(str(folder / "store" / "tierwise.db"))
    for first in range(0, customers, _CHUNK):
        keys = _texts("c-", np.arange(first, min(first + _CHUNK, customers)))
        spaces = pa.array(["default"] * len(keys))
        given = store.ids.assign(pa.table({"key_space": spaces, "source_key": keys}))
        assert given.column("source_record_id")[0].as_py() == first + 1, "the lake's numbers are those of the store"
    store.close()
    said(f"store: {customers:,} keys")


def _streams(customers: int, seed: int, events: int) -> dict[str, Iterator[_Columns]]:
    return {
        "customers": _customers(customers, np.random.default_rng([seed, 0])),
        "products": _products(np.random.default_rng([seed, 1])),
        "orders": _orders(customers, np.random.default_rng([seed, 2])),
        "items": _items(customers, np.random.default_rng([seed, 2]), np.random.default_rng([seed, 3])),
        "refunds": _refunds(customers, np.random.default_rng([seed, 2]), np.random.default_rng([seed, 4])),
        "events": _events(customers * events, customers, np.random.default_rng([seed, 5])),
    }


# -- the streams ----------------------------------------------------------------------------------------------------


def _customers(customers: int, random: np.random.Generator) -> Iterator[_Columns]:
    for first, last in _parts(customers):
        n = last - first
        registered = _micros(AS_OF) - (random.random(n) * 1500 * 86_400_000_000).astype(np.int64)
        yield {
            "source_record_id": np.arange(first + 1, last + 1),
            "row_key": _texts("", np.arange(first, last)),
            "time": _instants(np.full(n, _micros(_RECEIVED))),
            "registered_at": _instants(registered),
            "gender": _chosen(("female", "male"), random.random(n) ** 1.3),
            "birth_date": pa.array((random.random(n) * 20_000 - 7_300).astype(np.int32), pa.int32()).cast(pa.date32()),
            "city": _chosen(tuple(f"city-{i:03d}" for i in range(_CITIES)), random.random(n) ** 2),
        }


def _products(random: np.random.Generator) -> Iterator[_Columns]:
    categories = tuple(f"c-{i:02d}" for i in range(40))
    yield {
        "row_key": _skus(np.arange(_SKUS)),
        "time": _instants(np.full(_SKUS, _micros(_RECEIVED))),
        "sku": _skus(np.arange(_SKUS)),
        "product_name": _texts("product ", np.arange(_SKUS)),
        "category": _chosen(categories, random.random(_SKUS) ** 1.7),
        "price": _money(random.integers(500, 20_000, _SKUS)),
    }


def _order_rows(customers: int, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (number, customer, time in µs) of the orders; items and refunds draw them again from the same seed."""
    total = customers * ORDERS
    for first, last in _parts(total):
        number = np.arange(first, last)
        yield number, draw_customers(customers, random.random(last - first)), _when(number, total, _ORDER_DAYS)


def _orders(customers: int, random: np.random.Generator) -> Iterator[_Columns]:
    values = np.random.default_rng(random.bit_generator.seed_seq.spawn(1)[0])  # type: ignore[attr-defined]
    for number, who, when in _order_rows(customers, random):
        n = len(number)
        yield {
            "source_record_id": who + 1,
            "row_key": _texts("o-", number),
            "time": _instants(when),
            "order_id": _texts("o-", number),
            "amount": _money(np.exp(9 + 1.2 * values.standard_normal(n)).astype(np.int64)),
            "coupon_amount": _money(np.where(values.random(n) < 0.3, 1_000, 0)),
            "channel": _chosen(_CHANNELS, values.random(n)),
            "cancelled": pa.array(values.random(n) < 0.03),
        }


def _items(customers: int, orders: np.random.Generator, values: np.random.Generator) -> Iterator[_Columns]:
    each = ITEMS // ORDERS
    for order, who, when in _order_rows(customers, orders):
        n = len(order) * each
        number = np.repeat(order * each, each) + np.tile(np.arange(each), len(order))
        yield {
            "source_record_id": np.repeat(who + 1, each),
            "row_key": _texts("i-", number),
            "time": _instants(np.repeat(when, each)),
            "order_id": _texts("o-", np.repeat(order, each)),
            "sku": _skus((values.random(n) ** 2 * _SKUS).astype(np.int64)),
            "quantity": pa.array(values.integers(1, 4, n)).cast(pa.decimal128(19, 0)),
            "amount": _money(values.integers(200, 8_200, n)),
        }


def _refunds(customers: int, orders: np.random.Generator, values: np.random.Generator) -> Iterator[_Columns]:
    for order, who, when in _order_rows(customers, orders):
        back = values.random(len(order)) < 0.05
        number, n = order[back], int(back.sum())
        later = when[back] + values.integers(1, 30 * 86_400, n) * 1_000_000
        yield {
            "source_record_id": who[back] + 1,
            "row_key": _texts("r-", number),
            "time": _instants(later),
            "order_id": _texts("o-", number),
            "amount": _money(np.exp(8.5 + 1.2 * values.standard_normal(n)).astype(np.int64)),
            "kind": _chosen(("return", "price_cut"), values.random(n)),
        }


def _events(total: int, customers: int, random: np.random.Generator) -> Iterator[_Columns]:
    types = tuple(name for name, share in _TYPES.items() for _ in range(share))
    for first, last in _parts(total):
        number, n = np.arange(first, last), last - first
        sku = _skus((random.random(n) ** 2 * _SKUS).astype(np.int64))
        about_none = pa.array(random.random(n) < 0.2)
        yield {
            "source_record_id": draw_customers(customers, random.random(n)) + 1,
            "row_key": _texts("e-", number),
            "time": _instants(_when(number, total, _EVENT_DAYS)),
            "type": _chosen(types, random.random(n)),
            "sku": pc.if_else(about_none, pa.scalar(None, pa.string()), sku),
            "channel": _chosen(_CHANNELS, random.random(n)),
        }


# -- columns --------------------------------------------------------------------------------------------------------


def _parts(total: int) -> Iterator[tuple[int, int]]:
    for first in range(0, total, _CHUNK):
        yield first, min(first + _CHUNK, total)


def draw_customers(customers: int, chance: np.ndarray) -> np.ndarray:
    """Draw customers: a few often, most seldom, in no order of their numbers."""
    rank = (customers * chance**2.5).astype(np.int64)
    return rank * 7_919 % customers


def _when(number: np.ndarray, total: int, days: int) -> np.ndarray:
    """Spread rows evenly over the days before as_of, in the order of their numbers."""
    step = days * 86_400_000_000 / total
    return _micros(AS_OF) - ((total - number) * step).astype(np.int64)


def _micros(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _instants(micros: np.ndarray) -> pa.Array:
    return pa.array(micros, pa.int64()).cast(pa.timestamp("us"))


def _money(cents: np.ndarray) -> pa.Array:
    """Whole cents are the digits of a decimal with two places: 128 bits each, of which 64 are used."""
    words = np.stack([cents.astype(np.int64), cents.astype(np.int64) >> 63], axis=1)
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(words.tobytes())])


def _texts(prefix: str, numbers: np.ndarray) -> pa.Array:
    written = pa.array(numbers).cast(pa.string())
    return pc.binary_join_element_wise(prefix, written, "") if prefix else written


def _skus(numbers: np.ndarray) -> pa.Array:
    return _chosen(tuple(f"p-{i:05d}" for i in range(_SKUS)), numbers / _SKUS)


def _chosen(options: tuple[str, ...], share: np.ndarray) -> pa.Array:
    codes = np.minimum((share * len(options) + 1e-9).astype(np.int32), len(options) - 1)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(options)).cast(pa.string())


# -- files ----------------------------------------------------------------------------------------------------------


def _kind(kind: Kind) -> pa.DataType:
    return _ARROW[kind.name]


def _write(path: Path, stream: str, import_id: int, chunks: Iterator[_Columns]) -> None:
    form = {**BUILT_IN, **REFERENCE_TABLES}[stream]
    kinds = {column.name: _kind(column.kind) for column in form.columns if not column.computed}
    writer: pq.ParquetWriter | None = None
    line = 1
    for chunk in chunks:
        n = len(chunk["row_key"])
        columns = {
            "source": pa.array([stream]).take(pa.array(np.zeros(n, np.int32))),
            "key_space": pa.array(["default"]).take(pa.array(np.zeros(n, np.int32))),
            "source_record_id": pa.array(chunk.get("source_record_id", [None] * n), pa.int64()),
            "row_key": chunk["row_key"],
            "time": chunk["time"],
            "received_at": _instants(np.full(n, _micros(_RECEIVED))),
            "import_id": pa.array(np.full(n, import_id)),
            "op": pa.array(["put"]).take(pa.array(np.zeros(n, np.int32))),
            "fate": pa.array(["new"]).take(pa.array(np.zeros(n, np.int32))),
            "line": pa.array(np.arange(line, line + n)),
            **{name: _typed(chunk[name], kind) for name, kind in kinds.items() if name in chunk},
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
        writer.write_table(table, row_group_size=500_000)
        line += n
    assert writer is not None, "every stream has a row"
    writer.close()


def _typed(column: Any, kind: pa.DataType) -> pa.Array:
    return column if isinstance(column, pa.Array) and column.type == kind else pa.array(column).cast(kind)
