"""Draws the shop block by block and writes it as files, all of them or none."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.errors import BadRequest
from tierwise.shop.backoffice import HEADER, Quota, backoffice_lines, choose_backoffice, quota
from tierwise.shop.browsing import draw_presence, draw_sessions, events_table, visits_table
from tierwise.shop.catalogue import Catalogue, build_catalogue
from tierwise.shop.cohort import Block, draw_cohort
from tierwise.shop.places import PLACES
from tierwise.shop.purchases import draw_orders, items_table, orders_table, refunds_table
from tierwise.shop.records import customers_table
from tierwise.shop.seasons import Seasons, build_seasons
from tierwise.shop.service import activities_table, contacts_table, responses_table
from tierwise.shop.settings import BLOCK_CUSTOMERS, ShopSettings, ShopSummary
from tierwise.shop.truth import truth_table

__all__ = ["Shop", "Simulated", "blocks", "build_shop", "simulate_block", "write_shop"]

#: More customers than this would not fit the customer numbers of eight digits.
_MOST_CUSTOMERS: Final = 99_999_999
_DEFAULTS: Final = ShopSettings()


@dataclass(frozen=True, slots=True)
class Shop:
    """What all blocks of one shop share."""

    customers: int
    seed: int
    settings: ShopSettings
    seasons: Seasons
    catalogue: Catalogue
    limit: Quota


@dataclass(frozen=True, slots=True)
class Simulated:
    """The rows of one block: a table per stream, the truth, and the lines for the back office file."""

    tables: dict[str, pa.Table]
    truth: pa.Table
    backoffice: list[str]


def write_shop(folder: Path, customers: int, seed: int, settings: ShopSettings = _DEFAULTS) -> ShopSummary:
    """Write a simulated shop into a folder, which must not exist or be empty.

    The same seed, number of customers and settings give the same bytes. Files are written beside the folder under
    another name, which takes the folder's name when everything is there.

    Args:
        folder: Where the shop goes.
        customers: How many customers, known ones and device numbers together.
        seed: Any whole number from 0.
        settings: How the shop is.

    Returns:
        The number of rows per table.

    Raises:
        BadRequest: A number is out of its bounds, or the folder has something in it.

    Example:
        >>> import tempfile
        >>> summary = write_shop(Path(tempfile.mkdtemp()) / "shop", customers=100, seed=1)
        >>> summary.customers, summary.rows["products"]
        (100, 288)
    """
    if not 1 <= customers <= _MOST_CUSTOMERS:
        raise BadRequest(f"customers = {customers}: must be from 1 to {_MOST_CUSTOMERS}")
    if seed < 0:
        raise BadRequest(f"seed = {seed}: must be 0 or more")
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"{folder} is not an empty folder", hint="name a new folder for the shop")
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    # Only this process has its number: what has this name already was left by one that was killed.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        rows = _write_all(partial, build_shop(customers, seed, settings))
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return ShopSummary(customers, dict(rows))


def build_shop(customers: int, seed: int, settings: ShopSettings) -> Shop:
    """Return the calendar, the products and the rest that all blocks share."""
    # Blocks draw from the branch (1, block, topic) of the seed, the catalogue from branch 0.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    limit = quota(-(-customers // BLOCK_CUSTOMERS))
    return Shop(customers, seed, settings, build_seasons(settings), build_catalogue(rng), limit)


def blocks(shop: Shop) -> Iterator[Block]:
    """Yield the blocks of a shop; each can be simulated without the others."""
    for index, first in enumerate(range(0, shop.customers, BLOCK_CUSTOMERS)):
        count = min(BLOCK_CUSTOMERS, shop.customers - first)
        yield Block(index, first, count, shop.customers, shop.seed)


def simulate_block(shop: Shop, block: Block) -> Simulated:
    """Draw all rows of a block of customers."""
    settings, seasons, catalogue = shop.settings, shop.seasons, shop.catalogue
    cohort = draw_cohort(block, settings, seasons, catalogue)
    orders = draw_orders(cohort, seasons, catalogue)
    presence = draw_presence(cohort, orders, seasons)
    sessions = draw_sessions(cohort, presence, seasons, settings)
    ids = orders.ids(cohort)
    past = orders.past(seasons)
    elsewhere = choose_backoffice(cohort, orders, seasons, shop.limit)
    chosen: list[str] = ids.filter(pa.array(elsewhere)).to_pylist()
    tables = {
        "customers": customers_table(cohort, seasons, settings),
        "orders": orders_table(cohort, orders, ids, past & ~elsewhere),
        "items": items_table(cohort, orders, ids, past, catalogue),
        "refunds": refunds_table(cohort, orders, ids, seasons),
        "events": events_table(cohort, sessions, orders, seasons, catalogue, settings),
        "contacts": contacts_table(cohort, sessions, orders, seasons),
        "responses": responses_table(cohort, orders, seasons, catalogue),
        "visits": visits_table(cohort, sessions, orders, seasons),
        "activities": activities_table(cohort, presence, seasons),
    }
    return Simulated(
        tables=tables,
        truth=truth_table(cohort, orders, presence, seasons),
        backoffice=backoffice_lines(cohort, orders, chosen, elsewhere, seasons, settings, shop.limit),
    )


def _write_all(folder: Path, shop: Shop) -> Counter[str]:
    """Write every file of the shop and return the number of rows of each table."""
    rows: Counter[str] = Counter()
    (folder / "truth").mkdir()
    for name, table in (("products", shop.catalogue.products_table()), ("stores", PLACES.stores_table())):
        with _Parts(folder) as parts:
            parts.write(f"{name}.parquet", table)
        rows[name] = table.num_rows
    districts = PLACES.districts_csv()
    (folder / "districts.csv").write_text(districts, encoding="utf-8", newline="\n")
    rows["districts"] = districts.count("\n") - 1
    backoffice = [HEADER]
    blocks_per_part = shop.settings.customers_per_part // BLOCK_CUSTOMERS
    remaining = list(blocks(shop))
    for part in range(-(-len(remaining) // blocks_per_part)):
        with _Parts(folder) as parts:
            for block in remaining[part * blocks_per_part : (part + 1) * blocks_per_part]:
                simulated = simulate_block(shop, block)
                for name, table in simulated.tables.items():
                    parts.write(f"{name}-{part:04d}.parquet", table)
                    rows[name] += table.num_rows
                parts.write(f"truth/customers-{part:04d}.parquet", simulated.truth)
                rows["truth"] += simulated.truth.num_rows
                backoffice += simulated.backoffice
    (folder / "orders_backoffice.csv").write_text("\n".join(backoffice) + "\n", encoding="utf-8", newline="\n")
    rows["orders_backoffice"] = len(backoffice) - 1
    return rows


class _Parts:
    """Open Parquet files by name; a block becomes a row group, so that memory does not grow with the shop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> _Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._open.values():
            writer.close()

    def write(self, name: str, table: pa.Table) -> None:
        """Append a table to a file, which is made at the first call."""
        if name not in self._open:
            # Without the Arrow schema readers see plain text columns where the simulation has dictionaries.
            self._open[name] = pq.ParquetWriter(
                self._folder / name,
                table.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[field.name for field in table.schema if pa.types.is_dictionary(field.type)],
                store_schema=False,
                store_decimal_as_integer=True,
            )
        self._open[name].write_table(table)
