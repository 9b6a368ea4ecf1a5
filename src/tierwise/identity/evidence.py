"""From what the vault holds to levels of evidence: who has which identifier, and what that proves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tierwise.definitions.identity import Identity
from tierwise.identity.graph import Bools, Ints
from tierwise.identity.solve import Apart, Level, pairs_within
from tierwise.store.links import BY_HAND

__all__ = ["BY_MODEL", "Evidence", "evidence_of"]

#: The method of an edge that a probability gave.
BY_MODEL = "model"


@dataclass(frozen=True)
class Evidence:
    """Everything `solve` needs, of `records` in their order.

    `contradictory` are the records that have two different values of an exclusive identifier: nothing links them.
    `placeholders` counts by identifier the values left out because they stand for nothing.
    """

    records: Ints
    levels: tuple[Level, ...]
    apart: Apart
    contradictory: Ints
    placeholders: Mapping[str, int] = field(default_factory=dict)


def evidence_of(
    records: Ints,
    holdings: pa.Table,
    edges: pa.Table,
    declared: Identity,
    nothing: Iterable[bytes] = (),
    whole: pa.Table | None = None,
) -> Evidence:
    """Return the evidence on some records.

    Args:
        records: their numbers, sorted.
        holdings: the columns of `tierwise.store.links.HOLDINGS`, of these records.
        edges: the columns of `tierwise.store.links.EDGES`: what was decided by hand and by a model.
        declared: what identifies, strongest first.
        nothing: the blind indexes of placeholders.
        whole: when these are not all records, the holdings of the values of which every holder is here; the others
            are of a crowd and link nobody, but an exclusive one still says who is not the same.
    """
    nothing = list(nothing)
    of, counted = _by_identifier(records, holdings, declared, nothing)
    exclusive, contradictory = [], np.zeros(len(records), np.bool_)
    for name, form in declared.identifiers.items():
        if form.exclusive:
            values, twice = _only_values(len(records), *of[name])
            exclusive.append(values)
            contradictory |= twice
    if whole is not None:
        of, _ = _by_identifier(records, whole, declared, nothing)
    of = {name: _without(contradictory, *pair) for name, pair in of.items()}
    levels = [_pairs(BY_HAND, records, edges, "same", BY_HAND)]
    for name, form in declared.identifiers.items():
        if form.strength == "strong":
            levels.append(Level(name, *of[name], form.holders_max))
    levels += _weak(of, declared)
    levels.append(_pairs(BY_MODEL, records, edges, "same", BY_MODEL))
    parted = _ends(records, edges, pc.equal(edges["kind"], "different"))
    apart = Apart(tuple(exclusive), *parted)
    return Evidence(records, tuple(levels), apart, records[contradictory], counted)


def _by_identifier(
    records: Ints, holdings: pa.Table, declared: Identity, nothing: Iterable[bytes]
) -> tuple[dict[str, tuple[Ints, Ints]], dict[str, int]]:
    """Return (positions, values) of each identifier, each pair once, and how many placeholders were left out."""
    encoded = {name: holdings[name].combine_chunks().dictionary_encode() for name in ("field", "role", "key_space")}
    indexes = holdings["blind_index"].combine_chunks().dictionary_encode()
    values = indexes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    blanks = pa.array(list(nothing), pa.binary())
    blank = (
        pc.is_in(indexes.dictionary, value_set=blanks).to_numpy(zero_copy_only=False)[values] if len(blanks) else None
    )
    positions = np.searchsorted(records, holdings["source_record_id"].to_numpy()).astype(np.int64)
    codes = {name: one.indices.to_numpy(zero_copy_only=False).astype(np.int64) for name, one in encoded.items()}
    fields, roles = encoded["field"].dictionary.to_pylist(), encoded["role"].dictionary.to_pylist()
    names = [*declared.identifiers]
    belongs = np.array(
        [names.index(n) if (n := declared.named(f, r)) is not None else -1 for f in fields for r in roles], np.int64
    )
    which = belongs[codes["field"] * max(len(roles), 1) + codes["role"]] if len(values) else values
    spaces = max(len(encoded["key_space"].dictionary), 1)
    found, counted = {}, {}
    for number, (name, form) in enumerate(declared.identifiers.items()):
        mine = which == number
        if blank is not None:
            counted[name] = int((mine & blank).sum())
            mine &= ~blank
        held = values[mine] * spaces + codes["key_space"][mine] if form.scope == "key_space" else values[mine]
        found[name] = _once(positions[mine], held)
    return found, {name: count for name, count in counted.items() if count}


def _once(holders: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Return the distinct pairs."""
    order = np.lexsort((values, holders))
    who, what = holders[order], values[order]
    first = np.ones(len(who), np.bool_)
    first[1:] = (who[1:] != who[:-1]) | (what[1:] != what[:-1])
    return who[first], what[first]


def _only_values(count: int, holders: Ints, values: Ints) -> tuple[Ints, Bools]:
    """Return the value of each record, -1 where it has none or several, and which have several."""
    only = np.full(count, -1, np.int64)
    only[holders] = values
    twice = np.bincount(holders, minlength=count) > 1
    only[twice] = -1
    return only, twice


def _without(barred: Bools, holders: Ints, values: Ints) -> tuple[Ints, Ints]:
    kept = ~barred[holders]
    return holders[kept], values[kept]


def _weak(of: Mapping[str, tuple[Ints, Ints]], declared: Identity) -> list[Level]:
    """Return the pairs of records on whom two weak identifiers agree, one level for each two of them."""
    names = [name for name, form in declared.identifiers.items() if form.strength == "weak"]
    pairs = {
        name: _keys(*pairs_within(Level(name, *of[name], declared.identifiers[name].holders_max))) for name in names
    }
    levels = []
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            both = np.intersect1d(pairs[one], pairs[other])
            levels.append(_level_of_pairs(f"{one}+{other}", both // _SHIFT, both % _SHIFT))
    return levels


_SHIFT = 2**31


def _keys(left: Ints, right: Ints) -> Ints:
    return np.unique(left * _SHIFT + right)


def _pairs(name: str, records: Ints, edges: pa.Table, kind: str, method: str) -> Level:
    chosen = pc.and_(pc.equal(edges["kind"], kind), pc.equal(edges["method"], method))
    return _level_of_pairs(name, *_ends(records, edges, chosen))


def _ends(records: Ints, edges: pa.Table, chosen: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """Return the positions of both records of the chosen edges; an edge to a record that is not here is left out."""
    some = edges.filter(chosen)
    sides = [some[name].to_numpy().astype(np.int64) for name in ("source_record_id", "other_record_id")]
    here = np.isin(sides[0], records) & np.isin(sides[1], records)
    left, right = (np.searchsorted(records, side[here]).astype(np.int64) for side in sides)
    return left, right


def _level_of_pairs(name: str, left: Ints, right: Ints) -> Level:
    numbers = np.arange(len(left), dtype=np.int64)
    return Level(name, np.concatenate([left, right]), np.concatenate([numbers, numbers]))
