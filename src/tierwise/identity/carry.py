"""Customer ids over time: who keeps which number when records come together or fall apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from tierwise.identity.graph import Ints, several

__all__ = ["NEW", "carried"]

#: Stands for a number that has never been given; a record with `NEW - n` shares it with the others that have it.
NEW = -1


def carried(labels: Ints, customers: Ints, homes: Mapping[int, int]) -> Ints:
    """Return the customer of every record: `customers` as far as they can stay, `NEW` and below where none can.

    - Of customers who become one the oldest number survives.
    - Of a customer who falls apart the part with the most records keeps the number (of equal ones that with the first
      record). A part whose records all were one other customer just before takes that number again, because then
      nothing but a merge is undone.

    Args:
        labels: the person of each record, as `solve` gives it.
        customers: the customer of each record until now.
        homes: of a record's position, the customer it was before its present one, where it had another.

    Example:
        >>> carried(np.array([0, 0, 1]), np.array([7, 3, 9]), {}).tolist()  # two become one
        [3, 3, 9]
        >>> carried(np.array([0, 0, 1]), np.array([3, 3, 3]), {2: 9}).tolist()  # and fall apart again
        [3, 3, 9]
        >>> carried(np.array([0, 1, 1]), np.array([3, 3, 3]), {}).tolist()  # the larger part keeps the number
        [-1, 3, 3]
    """
    fallen = several(customers, labels)
    claims = customers.copy()
    if len(fallen):
        _part(claims, labels, customers, homes, fallen)
    return _oldest(labels, claims)


def _part(claims: Ints, labels: Ints, customers: Ints, homes: Mapping[int, int], fallen: Ints) -> None:
    """Settle which part of each fallen customer claims which number, `NEW` where it has no claim."""
    places = np.flatnonzero(np.isin(customers, fallen))
    parts: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place in places.tolist():
        parts[int(customers[place])][int(labels[place])].append(place)
    in_use = set(np.unique(customers).tolist())
    wished = {
        (customer, label): home
        for customer, of_label in parts.items()
        for label, records in of_label.items()
        if (home := _home(records, homes)) is not None and home != customer and home not in in_use
    }
    twice = Counter(wished.values())
    for customer, of_label in parts.items():
        back = {label: home for label in of_label if (home := wished.get((customer, label))) and twice[home] == 1}
        left = [label for label in of_label if label not in back] or list(of_label)
        keeps = max(left, key=lambda label: (len(of_label[label]), -min(of_label[label])))
        for label, records in of_label.items():
            claims[records] = customer if label == keeps else back.get(label, NEW)


def _home(records: list[int], homes: Mapping[int, int]) -> int | None:
    """Return the customer that all of some records were before, if it is one."""
    found = {homes.get(record) for record in records}
    return found.pop() if len(found) == 1 else None


def _oldest(labels: Ints, claims: Ints) -> Ints:
    """Return the smallest number claimed for each person; those nobody claims one for are numbered down from `NEW`."""
    count = int(labels.max()) + 1 if len(labels) else 0
    nobody = np.iinfo(np.int64).max
    smallest = np.full(count, nobody, np.int64)
    known = claims > NEW
    np.minimum.at(smallest, labels[known], claims[known])
    without = np.flatnonzero(smallest == nobody)
    smallest[without] = NEW - np.arange(len(without))
    return smallest[labels]
