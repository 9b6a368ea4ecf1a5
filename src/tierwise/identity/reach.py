"""Whom new evidence can concern: the records around some, as far as any evidence leads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tierwise.definitions.identity import Identifier, Identity
from tierwise.identity.graph import Ints
from tierwise.identity.solve import Level, pairs_within
from tierwise.store import Store
from tierwise.store.links import HOLDINGS, Fields

__all__ = ["Surroundings", "around"]


@dataclass(frozen=True)
class Surroundings:
    """The records concerned with their customers, and the holdings of the values whose every holder is among them."""

    customers: pa.Table
    whole: pa.Table


def around(store: Store, declared: Identity, seeds: Sequence[int], nothing: Iterable[bytes]) -> Surroundings:
    """Return every record whose customer may be another one because of what some records hold.

    These are the records of every customer who shares something with them that links, or with whom they were parted,
    and so on until nobody is added. Linking them alone then gives what linking everybody would.

    Args:
        store: the store.
        declared: what identifies.
        seeds: the records whose values may be new.
        nothing: the blind indexes of placeholders.
    """
    return _Around(store, declared, seeds, nothing).found()


class _Around:
    def __init__(self, store: Store, declared: Identity, seeds: Sequence[int], nothing: Iterable[bytes]) -> None:
        self.store, self.declared, self.seeds = store, declared, seeds
        self.nothing = pa.array(list(nothing), pa.binary())
        self.asked: dict[str, set[bytes]] = {name: set() for name in declared.identifiers}
        self.whole: dict[str, list[pa.Table]] = {name: [HOLDINGS.empty_table()] for name in declared.identifiers}

    def found(self) -> Surroundings:
        ids = self.store.ids
        customers = ids.customers_of(list(self.seeds))
        members = _records(customers)
        frontier = members
        while len(frontier):
            partners = np.setdiff1d(self.partners(frontier, members), members)
            more = ids.customers_of(partners.tolist())
            frontier = np.setdiff1d(_records(more), members)
            new = more.filter(pc.is_in(more["source_record_id"], value_set=pa.array(frontier)))
            customers = pa.concat_tables([customers, new])
            members = np.union1d(members, frontier)
        tables = [self.counted(name, form) for name, form in self.declared.identifiers.items()]
        whole = pa.concat_tables(tables)
        here = pc.is_in(whole["source_record_id"], value_set=pa.array(members))
        return Surroundings(customers, whole.filter(here))

    def counted(self, name: str, form: Identifier) -> pa.Table:
        """Return the holdings of an identifier, of a weak one without those of a crowd.

        Not every holder of a weak value is among the records concerned, so they are counted before the others go.
        """
        table = pa.concat_tables(self.whole[name])
        if form.strength == "strong" or not table.num_rows:
            return table
        values, records = self.values(name, form), table["source_record_id"].to_numpy().astype(np.int64)
        both = np.unique(np.stack([values, records], 1), axis=0)
        few = np.bincount(both[:, 0], minlength=int(values.max()) + 1) <= form.holders_max
        return table.filter(pa.array(few[values]))

    def values(self, name: str, form: Identifier) -> Ints:
        """Return the values of an identifier's holdings as numbers; equal ones mean the same thing."""
        table = pa.concat_tables(self.whole[name])
        texts = [
            index + space.encode() if form.scope == "key_space" else index
            for index, space in zip(*(table[c].to_pylist() for c in ("blind_index", "key_space")), strict=True)
        ]
        codes = pa.array(texts, pa.binary()).dictionary_encode().indices.to_numpy(zero_copy_only=False)
        found: Ints = codes.astype(np.int64)
        return found

    def partners(self, frontier: Ints, members: Ints) -> Ints:
        """Return the records that something leads to from some."""
        links = self.store.links
        held = links.holdings(frontier.tolist())
        if len(self.nothing):
            held = held.filter(pc.invert(pc.is_in(held["blind_index"], value_set=self.nothing)))
        found = [np.zeros(0, np.int64)]
        for name, form in self.declared.identifiers.items():
            new = self.holders(name, form, held)
            if form.strength == "strong":
                found.append(_records(new))
        found.append(self.in_weak_pairs(frontier))
        edges = links.edges(frontier.tolist())
        found += [edges[name].to_numpy().astype(np.int64) for name in ("source_record_id", "other_record_id")]
        return np.unique(np.concatenate(found))

    def holders(self, name: str, form: Identifier, held: pa.Table) -> pa.Table:
        """Return who has the values of an identifier that stand in some holdings and were not asked for yet.

        A value that has become one of a crowd by what the seeds hold is asked for too: its holders part.
        """
        indexes = {
            index
            for field, role, index in zip(*(held[c].to_pylist() for c in ("field", "role", "blind_index")), strict=True)
            if self.declared.named(field, role) == name
        }
        new = indexes - self.asked[name]
        self.asked[name] |= new
        if not new:
            return HOLDINGS.empty_table()
        found = self.store.links.holders(sorted(new), form.holders_max + len(self.seeds), self.fields(name, form))
        self.whole[name].append(found)
        return found

    def fields(self, name: str, form: Identifier) -> Fields:
        by_role = name if self.declared.takes(name) else ""
        others = [
            field for other in self.declared.identifiers if other != name for field in self.declared.fields(other)
        ]
        return Fields(self.declared.fields(name), by_role, tuple(others), form.scope == "key_space")

    def in_weak_pairs(self, frontier: Ints) -> Ints:
        """Return who agrees with some records on two weak identifiers."""
        pairs: list[set[tuple[int, int]]] = []
        for name, form in self.declared.identifiers.items():
            if form.strength == "weak":
                records = pa.concat_tables(self.whole[name])["source_record_id"].to_numpy().astype(np.int64)
                both = np.unique(np.stack([records, self.values(name, form)], 1), axis=0)
                left, right = pairs_within(Level(name, both[:, 0], both[:, 1], form.holders_max + len(self.seeds)))
                pairs.append(set(zip(left.tolist(), right.tolist(), strict=True)))
        agreeing = {pair for place, some in enumerate(pairs) for other in pairs[place + 1 :] for pair in some & other}
        near = set(frontier.tolist())
        return np.array([end for pair in agreeing if near & {*pair} for end in pair], np.int64)


def _records(table: pa.Table) -> Ints:
    return np.unique(table["source_record_id"].to_numpy()).astype(np.int64)
