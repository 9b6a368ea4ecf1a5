"""Segments of the event log: a key each, how far each is absorbed, and nothing once it is destroyed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tierwise.store import Store

Raw = Callable[..., list[tuple[Any, ...]]]
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_segment_has_a_key_of_its_own_and_is_absorbed_forwards(store: Store, raw: Raw) -> None:
    (one, key), (two, other) = store.segments.begin(AT), store.segments.begin(AT)
    assert (two.segment_id - one.segment_id, one.absorbed_to, key != other) == (1, 0, True)
    assert store.segments.key(one.segment_id) == key
    assert key not in {bytes(row[0]) for row in raw("SELECT wrapped FROM log_segments")}
    store.segments.absorbed(one.segment_id, 70)
    store.segments.absorbed(one.segment_id, 30)
    assert [(found.absorbed_to, found.begun_at) for found in store.segments.all()] == [(70, AT), (0, AT)]


def test_another_master_key_opens_it_too(store: Store) -> None:
    segment, key = store.segments.begin(AT)
    assert sum(1 for _ in store.vault.rotate())
    assert store.segments.key(segment.segment_id) == key


def test_a_destroyed_segment_has_no_key(store: Store) -> None:
    segment, _ = store.segments.begin(AT)
    store.segments.destroy(segment.segment_id)
    assert store.segments.key(segment.segment_id) is None
    assert store.segments.all() == []
    assert store.segments.begin(AT)[0].segment_id > segment.segment_id, "a number is never given twice"
