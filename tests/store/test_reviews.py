"""Reviews: a pair is asked once, decided once, and settled when it is no question any more."""

from __future__ import annotations

import pytest

from tests.store.people_data import AT, records
from tierwise.errors import BadRequest, UnknownName
from tierwise.store import Actor, Change, Store

ANN = Actor("cli", "ann")


def test_a_pair_is_asked_once_and_decided_once(store: Store) -> None:
    one, other, third = records(store, "a", "b", "c")
    pairs = [(one, other, 0.7, {"name": 3}), (one, third, 0.9, {"name": 2})]
    assert store.reviews.open(pairs, AT) == 2
    assert store.reviews.open(pairs, AT) == 0
    assert [(review.other_record_id, review.score) for review in store.reviews.list()] == [(third, 0.9), (other, 0.7)]
    (number,) = [review.review_id for review in store.reviews.list() if review.other_record_id == other]
    added = [("different", "person", other, one, None)]
    change = Change("review", store.ids.version(), added=added, reason="asked", review=(number, "different"))
    store.links.apply(change, actor=ANN, at=AT)
    decided = store.reviews.get(number)
    assert (decided.state, decided.reason, decided.actor) == ("different", "asked", "cli:ann")
    assert store.reviews.open(pairs, AT) == 0, "what was decided is never asked again"
    again = Change("review", store.ids.version(), reason="asked", review=(number, "same"))
    with pytest.raises(BadRequest, match="not open"):
        store.links.apply(again, actor=ANN, at=AT)
    with pytest.raises(UnknownName, match="no review"):
        store.reviews.get(999)


def test_what_is_no_question_any_more_is_settled(store: Store) -> None:
    one, other, third = records(store, "a", "b", "c")
    store.reviews.open([(one, other, 0.7, {}), (one, third, 0.9, {})], AT)
    store.reviews.open([(one, third, 0.9, {})], AT)
    assert [review.other_record_id for review in store.reviews.list()] == [third]
    customer = store.ids.customers()["customer_id"][0].as_py()
    store.links.apply(Change("merge", store.ids.version(), moves=[(third, customer)]), actor=ANN, at=AT)
    assert store.reviews.list() == [], "they are one customer now"
