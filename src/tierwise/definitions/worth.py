"""Which tag says what a customer is worth: the one that ``value:`` names, else the first one in money."""

from __future__ import annotations

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import MONEY

__all__ = ["value_tag"]


def value_tag(catalogue: Catalogue) -> str | None:
    """Return the name of the tag, or nothing when no tag is in money.

    Example:
        >>> from tierwise.definitions.check import check
        >>> from tierwise.definitions.load import define
        >>> definitions, _ = define("shop", tags={"n": "count(orders)", "spend": "sum(orders.amount)"})
        >>> value_tag(check(definitions)[0])
        'spend'
    """
    named = catalogue.definitions.settings.value
    if named:
        return named
    kinds = {name: rule.expr.kind for name, rule in catalogue.tags.items() if rule.expr is not None}
    return next((name for name in catalogue.definitions.tags if kinds[name] == MONEY), None)
