"""One person: the numbers, values and words by which rows about them are recognised wherever they lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tierwise.errors import BadRequest, Erased, UnknownName
from tierwise.store import PersonalValue, Store

__all__ = ["Person", "find_customer", "person"]

#: A shorter text says too little to be taken for a person's wherever it stands: `a` may be a number, or a channel.
_TELLING: Final = 6


@dataclass(frozen=True, repr=False)
class Person:
    """A customer with everything that names them.

    `keys` are their numbers with the key space, `values` what the vault holds, `words` the texts that name nobody else.
    """

    customer_id: int
    records: tuple[int, ...]
    keys: tuple[tuple[str, str], ...]
    values: tuple[PersonalValue, ...]
    words: tuple[str, ...] = field(default=())

    @property
    def numbers(self) -> tuple[str, ...]:
        """The brand's numbers of them, in any key space."""
        return tuple(dict.fromkeys(key for _, key in self.keys))

    def named_in(self, text: str | None) -> bool:
        """Whether a text (a line of a file) has one of their numbers or values as a word of its own."""
        return text is not None and self._pattern.search(text) is not None

    @property
    def _pattern(self) -> re.Pattern[str]:
        texts = {*self.numbers, *(one.value for one in self.values if one.value.strip())}
        named = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
        return re.compile(f"(?<!\\w)(?:{named})(?!\\w)" if named else r"(?!)")


def person(store: Store, customer_id: int) -> Person:
    """Return a customer with everything that names them; values are decrypted.

    Raises:
        VaultLocked: when the master key is missing or wrong.
    """
    records = store.erasures.records(customer_id)
    keys = store.erasures.keys(records)
    values = store.people.values(records)
    words = dict.fromkeys([key for _, key in keys] + [one.value for one in values])
    telling = tuple(word for word in words if len(word) >= _TELLING)
    return Person(customer_id, tuple(records), tuple(keys), tuple(values), telling)


def find_customer(store: Store, key: str, key_spaces: Iterable[str]) -> int:
    """Return the customer whom a person means by a number, ``id:42``, a telephone number or another identifier.

    Raises:
        Erased: when the person has been erased.
        UnknownName: when there is nobody.
        BadRequest: when several customers have it.
    """
    found: Sequence[int] = store.ids.find(key) or ([] if key.startswith("id:") else store.people.find(key))
    if not found:
        gone = store.erasures.of(key, key_spaces)
        if gone is not None and gone.state == "done":
            when = f"{gone.ended_at:%Y-%m-%d}" if gone.ended_at else ""
            raise Erased(
                f"this person was erased on {when}; nothing is held on them",
                f"the receipt has number {gone.erasure_id}",
            )
        raise UnknownName(f"there is no customer `{key}`", "use the brand's customer number, an identifier, or id:42")
    if len(found) > 1:
        raise BadRequest(
            f"`{key}` is the number of {len(found)} customers", "name one: " + ", ".join(f"id:{i}" for i in found)
        )
    return found[0]
