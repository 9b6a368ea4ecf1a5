"""Checks what is declared about consent against the rest: sensitive definitions have a purpose that covers them."""

from __future__ import annotations

from collections.abc import Iterator

from tierwise.definitions.load import Definitions
from tierwise.errors import Problem

__all__ = ["consent_problems"]


def consent_problems(definitions: Definitions) -> Iterator[Problem]:
    """Return what is missing in the consent that is declared; nothing where none is.

    Args:
        definitions: what was declared.

    Example:
        >>> from tierwise.definitions.load import define
        >>> consent = {"purposes": {"marketing": {"texts": {"1": "I agree"}}}}
        >>> tags = {"sore": {"value": "count(orders)", "sensitive": "health"}}
        >>> definitions, _ = define("shop", tags=tags, consent=consent)
        >>> [problem.code for problem in consent_problems(definitions)]
        ['consent']
    """
    consent = definitions.consent
    if consent is None:
        return
    covered = {purpose.sensitive for purpose in consent.purposes.values()} - {""}
    seen: set[str] = set()
    for section, forms in (("tags", definitions.tags), ("segments", definitions.segments)):
        for name, form in forms.items():
            if form.sensitive and form.sensitive not in covered and form.sensitive not in seen:
                seen.add(form.sensitive)
                yield Problem(
                    "consent",
                    f"`{name}` is sensitive ({form.sensitive}), and no purpose of consent is for such data",
                    definitions.place(f"{section}.{name}.sensitive"),
                    f"declare a purpose with `sensitive: {form.sensitive}`: it needs a consent of its own",
                    severity="warning",
                )
