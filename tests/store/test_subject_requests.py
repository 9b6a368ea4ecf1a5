"""The register of what people ask about their own data: what is due first comes first, and ends once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.store import Actor, Store

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN = Actor("user", "ann")


def test_what_is_due_first_comes_first_and_ends_once(store: Store) -> None:
    late, soon = (
        store.requests.open(7, kind, "  by telephone ", ANN, AT, AT + timedelta(days=days))
        for kind, days in (("export", 30), ("erase", 15))
    )
    assert [one.request_id for one in store.requests.list()] == [soon.request_id, late.request_id]
    assert (soon.note, soon.state) == ("by telephone", "open")
    done = store.requests.close(soon.request_id, "done", ANN, AT + timedelta(days=1))
    assert (done.state, done.closed_by) == ("done", ANN)
    with pytest.raises(BadRequest, match="is done already"):
        store.requests.close(soon.request_id, "refused", ANN, AT)
    assert [one.request_id for one in store.requests.list(state="open")] == [late.request_id]
    assert [one.kind for one in store.requests.of(7)] == ["export", "erase"]
    assert store.requests.of(8) == []


def test_what_nobody_can_ask(store: Store) -> None:
    with pytest.raises(BadRequest, match="nobody can ask"):
        store.requests.open(7, "forget", "", ANN, AT, AT)
    with pytest.raises(BadRequest, match="2001 characters"):
        store.requests.open(7, "erase", "x" * 2001, ANN, AT, AT)
    with pytest.raises(BadRequest, match="does not end as"):
        store.requests.close(1, "open", ANN, AT)
    with pytest.raises(UnknownName, match="no request 1"):
        store.requests.close(1, "done", ANN, AT)
    with pytest.raises(BadRequest, match="no request is"):
        store.requests.list(state="late")
