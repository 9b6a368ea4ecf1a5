"""What a programme promises: how long a tier is kept, and the state it gives each customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from tierwise.definitions.language.times import Duration

__all__ = ["Keeping", "State"]

_WORDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "zh": MappingProxyType(
            {
                "term": "等级保留 {0}，期内不降级，达标即升",
                "grace": "到期未达标宽限 {0}",
                "one_step": "仍未达标降一级",
                "to_qualified": "仍未达标降到实际达标的等级",
                "reassess": "退款后重新评定",
                "ignore": "退款不影响已获等级",
                "joint": "；",
            }
        ),
        "en": MappingProxyType(
            {
                "term": "a tier is kept for {0} and a better one given at once",
                "grace": "{0} of grace when it is not earned again",
                "one_step": "then one step down",
                "to_qualified": "then down to the tier that is earned",
                "reassess": "judged again after a refund",
                "ignore": "refunds take no tier away",
                "joint": "; ",
            }
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """The terms of a programme.

    Args:
        term: how long a tier is kept once it is earned.
        grace: how long it is kept beyond that when it is not earned again; None: not at all.
        one_step: whether the fall is one tier at a time, else to the tier that is earned.
        reassess: whether a refund during the term has the tier judged again.
    """

    term: Duration
    grace: Duration | None = None
    one_step: bool = True
    reassess: bool = True

    def sentence(self, language: str) -> str:
        """Return the terms in one sentence, in ``zh`` or ``en``.

        Example:
            >>> from tierwise.definitions.language.times import parse_duration
            >>> Keeping(parse_duration("365d"), parse_duration("30d")).sentence("zh")
            '等级保留 365d，期内不降级，达标即升；到期未达标宽限 30d；仍未达标降一级；退款后重新评定'
        """
        words = _WORDS[language]
        said = [words["term"].format(self.term)]
        if self.grace is not None:
            said.append(words["grace"].format(self.grace))
        said.append(words["one_step" if self.one_step else "to_qualified"])
        said.append(words["reassess" if self.reassess else "ignore"])
        return words["joint"].join(said)


@dataclass(frozen=True, slots=True)
class State:
    """Where a programme has a customer: in which tier, since when, until when (None: without end).

    `term_ends` is the end of the last term; in grace it has passed, and `grace_ends` says when the grace does.
    """

    tier: str
    since: datetime | None = None
    term_ends: datetime | None = None
    grace_ends: datetime | None = None
