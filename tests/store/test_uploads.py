"""Uploaded files: recorded when they come, ended once, as the project's or as nobody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.store import Actor, Store

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN = Actor("user", "ann")


def test_an_upload_ends_once(store: Store) -> None:
    found = store.uploads.begin("orders.csv", 12, "f00", ANN, AT)
    assert (found.state, found.ended_at, found.actor) == ("uploaded", None, ANN)
    later = AT + timedelta(hours=1)
    done = store.uploads.commit(found.upload_id, "orders", "data/orders.csv", 7, ANN, later)
    assert (done.state, done.source, done.file, done.job_id, done.ended_at) == (
        "committed", "orders", "data/orders.csv", 7, later,
    )  # fmt: skip
    with pytest.raises(BadRequest, match="committed before"):
        store.uploads.discard(found.upload_id, ANN, later)
    with pytest.raises(UnknownName, match="no upload 99"):
        store.uploads.get(99)


def test_what_nobody_took_is_found_again(store: Store) -> None:
    old, new = (store.uploads.begin("a.csv", 1, "f", ANN, AT + timedelta(days=day)) for day in (0, 2))
    gone = store.uploads.begin("b.csv", 1, "f", ANN, AT)
    store.uploads.discard(gone.upload_id, ANN, AT)
    assert [one.upload_id for one in store.uploads.waiting(AT + timedelta(days=1))] == [old.upload_id]
    assert [one.upload_id for one in store.uploads.list(2)] == [gone.upload_id, new.upload_id]
    actions = [entry.action for entry in store.audit.list(on=f"upload:{gone.upload_id}")]
    assert actions == ["upload.discarded", "upload.begin"]
