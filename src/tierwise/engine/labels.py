"""What a brand calls its tags, tiers and segments, for sentences."""

from __future__ import annotations

from collections.abc import Mapping

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.words import Labels
from tierwise.definitions.model import Label

__all__ = ["both", "labels_of"]


def both(label: Label, name: str) -> dict[str, str]:
    """Return a label in both languages, falling back to the other one and to the name."""
    return {"zh": label.text("zh", name), "en": label.text("en", name)}


def labels_of(catalogue: Catalogue) -> Labels:
    """Return the labels of everything a brand declared."""
    definitions = catalogue.definitions

    def given(label: Label) -> dict[str, str]:
        return {language: text for language, text in (("zh", label.zh), ("en", label.en)) if text}

    tiers: dict[str, Mapping[str, str]] = {}
    for name, tiering in definitions.tierings.items():
        tiers |= {f"{name}.{tier}": given(form.label) for tier, form in tiering.tiers.items()}
    units = {name: form.unit for name, form in definitions.tags.items() if form.unit and form.unit != "money"}
    return Labels(
        tags={name: given(form.label) for name, form in definitions.tags.items()},
        segments={name: given(form.label) for name, form in definitions.segments.items()},
        tierings={name: given(form.label) for name, form in definitions.tierings.items()},
        tiers=tiers,
        parameters={name: given(form.label) for name, form in definitions.parameters.items()},
        lookups={name: given(form.label) for name, form in definitions.lookups.items()},
        streams={name: given(form.label) for name, form in definitions.streams.items()},
        units=units,
        known={**catalogue.streams, **catalogue.reference},
    )
