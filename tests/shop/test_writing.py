"""The files of the shop: the same from the same seed, whatever the parts, and all of them or none."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tierwise.definitions.streams import BUILT_IN, PERSONAL_ROLES, REFERENCE_TABLES
from tierwise.errors import BadRequest
from tierwise.shop import ShopSettings, ShopSummary, write_shop, writing
from tierwise.shop.settings import BLOCK_CUSTOMERS
from tierwise.shop.truth import LIFECYCLE_TIERS
from tierwise.shop.types import TYPES

FEW_EVENTS = ShopSettings(events_per_customer=5)
ROW_IDS = {"item_id", "refund_id", "event_id", "contact_id", "response_id", "visit_id", "participation_id"}


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_layout(shop: Path) -> None:
    streams = [f"{name}-0000.parquet" for name in ("customers", *BUILT_IN)]
    others = ["products.parquet", "stores.parquet", "districts.csv", "orders_backoffice.csv"]
    assert sorted(_digests(shop)) == sorted([*streams, *others, "truth/customers-0000.parquet"])
    assert [path.name for path in shop.parent.iterdir()] == ["shop"]


def test_the_summary_counts_the_rows(written: tuple[Path, ShopSummary]) -> None:
    folder, summary = written
    for name in ("customers", *BUILT_IN):
        assert summary.rows[name] == pq.read_metadata(folder / f"{name}-0000.parquet").num_rows, name
    assert summary.rows["truth"] == summary.customers == 4_000
    assert summary.rows["orders_backoffice"] == (folder / "orders_backoffice.csv").read_text("utf-8").count("\n") - 1


def test_columns_are_those_of_the_streams(shop: Path) -> None:
    for name, stream in {**BUILT_IN, **REFERENCE_TABLES}.items():
        file = shop / (f"{name}.parquet" if name in ("products", "stores") else f"{name}-0000.parquet")
        schema = pq.read_schema(file)
        known = {column.name for column in stream.columns if not column.computed}
        assert set(schema.names) - known - ROW_IDS - {"customer_key", "time"} <= set(PERSONAL_ROLES), name
        assert known <= set(schema.names), name
        for field in schema:
            if field.name in ("time", "left_at", "registered_at"):
                assert field.type == pa.timestamp("us"), (name, field)
            if field.name in ("amount", "coupon_amount", "price"):
                assert field.type == pa.decimal128(18, 2), (name, field)


def test_the_same_seed_gives_the_same_bytes(shop: Path, tmp_path: Path) -> None:
    write_shop(tmp_path / "again", customers=4_000, seed=1)
    assert _digests(tmp_path / "again") == _digests(shop)


def test_another_seed_gives_another_shop(tmp_path: Path) -> None:
    write_shop(tmp_path / "one", customers=200, seed=1)
    write_shop(tmp_path / "two", customers=200, seed=2)
    one, two = _digests(tmp_path / "one"), _digests(tmp_path / "two")
    assert {name for name in one if one[name] == two[name]} == {"stores.parquet", "districts.csv"}


def test_parts_do_not_change_a_row(tmp_path: Path) -> None:
    customers = BLOCK_CUSTOMERS + 2_000
    write_shop(tmp_path / "whole", customers, 3, FEW_EVENTS)
    small = ShopSettings(events_per_customer=5, customers_per_part=BLOCK_CUSTOMERS)
    write_shop(tmp_path / "parts", customers, 3, small)
    for name in ("customers", *BUILT_IN, "truth/customers"):
        whole = pq.read_table(tmp_path / "whole" / f"{name}-0000.parquet")
        parts = [pq.read_table(tmp_path / "parts" / f"{name}-000{part}.parquet") for part in (0, 1)]
        assert pa.concat_tables(parts).equals(whole), name
    backoffice = [(tmp_path / which / "orders_backoffice.csv").read_bytes() for which in ("whole", "parts")]
    assert backoffice[0] == backoffice[1]


def test_a_block_needs_no_other_block() -> None:
    shop = writing.build_shop(2 * BLOCK_CUSTOMERS + 500, 3, FEW_EVENTS)
    _, middle, last = writing.blocks(shop)
    alone = writing.simulate_block(shop, last)
    writing.simulate_block(shop, middle)
    after = writing.simulate_block(shop, last)
    assert alone.truth.num_rows == 500
    assert alone.truth.equals(after.truth) and alone.backoffice == after.backoffice
    assert all(table.equals(after.tables[name]) for name, table in alone.tables.items())


def test_the_number_of_events_leaves_the_orders_as_they_are(tmp_path: Path) -> None:
    few = write_shop(tmp_path / "few", 1_000, 5, ShopSettings(events_per_customer=8))
    many = write_shop(tmp_path / "many", 1_000, 5, ShopSettings(events_per_customer=60))
    assert few.rows["events"] < 12_000 and 48_000 < many.rows["events"] < 75_000
    same = {name for name, digest in _digests(tmp_path / "few").items() if digest == _digests(tmp_path / "many")[name]}
    assert {"orders-0000.parquet", "items-0000.parquet", "refunds-0000.parquet"} <= same


def test_truth_does_not_leak(shop: Path) -> None:
    hidden = set(pq.read_schema(shop / "truth" / "customers-0000.parquet").names) - {"customer_key"}
    words = {kind.name for kind in TYPES} | set(LIFECYCLE_TIERS) - {"new"}
    for file in sorted(shop.glob("*.parquet")):
        table = pq.read_table(file)
        assert not hidden & set(table.column_names), file.name
        for name in table.column_names:
            if table.schema.field(name).type == pa.string():
                assert not words & set(table.column(name).unique().to_pylist()), (file.name, name)


@pytest.mark.parametrize("customers", [1, 2, 7])
def test_a_tiny_shop(tmp_path: Path, customers: int) -> None:
    summary = write_shop(tmp_path / "tiny", customers, seed=0)
    assert summary.rows["truth"] == customers


def test_the_edges_of_the_settings(tmp_path: Path) -> None:
    end = datetime(2031, 3, 4, 5, 6, 7, tzinfo=UTC)
    settings = ShopSettings(
        end=end, years=1.5, growth=0, prospect_share=0, visitor_share=0, events_per_customer=1, dirt=0
    )
    write_shop(tmp_path / "edge", 300, 0, settings)
    times = pq.read_table(tmp_path / "edge" / "events-0000.parquet").column("time").to_pylist()
    assert max(times).replace(tzinfo=None) < datetime(2031, 3, 4, 13, 6, 7)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(BadRequest, match="is not an empty folder"):
        write_shop(tmp_path, 10, 1)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write_shop(tmp_path / "empty", 10, 1).customers == 10


def test_nothing_is_left_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(writing, "truth_table", fail)
    with pytest.raises(OSError, match="No space"):
        write_shop(tmp_path / "shop", 10, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("customers", "seed", "words"),
    [(0, 1, "customers = 0: must be from 1"), (10**9, 1, "customers = 1000000000"), (5, -1, "seed = -1: must be 0")],
)
def test_numbers_out_of_bounds(tmp_path: Path, customers: int, seed: int, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        write_shop(tmp_path / "shop", customers, seed)
