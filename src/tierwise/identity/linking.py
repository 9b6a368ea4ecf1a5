"""Linking: from the evidence in the store to who is which customer, for everybody or around some records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tierwise.definitions.identity import Identity
from tierwise.errors import BadRequest
from tierwise.identity.carry import carried
from tierwise.identity.evidence import BY_MODEL, Evidence, evidence_of
from tierwise.identity.graph import Ints
from tierwise.identity.placeholders import placeholders
from tierwise.identity.reach import around
from tierwise.identity.solve import Solution, solve
from tierwise.store import Actor, Change, Store
from tierwise.store.links import BY_HAND, EDGES

__all__ = ["Decision", "Linker", "declared_digest", "edges_found"]

#: The methods of edges that no linking makes or retracts by itself.
_DECIDED: Final = (BY_HAND, BY_MODEL)
_NewEdge = tuple[str, str, int, int, float | None]


@dataclass(frozen=True)
class Decision:
    """What is decided, by a person or by nobody: edges that begin, edges that end, and why.

    `together` are two records that have to be one customer afterwards; if they are not, nothing is done. `review` is
    the number of the review that is decided by it, and how.
    """

    kind: str
    added: Sequence[tuple[str, str, int, int, float | None]] = ()
    retracted: Sequence[int] = ()
    reason: str | None = None
    details: Mapping[str, Any] | None = None
    together: tuple[int, int] | None = None
    review: tuple[int, str] | None = None


class Linker:
    """Links the records of one store as declared.

    Args:
        store: the store.
        declared: what identifies.
        actor: who asks.
        at: when.
    """

    def __init__(self, store: Store, declared: Identity, actor: Actor, at: datetime) -> None:
        self._store, self._declared, self._actor, self._at = store, declared, actor, at
        self._blanks: list[bytes] | None = None

    def link(self, lake_version: int, arrived: Sequence[int] | None) -> dict[str, Any]:
        """Link everybody, or only those around some records; record it and return the report.

        Args:
            lake_version: up to which version of the lake the vault's values have come.
            arrived: the records whose values may be new since the last linking; nothing links everybody.
        """
        report = self.decide(Decision("link"), arrived)
        digest = declared_digest(self._declared)
        self._store.links.finish(report["identity_version"], lake_version, digest, self._at, report)
        return report

    def decide(self, decision: Decision, some: Sequence[int] | None) -> dict[str, Any]:
        """Put a decision into effect, with what follows from it, as one identity version; return the report.

        Raises:
            BadRequest: when what must be one customer afterwards must stay apart.
            ProjectBusy: when somebody else has changed the identities meanwhile.
        """
        store = self._store
        based_on = store.ids.version()
        near = None if some is None else around(store, self._declared, some, self.blanks())
        held = store.ids.customers() if near is None else near.customers
        order = np.argsort(held["source_record_id"].to_numpy(), kind="stable")
        records, customers = (_ints(held[name])[order] for name in ("source_record_id", "customer_id"))
        named = None if near is None else records.tolist()
        edges = store.links.edges(named)
        evidence = evidence_of(
            records,
            store.links.holdings(named),
            _with(edges, decision),
            self._declared,
            self.blanks(),
            None if near is None else near.whole,
        )
        solution = solve(len(records), evidence.levels, evidence.apart)
        _refuse_contradiction(records, solution, decision)
        homes = store.links.homes(named)
        had = np.flatnonzero(np.isin(records, np.fromiter(homes, np.int64, len(homes))))
        now = carried(solution.labels, customers, {place: homes[int(records[place])] for place in had.tolist()})
        moved = np.flatnonzero(now != customers)
        added, gone = edges_found(records, solution, edges)
        change = Change(
            decision.kind,
            based_on,
            list(zip(records[moved].tolist(), now[moved].tolist(), strict=True)),
            [*decision.added, *added],
            [*decision.retracted, *gone],
            decision.reason,
            decision.details or {},
            decision.review,
        )
        version = store.links.apply(change, actor=self._actor, at=self._at)
        return {
            "identity_version": version,
            "everybody": some is None,
            "records": len(records),
            "moved": len(moved),
            "customers_before": len(np.unique(customers)),
            "customers": len(np.unique(solution.labels)),
            **_found(evidence, solution),
        }

    def blanks(self) -> list[bytes]:
        """Return the blind indexes of placeholders."""
        if self._blanks is None:
            known = placeholders(self._declared.placeholders) if self._store.vault.in_use() else ()
            found = (self._store.people.index_of(role, text) for role, text in known)
            self._blanks = [one for one in found if one is not None]
        return self._blanks


def declared_digest(declared: Identity) -> str:
    """Return the hash of what identifies: when it changes everybody is linked again."""
    return hashlib.sha256(declared.model_dump_json().encode()).hexdigest()[:16]


def edges_found(records: Ints, solution: Solution, edges: pa.Table) -> tuple[list[_NewEdge], list[int]]:
    """Compare the edges that identifiers give with those that are recorded.

    Args:
        records: the records that were linked.
        solution: what linking gave.
        edges: the recorded edges of these records.

    Returns:
        The edges to record, and the numbers of those to retract. What a person or a model has decided is in neither.
    """
    found = [one for one in solution.linked if one.name not in _DECIDED]
    names = [one.name for one in found]
    methods = edges["method"].to_pylist()
    own = np.array([method not in _DECIDED for method in methods], np.bool_)
    known = [*dict.fromkeys([*names, *(method for method in methods if method not in _DECIDED)])]
    numbers = {name: place for place, name in enumerate(known)}
    none = [np.zeros(0, np.int64)]
    left = np.concatenate([records[one.left] for one in found] or none)
    right = np.concatenate([records[one.right] for one in found] or none)
    which = np.concatenate([np.full(len(one.left), numbers[one.name], np.int64) for one in found] or none)
    there = [_ints(edges[name])[own] for name in ("source_record_id", "other_record_id", "edge_id")]
    of = np.array([numbers[method] for method, mine in zip(methods, own, strict=True) if mine], np.int64)
    # One number for both ends and the method: with a hundred million records and twenty methods it fits.
    span = int(max([0, *(int(side.max()) for side in (left, right, *there[:2]) if len(side))])) + 1
    assert span * span * max(len(known), 1) < 2**63, "too many records to compare their edges by one number"
    now = (left * span + right) * len(known) + which
    before = (there[0] * span + there[1]) * len(known) + of
    now, first = np.unique(now, return_index=True)
    fresh = first[~np.isin(now, before)]
    added: list[_NewEdge] = [
        ("same", known[name], one, other, None)
        for name, one, other in zip(which[fresh].tolist(), left[fresh].tolist(), right[fresh].tolist(), strict=True)
    ]
    return added, there[2][~np.isin(before, now)].tolist()


def _with(edges: pa.Table, decision: Decision) -> pa.Table:
    """Return the edges as they are after a decision."""
    kept = edges.filter(pc.invert(pc.is_in(edges["edge_id"], value_set=pa.array(decision.retracted, pa.int64()))))
    new = [
        {"edge_id": -place, "kind": kind, "method": method, "source_record_id": one, "other_record_id": other}
        for place, (kind, method, one, other, _) in enumerate(decision.added, 1)
    ]
    return pa.concat_tables([kept, pa.Table.from_pylist(new, EDGES)])


def _refuse_contradiction(records: Ints, solution: Solution, decision: Decision) -> None:
    if decision.together is None:
        return
    one, other = np.searchsorted(records, decision.together)
    if solution.labels[one] != solution.labels[other]:
        raise BadRequest(
            "they have different numbers of a kind of which a person has one, or were parted from a third one",
            "correct the number in its source, or take the record with the wrong one out first",
        )


def _found(evidence: Evidence, solution: Solution) -> dict[str, Any]:
    """Return what a linking found, identifier by identifier."""
    return {
        "identifiers": {
            one.name: {
                "edges": len(one.left),
                "hubs": one.hubs,
                "contested": one.contested,
                "placeholders": evidence.placeholders.get(one.name, 0),
            }
            for one in solution.linked
        },
        "contradictory": len(evidence.contradictory),
    }


def _ints(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.to_numpy().astype(np.int64)
    return found
