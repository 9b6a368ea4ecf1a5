"""Edges and moves: rows that begin and end in identity versions, all of a change or nothing of it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.store.people_data import AT, records, values
from tierwise.errors import ProjectBusy
from tierwise.store import Actor, Change, Store
from tierwise.store.links import Fields

ANN = Actor("cli", "ann")


def current(store: Store) -> dict[int, int]:
    held = store.ids.customers()
    return dict(zip(held["source_record_id"].to_pylist(), held["customer_id"].to_pylist(), strict=True))


def test_a_change_is_one_version_with_its_edges_and_its_audit(store: Store) -> None:
    one, other, third = records(store, "a", "b", "c")
    before = current(store)
    edge = ("same", "phone", one, other, None)
    change = Change("link", store.ids.version(), [(other, before[one]), (third, -1)], [edge])
    version = store.links.apply(change, actor=ANN, at=AT)
    assert version == store.ids.version()
    after = current(store)
    assert after[other] == before[one]
    assert after[third] not in before.values(), "a new number"
    assert store.links.homes() == {other: before[other], third: before[third]}
    (recorded,) = store.links.history([other])
    assert (recorded.method, recorded.from_version, recorded.to_version) == ("phone", version, None)
    assert store.links.regrouped(version - 1) == sorted({*before.values(), after[third]})
    back = Change("split", version, [(other, before[other])], retracted=[recorded.edge_id], reason="two people")
    store.links.apply(back, actor=ANN, at=AT)
    (ended,) = store.links.history([one])
    assert (ended.retracted_by, ended.retracted_reason) == ("cli:ann", "two people")
    assert store.links.edges().num_rows == 0
    assert [entry.action for entry in store.audit.list(2)] == ["identity.split", "identity.link"]
    assert store.check() == []


def test_a_change_of_an_older_state_is_refused(store: Store) -> None:
    one, other = records(store, "a", "b")
    stale = Change("link", store.ids.version() - 1, [(other, current(store)[one])])
    with pytest.raises(ProjectBusy, match="meanwhile"):
        store.links.apply(stale, actor=ANN, at=AT)
    assert len({*current(store).values()}) == 2


def test_holders_are_those_of_values_that_few_have(store: Store) -> None:
    people = records(store, *(f"p{n}" for n in range(4)))
    rows = [(record, "phone", "138-2468-0135") for record in people] + [(people[0], "email", "a@x.cn")]
    store.people.put(values(*rows), AT)
    held = store.links.holdings(people[:1])
    assert sorted(held["field"].to_pylist()) == ["email", "phone"]
    indexes = held["blind_index"].to_pylist()
    assert store.links.holders(indexes, 4, Fields(role="phone"))["source_record_id"].to_pylist() == people
    assert store.links.holders(indexes, 3, Fields(role="phone")).num_rows == 0
    assert store.links.holders(indexes, 3, Fields(("email",)))["source_record_id"].to_pylist() == people[:1]
    assert store.links.holders(indexes, 4, Fields(("phone",), by_space=True)).num_rows == 4


def test_a_number_that_went_into_another_is_known_then_and_now(store: Store) -> None:
    one, other = records(store, "a", "b")
    before = current(store)
    first = store.ids.version()
    merged = store.links.apply(Change("merge", first, [(other, before[one])]), actor=ANN, at=AT)
    assert store.ids.aliases().to_pylist() == [
        {"former_id": before[other], "customer_id": before[one], "merged_in": merged}
    ]
    assert store.ids.find(f"id:{before[other]}") == [before[one]]
    assert store.ids.customers(first)["customer_id"].to_pylist() == [before[one], before[other]]
    assert store.ids.recorded([merged]) == {merged: AT}
    assert store.links.counts()["largest"] == 2
    assert pa.table(store.links.was(before[other])).num_rows == 2
    assert store.links.changed_since(first)
    assert not store.links.changed_since(merged)
