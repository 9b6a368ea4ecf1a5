"""Settings of the shop that make no sense are refused, with the bound."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tierwise.errors import BadRequest
from tierwise.shop import SHOP_END, ShopSettings


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"end": datetime(2026, 7, 1)}, "must have a zone"),
        ({"end": SHOP_END.replace(year=2050)}, "2015 to 2035"),
        ({"years": 1.0}, "years = 1.0: must be from 1.5 to 10.0"),
        ({"growth": -1.0}, "growth"),
        ({"prospect_share": 1.0}, "prospect_share"),
        ({"visitor_share": 0.5}, "visitor_share = 0.5: must be from 0.0 to 0.22"),
        ({"events_per_customer": 0.0}, "events_per_customer"),
        ({"dirt": 0.5}, "dirt"),
        ({"customers_per_part": 12_345}, "a multiple of 10000"),
    ],
)
def test_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        ShopSettings(**wrong)
