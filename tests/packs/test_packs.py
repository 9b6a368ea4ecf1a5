"""The packs: found by name, right as they stand, labelled in both languages, and their RFM grid whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydantic import BaseModel

from tierwise.definitions.check import Catalogue, check
from tierwise.definitions.language.kinds import INTEGER
from tierwise.definitions.language.reference import Evaluation, World
from tierwise.definitions.language.times import parse_instant
from tierwise.definitions.language.typed import Const
from tierwise.definitions.load import Definitions, load
from tierwise.errors import BadRequest
from tierwise.packs import pack_folder, pack_names

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "online_retail"
FOLDERS = {**{name: pack_folder(name) for name in pack_names()}, "online_retail": EXAMPLE}
SECTIONS = ("tags", "tierings", "segments", "parameters", "lookups")

#: The grid as people draw it: a line per R from 5 to 1, FM from 1 to 5 in halves.
GRID = """
    5  new_customers   new_customers   potential_loyalist  potential_loyalist  potential_loyalist  loyal    champions  champions  champions
    4  promising       promising       potential_loyalist  potential_loyalist  potential_loyalist  loyal    champions  champions  champions
    3  about_to_sleep  about_to_sleep  need_attention      need_attention      need_attention      loyal    loyal      loyal      loyal
    2  hibernating     hibernating     hibernating         hibernating         at_risk             at_risk  at_risk    at_risk    at_risk
    1  lost            lost            lost                lost                at_risk             at_risk  cant_lose  cant_lose  cant_lose
"""

folders = pytest.mark.parametrize("folder", FOLDERS.values(), ids=list(FOLDERS))


def loaded(folder: Path) -> Definitions:
    definitions, problems = load(folder)
    assert not problems, "\n".join(map(str, problems))
    assert definitions is not None
    return definitions


def checked(folder: Path) -> Catalogue:
    catalogue, problems = check(loaded(folder))
    assert not problems, "\n".join(map(str, problems))
    assert catalogue is not None
    return catalogue


def test_a_pack_that_is_not_there() -> None:
    with pytest.raises(BadRequest, match="did you mean `demo`"):
        pack_folder("demos")


@folders
def test_it_checks_without_a_warning(folder: Path) -> None:
    catalogue = checked(folder)
    assert catalogue.tags and catalogue.tierings and catalogue.segments


@folders
def test_everything_is_labelled_in_both_languages(folder: Path) -> None:
    definitions = loaded(folder)
    forms: dict[str, BaseModel] = {
        f"{section}.{name}": form for section in SECTIONS for name, form in getattr(definitions, section).items()
    }
    for name, tiering in definitions.tierings.items():
        forms |= {f"tierings.{name}.{tier}": form for tier, form in tiering.tiers.items()}
    bare = [name for name, form in forms.items() if not (form.label.zh and form.label.en)]  # type: ignore[attr-defined]
    assert not bare


@folders
def test_nothing_personal_can_be_asked_for(folder: Path) -> None:
    catalogue = checked(folder)
    assert not {"name", "phone", "email", "address"} & set(catalogue.attributes)


def rfm_tier(catalogue: Catalogue, tiering: str, scores: tuple[int | None, int | None, int | None]) -> str:
    """Return the tier of one customer with these scores, by the reference evaluator."""
    tags = {name: rule.expr for name, rule in catalogue.tags.items() if rule.expr is not None}
    tags |= {name: Const(score, kind=INTEGER) for name, score in zip("rfm", scores, strict=True)}
    world = World(
        customers=(1,),
        tags=tags,
        tierings={
            name: [(tier, rule.expr) for tier, rule in rules.items()] for name, rules in catalogue.tierings.items()
        },
        parameters={name: value for name, (_, value) in catalogue.parameters.items()},
        zone=catalogue.zone,
    )
    as_of = parse_instant("2026-01-01T00:00:00Z", catalogue.zone)
    assert as_of is not None
    return Evaluation(world, as_of).tier_of(tiering, 1)


def all_tiers(catalogue: Catalogue, tiering: str) -> dict[tuple[int, int, int], str]:
    scores = [(r, f, m) for r in range(1, 6) for f in range(1, 6) for m in range(1, 6)]
    return {triple: rfm_tier(catalogue, tiering, triple) for triple in scores}


@folders
def test_the_rfm_grid_is_whole(folder: Path) -> None:
    """All 125 scores fall where the drawn grid says, every tier is reached, who has no scores is not in the grid."""
    catalogue = checked(folder)
    drawn = {
        (int(line.split()[0]), 2 + i): tier
        for line in GRID.strip().splitlines()
        for i, tier in enumerate(line.split()[1:])
    }
    found = all_tiers(catalogue, "rfm")
    assert len(found) == 125 and len(drawn) == 45
    assert {triple: tier for triple, tier in found.items() if tier != drawn[triple[0], triple[1] + triple[2]]} == {}
    assert {*found.values(), rfm_tier(catalogue, "rfm", (None, None, None))} == set(catalogue.tierings["rfm"])
    assert rfm_tier(catalogue, "rfm", (None, None, None)) == "not_yet"


def test_the_eight_kinds_are_whole() -> None:
    """High or low in each of R, F and M: eight kinds, none empty."""
    catalogue = checked(pack_folder("demo"))
    found = all_tiers(catalogue, "rfm_value")
    kinds = {(r >= 4, f >= 4, m >= 4): tier for (r, f, m), tier in found.items()}
    assert all(tier == kinds[r >= 4, f >= 4, m >= 4] for (r, f, m), tier in found.items())
    assert len(kinds) == len(set(kinds.values())) == 8
    assert Counter(found.values())["key_value"] == 8
    assert rfm_tier(catalogue, "rfm_value", (None, None, None)) == "not_yet"
