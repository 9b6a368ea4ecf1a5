"""A case cut into pieces: rows late, wrong at first, of somebody else, in vain; at the end everything is as it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tierwise.definitions.language.reference import Row
from tierwise.testing.chains import State
from tierwise.testing.worlds import Case, at

__all__ = ["in_pieces"]

_Rows = Mapping[str, Mapping[int, Sequence[Row]]]
_DAY: Final = timedelta(days=1)
#: A record that says nothing but that there is such a customer.
_THERE: Final = Row(at("2000-01-01"), "there", {})


def in_pieces(case: Case, known: bool = True) -> list[State]:
    """Return the states in which a case may come: the last one is the case itself, reached by touching some customers.

    Forty days before its as_of a third of the rows is missing, a third is wrong and some belong to somebody else; a day
    before it some of them still are. At the as_of everything is right and the distributions are published; then a row
    of each customer is wrong once more, and right again.

    Args:
        case: where it ends.
        known: whether all of its customers are known from the beginning, also those without rows.
    """
    there = [_THERE] if known else []
    records = {customer: [*there, *case.records.get(customer, ())] for customer in case.customers}
    whole = replace(case, streams=_apart(case.streams), records=records, changes={})
    early, late = (_spoilt(whole, 3), whole.as_of - 40 * _DAY), (_spoilt(whole, 5), whole.as_of - _DAY)
    first, second = (replace(whole, streams=streams, as_of=as_of) for streams, as_of in (early, late))
    again = replace(whole, streams=_wrong_once(whole.streams))
    return [State(first, "run"), State(second), State(whole, "publish"), State(again), State(whole)]


def _apart(streams: _Rows) -> _Rows:
    """Give every row of a stream a key of its own, in the order the customer's rows had."""
    return {
        stream: {c: [replace(one, row_key=f"{c}|{one.row_key}") for one in own] for c, own in rows.items()}
        for stream, rows in streams.items()
    }


def _spoilt(case: Case, every: int) -> _Rows:
    """Leave out one row in so many, falsify the one after it, give the one after that to somebody else, and add one."""
    found: dict[str, dict[int, list[Row]]] = {}
    customers = list(case.customers)
    for stream, rows in case.streams.items():
        spoilt: dict[int, list[Row]] = {customer: [] for customer in customers}
        listed = [(customer, one) for customer, own in rows.items() for one in own]
        for place, (customer, one) in enumerate(listed):
            whose = customers[(customers.index(customer) + 1) % len(customers)] if place % every == 2 else customer
            if place % every:
                spoilt[whose].append(_falsified(one, listed[place - 1][1]) if place % every == 1 else one)
        if listed:
            spoilt[customers[-1]].append(replace(listed[0][1], row_key="in vain"))
        found[stream] = spoilt
    return found


def _wrong_once(streams: _Rows) -> _Rows:
    """Falsify the last row of every customer."""
    return {
        stream: {c: [*own[:-1], *(_falsified(one, own[0]) for one in own[-1:])] for c, own in rows.items()}
        for stream, rows in streams.items()
    }


def _falsified(one: Row, by: Row) -> Row:
    """Return a row with another's values and another time."""
    return replace(one, time=one.time - 3 * _DAY, values=by.values)
