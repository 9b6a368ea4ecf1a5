"""Every construct of the language with its truth by hand, ready to be asked of an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tierwise.testing.truths import (
    FORMS,
    GROUPS,
    HISTORY,
    MEMBERSHIP,
    NOTHING,
    OPTIONS,
    PEOPLE,
    POPULATION,
    RANKED,
    RECORDED,
    SCALARS,
    SEQUENCES,
    STREAM,
    TIMED,
    TRIED,
)
from tierwise.testing.worlds import Case

__all__ = ["WORLDS", "Construct", "conformance_cases", "is_asked_once"]

#: Which of the four truths of a form an option asks for, by the rows it leaves.
_WHICH: Final = {"abcdefg": 0, "abcd": 1, "efg": 2, "": NOTHING}


def _with(form: str, option: str) -> str:
    return f"{form[:-1]}, {option})" if option else form


def _firsts() -> set[str]:
    """The first form of each function: it is tried with every option, the others with some."""
    found: dict[str, str] = {}
    for form in FORMS:
        found.setdefault(form.partition("(")[0], form)
    return set(found.values())


#: Expression → what it says of each customer, in order.
_OF_STREAMS: Final[dict[str, Sequence[Any]]] = {
    **{
        _with(form, option): (truth[_WHICH[OPTIONS[option]]], truth[NOTHING], truth[NOTHING])
        for form, truth in FORMS.items()
        for option in (TRIED if form in _firsts() else TRIED[:: len(TRIED) // 4])
    },
    **{
        _with("sum(s.q)", option): (sum(2 ** "abcdefg".index(key) for key in rows), 0, 0)
        for option, rows in OPTIONS.items()
    },
    **{text: (truth, None, None) for text, truth in TIMED.items()},
    **{text: (truth, False, False) for text, truth in SEQUENCES.items()},
}
#: World → the case whose rows are asked, and expression → what it says of each customer, in order.
WORLDS: Final[dict[str, tuple[Case, Mapping[str, Sequence[Any]]]]] = {
    "stream": (replace(STREAM, parameters={"span": {"type": "duration", "default": "2mo"}}), _OF_STREAMS),
    "scalar": (PEOPLE, SCALARS),
    "population": (RANKED, POPULATION),
    "membership": (RANKED, MEMBERSHIP),
    "group": (RANKED, GROUPS),
    "history": (RECORDED, HISTORY),
}


@dataclass(frozen=True)
class Construct:
    """One expression, the case whose rows it is asked of, and what it says of each of its customers, in order."""

    world: str
    text: str
    case: Case
    truth: Sequence[Any]


def conformance_cases() -> Iterator[Construct]:
    """Yield every function with every option, and every operator, with the truth by hand.

    An engine is right when it gives the truth of each; `tierwise.testing.worlds.fill` gives it the rows.

    Example:
        >>> cases = {case.text: case for case in conformance_cases()}
        >>> cases["count(s)"].truth
        (7, 0, 0)
    """
    for world, (case, truths) in WORLDS.items():
        for text, truth in truths.items():
            yield Construct(world, text, replace(case, tags={"x": text}), truth)


def is_asked_once(world: str, text: str) -> bool:
    """Return whether a construct is among those that say each thing once: every form, every option, every way to place.

    Where asking is slow these are enough.

    Example:
        >>> is_asked_once("stream", "count(s)"), is_asked_once("stream", 'count(s, within="6d")')
        (True, False)
    """
    if world == "stream":
        return text in FORMS or text.startswith("sum(s.q") or text in TIMED or text in SEQUENCES
    if world == "population":
        return "by=" not in text or "best=" in text
    return True
