"""What people ask and decide about who is one person: report, why, merge, split, review."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tierwise.definitions.identity import Identity
from tierwise.errors import BadRequest, UnknownName
from tierwise.identity.evidence import BY_MODEL
from tierwise.identity.linking import Decision, Linker
from tierwise.store import Actor, Edge, Review, Store
from tierwise.store.links import BY_HAND

__all__ = ["IdentityDesk"]

#: How many records of one customer may be parted from some in one decision.
_PARTED_MAX: Final = 10_000


class IdentityDesk:
    """The verbs about who is one person.

    Args:
        store: the store.
        declared: what identifies; nothing where the project declares no identity.
        find: gives the customer of a number, an identifier or ``id:42``.
        actor: who is asking.
        at: when.
    """

    def __init__(
        self, store: Store, declared: Identity | None, find: Callable[[str], int], actor: Actor, at: datetime
    ) -> None:
        self._store, self._declared, self._find, self._actor, self._at = store, declared, find, actor, at

    # -- asking -----------------------------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Return how many records are how many customers, what links them, and what the last linking found."""
        last = self._store.links.last()
        return {
            "declared": self._declared is not None,
            "identity_version": self._store.ids.version(),
            **self._store.links.counts(),
            "last_linking": None if last is None else {"recorded_at": last.recorded_at, **(last.report or {})},
        }

    def why(self, one: str, other: str) -> dict[str, Any]:
        """Say why two records are one customer, step by step, or what is known of their being two.

        Args:
            one: a customer's number, an identifier, or ``id:42``.
            other: another one; of two numbers of one customer the way leads from record to record.

        Raises:
            UnknownName: when nobody has one of them.
            BadRequest: when several have, or both name one record.
        """
        ours, theirs = self._records(one), self._records(other)
        if ours & theirs and len(ours | theirs) == 1:
            raise BadRequest(f"`{one}` and `{other}` are one record", "name two")
        customers = {self._find(one), self._find(other)}
        records = self._of_customers(customers)
        edges = self._store.links.history([*records])
        between = [
            edge
            for edge in edges
            if {edge.source_record_id in ours, edge.other_record_id in ours} == {True, False}
            and (edge.source_record_id in theirs or edge.other_record_id in theirs)
        ]
        way = _way([edge for edge in edges if edge.kind == "same" and edge.to_version is None], ours, theirs)
        return {
            "same": len(customers) == 1,
            "customers": sorted(customers),
            "way": [self._step(edge, records) for edge in way] if len(customers) == 1 else [],
            "history": [self._step(edge, records) for edge in between],
        }

    def history(self, key: str) -> list[dict[str, Any]]:
        """Return which records a customer has had in which identity versions, and where each was before and after."""
        found = self._store.links.was(self._find(key))
        return list(found.to_pylist())

    # -- deciding ---------------------------------------------------------------------------------------------------

    def merge(self, one: str, other: str, *, reason: str) -> dict[str, Any]:
        """Say that two customers are one person; the older number survives. Return the report.

        Raises:
            BadRequest: when they are one already, when there is no reason, or when verified numbers contradict it.
        """
        linker = self._linker(reason, "a merge")
        first, second = self._find(one), self._find(other)
        if first == second:
            raise BadRequest(f"`{one}` and `{other}` are one customer already, id:{first}", "name two customers")
        mine, theirs = [*self._of_customers({first})], [*self._of_customers({second})]
        parted = [
            edge.edge_id
            for edge in self._store.links.history(mine, live=True)
            if edge.kind == "different" and {edge.source_record_id, edge.other_record_id} & {*theirs}
        ]
        edge = ("same", BY_HAND, min(mine), min(theirs), None)
        said = {"customers": [first, second]}
        decision = Decision("merge", [edge], parted, reason, said, together=(min(mine), min(theirs)))
        return linker.decide(decision, [*mine, *theirs])

    def split(self, key: str, records: Sequence[str], *, reason: str) -> dict[str, Any]:
        """Take records out of a customer, as another person, for good; return the report.

        Those taken out stay together. What they share with those who stay links them no more, also when it comes again.

        Args:
            key: the customer.
            records: the brand's numbers of the records, if need be with their key space, ``crm:c-7``.
            reason: why, in words.

        Raises:
            BadRequest: when the customer has one record, or the records are not theirs, or are all of theirs.
        """
        linker = self._linker(reason, "a split")
        customer = self._find(key)
        theirs = self._of_customers({customer})
        if len(theirs) == 1:
            raise BadRequest(f"`{key}` has one record and was never merged", "there is nothing to take apart")
        out = sorted({self._one_of(theirs, record, key) for record in records})
        stay = sorted({*theirs} - {*out})
        if not out or not stay:
            raise BadRequest("some of a customer's records are taken out, not all", "name those to take out")
        if len(stay) > _PARTED_MAX:
            raise BadRequest(f"more than {_PARTED_MAX} records would stay", "take out the others instead")
        crossing = [
            edge.edge_id
            for edge in self._store.links.history(out, live=True)
            if edge.kind == "same"
            and edge.method in (BY_HAND, BY_MODEL)
            and (edge.source_record_id in out) != (edge.other_record_id in out)
        ]
        added = [("same", BY_HAND, out[0], other, None) for other in out[1:]]
        added += [("different", BY_HAND, out[0], other, None) for other in stay]
        decision = Decision("split", added, crossing, reason, {"customer": customer, "records": len(out)})
        return linker.decide(decision, [*theirs])

    def reviews(self, limit: int = 20) -> list[dict[str, Any]]:
        """Return the pairs that wait for a decision, the likeliest first: what agrees how far, but not what it is."""
        return [self._pair(review) for review in self._store.reviews.list(limit)]

    def review(self, review_id: int) -> dict[str, Any]:
        """Return one pair with what both records say side by side, decrypted; who looks is recorded in the audit.

        Raises:
            UnknownName: when there is none of this number.
        """
        review = self._store.reviews.get(review_id)
        sides = (review.source_record_id, review.other_record_id)
        said: dict[str, dict[int, str]] = {}
        for value in self._store.people.values(sides):
            said.setdefault(value.field, {}).setdefault(value.source_record_id, value.value)
        self._store.audit.record(self._at, self._actor, "identity.look", f"review:{review_id}")
        beside = [
            {"field": name, "record": of.get(sides[0], ""), "other": of.get(sides[1], "")} for name, of in said.items()
        ]
        return {**self._pair(review), "said": beside}

    def decide(self, review_id: int, verdict: str, *, reason: str) -> dict[str, Any]:
        """Decide a pair: ``same`` makes both one customer, ``different`` keeps them apart for good. Return the report.

        Raises:
            UnknownName: when there is no such review.
            BadRequest: when it is decided already, there is no reason, or verified numbers contradict it.
        """
        linker = self._linker(reason, "a decision")
        if verdict not in ("same", "different"):
            raise BadRequest(f"`{verdict}` is no decision", "same, or different")
        review = self._store.reviews.get(review_id)
        one, other = review.source_record_id, review.other_record_id
        edge = ("same", BY_HAND, one, other, None) if verdict == "same" else ("different", BY_HAND, other, one, None)
        model = [
            edge.edge_id
            for edge in self._store.links.history([one, other], live=True)
            if edge.method == BY_MODEL and {edge.source_record_id, edge.other_record_id} == {one, other}
        ]
        together = (one, other) if verdict == "same" else None
        said = {"review": review_id, "verdict": verdict}
        retracted = model if verdict == "different" else []
        decision = Decision("review", [edge], retracted, reason, said, together, (review_id, verdict))
        return linker.decide(decision, [one, other])

    # -- looking up -------------------------------------------------------------------------------------------------

    def _linker(self, reason: str, what: str) -> Linker:
        if self._declared is None:
            raise BadRequest("the project declares no identity", "write `identity: {}` into a file of definitions/")
        if not reason.strip():
            raise BadRequest(f"{what} needs a reason", "say why with --reason")
        return Linker(self._store, self._declared, self._actor, self._at)

    def _of_customers(self, customers: set[int]) -> dict[int, tuple[str, str]]:
        """Return the records of some customers, each with its key space and key."""
        found: dict[int, tuple[str, str]] = {}
        for customer in sorted(customers):
            held = self._store.ids.records_of(customer)
            found |= {row["source_record_id"]: (row["key_space"], row["source_key"]) for row in held.to_pylist()}
        return found

    def _records(self, key: str) -> set[int]:
        """Return the records that a key means: those with this number, else all of the customer's."""
        all_of_theirs = self._of_customers({self._find(key)})
        named = {record for record, (space, number) in all_of_theirs.items() if key in (number, f"{space}:{number}")}
        return named or {*all_of_theirs}

    def _one_of(self, theirs: Mapping[int, tuple[str, str]], name: str, key: str) -> int:
        found = [record for record, (space, number) in theirs.items() if name in (number, f"{space}:{number}")]
        if not found:
            known = ", ".join(f"{space}:{number}" for space, number in [*theirs.values()][:10])
            raise UnknownName(f"`{name}` is no record of `{key}`", f"theirs are {known}")
        if len(found) > 1:
            raise BadRequest(f"`{name}` is a record in several key spaces", f"write SPACE:{name}")
        return found[0]

    def _pair(self, review: Review) -> dict[str, Any]:
        sides = (review.source_record_id, review.other_record_id)
        keys = dict(zip(sides, (":".join(pair) for pair in self._store.erasures.keys(sides)), strict=True))
        return {
            "review_id": review.review_id,
            "record": keys[sides[0]],
            "other": keys[sides[1]],
            "score": review.score,
            "levels": dict(review.levels or {}),
            "state": review.state,
            "reason": review.reason or "",
        }

    def _step(self, edge: Edge, records: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
        return {
            "edge_id": edge.edge_id,
            "kind": edge.kind,
            "method": edge.method,
            "record": ":".join(records.get(edge.source_record_id, ("", str(edge.source_record_id)))),
            "other": ":".join(records.get(edge.other_record_id, ("", str(edge.other_record_id)))),
            "score": edge.score,
            "recorded_at": edge.recorded_at,
            "actor": str(edge.actor),
            "reason": edge.reason or "",
            "retracted_at": edge.retracted_at,
            "retracted_by": edge.retracted_by or "",
        }


def _way(edges: Sequence[Edge], begin: set[int], end: set[int]) -> list[Edge]:
    """Return a shortest way over edges from some records to others; of two the one of older edges."""
    near: dict[int, list[tuple[int, Edge]]] = {}
    for edge in sorted(edges, key=lambda edge: edge.edge_id):
        near.setdefault(edge.source_record_id, []).append((edge.other_record_id, edge))
        near.setdefault(edge.other_record_id, []).append((edge.source_record_id, edge))
    came: dict[int, tuple[int, Edge] | None] = dict.fromkeys(sorted(begin - end) or sorted(begin))
    waiting = deque(came)
    while waiting:
        here = waiting.popleft()
        if here in end and came[here] is not None:
            way = []
            step = came[here]
            while step is not None:
                way.append(step[1])
                step = came[step[0]]
            return way[::-1]
        for there, edge in near.get(here, ()):
            if there not in came:
                came[there] = here, edge
                waiting.append(there)
    return []
