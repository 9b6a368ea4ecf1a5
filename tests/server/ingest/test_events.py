"""What a request says, event by event: texts as they were sent, and a reason for everything that is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tierwise.errors import BadRequest
from tierwise.server.ingest.events import MOST_EVENTS, decode, judge, spec_rows


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe", b'{"a": "\xff"}', b"[" * 5_000,
     b'{"a": "\\ud800"}', '{"a": 1}'.encode("utf-16")],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode(body)


def test_numbers_stay_what_was_written() -> None:
    event = decode(b'{"id": 12345678901234567890123, "paid": 0.10, "rate": 1e-7}')
    assert judge([event], ["id"]).rows == [{"id": "12345678901234567890123", "paid": "0.10", "rate": "1e-7"}]


def deep(levels: int) -> dict[str, Any]:
    return {"id": "a", "x": {"y": deep(levels - 1)}} if levels else {"z": 1}


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (7, "events.1"),
        ({}, "events.1.id"),
        ({"id": "  "}, "events.1.id"),
        ({"id": "a", "": 1}, "events.1"),
        ({"id": "a", "x": {"n\u0007": 1}}, "events.1.x"),
        (deep(9), "events.1.x_y_x_y_x_y_x"),
        ({"id": "a", "x": {"y": 1}, "x_y": 2}, "events.1"),
        ({"id": "a", "note": "x" * 40_000}, "events.1"),
        ({"id": "a", **{f"c{n}": 1 for n in range(400)}}, "events.1"),
    ],
)
def test_an_event_that_is_none_is_refused_alone(event: object, path: str) -> None:
    judged = judge([{"id": "good"}, event, {"id": "too"}], ["id"])
    assert judged.rows == [{"id": "good"}, {"id": "too"}]
    (refusal,) = judged.refused
    assert (refusal.index, refusal.path) == (1, path)


@pytest.mark.parametrize("events", [None, {}, [], "x", [{"id": "a"}] * (MOST_EVENTS + 1)])
def test_what_is_no_list_of_events_is_refused(events: object) -> None:
    with pytest.raises(BadRequest):
        judge(events, ["id"])


def test_a_batch_of_an_event_library_is_taken_as_it_is() -> None:
    body = decode(
        b'{"batch": [{"type": "track", "messageId": "m-1", "userId": "u", "event": "Order Completed",'
        b' "properties": {"revenue": 39.95, "products": [{"sku": "a"}]}, "integrations": {}},'
        b' {"type": "identify", "messageId": "m-2", "anonymousId": "x", "traits": {"address": {"city": "Suzhou"}}}],'
        b' "sentAt": "2026-05-01T00:00:00Z", "context": {"library": {"name": "python"}}, "writeKey": "k"}'
    )
    rows, where = spec_rows(body, "batch")
    judged = judge(rows, ["messageId"], where)
    assert judged.refused == []
    assert judged.rows[0]["properties_revenue"] == "39.95"
    assert judged.rows[0]["properties_products"] == '[{"sku":"a"}]'
    assert judged.rows[1]["traits_address_city"] == "Suzhou"
    assert all(row["context_library_name"] == "python" and "writeKey" not in row for row in judged.rows)
