"""The customer records of the shop: attributes, who brought whom, and invented names and phone numbers."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tierwise.shop.cohort import Cohort, customer_keys, in_household, is_visitor
from tierwise.shop.columns import instants, labels, picked
from tierwise.shop.places import PLACES
from tierwise.shop.seasons import Seasons
from tierwise.shop.settings import ShopSettings

__all__ = ["customers_table"]

_SURNAMES: Final = tuple("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余")
#: Given names, those of women first.
_GIVEN: Final = (
    "婷", "静", "敏", "丽", "娟", "霞", "燕", "玲", "欣怡", "梓涵", "思琪", "雨桐", "佳慧", "晓琳", "美玲", "雅婷",
    "诗涵", "文静", "若曦", "子涵", "桂英", "秀兰", "玉梅", "淑芬", "伟", "强", "磊", "军", "勇", "杰", "涛", "明",
    "浩然", "子轩", "俊杰", "宇航", "志强", "建国", "建军", "文博", "天佑", "家豪", "嘉伟", "一鸣", "国平", "德明",
)  # fmt: skip
_FEMALE_GIVEN: Final = 24
_PHONE_STARTS: Final = np.array([133, 135, 136, 137, 138, 139, 150, 151, 158, 159, 177, 180, 186, 187, 188, 189])
_GENDERS: Final = ("female", "male")


def customers_table(cohort: Cohort, seasons: Seasons, settings: ShopSettings) -> pa.Table:
    """Return the records of the customers who gave their name; device numbers have none."""
    rng = cohort.block.rng(10)
    at = np.flatnonzero(~cohort.visitor)
    n = len(at)
    number, district = cohort.number[at], cohort.district[at]
    # Most sign up the moment they arrive, some a little later, but never after the records stop.
    wait = np.where(rng.random(n) < 0.75, rng.random(n) * 240.0, rng.exponential(5.0 * 86_400, n)).astype(np.int64)
    registered = np.minimum(cohort.first_seen[at] + wait, seasons.end_second - 1)
    male = rng.random(n) < 0.27
    age = np.clip(18 + rng.gamma(3.2, 6.5, n), 18, 88)
    born = np.floor(seasons.end_second / 86_400 - age * 365.25).astype(np.int32)
    children = np.where((age > 24) & (rng.random(n) < 0.62), 1 + (rng.random(n) < 0.33) + (rng.random(n) < 0.05), 0)
    first_name = np.where(male, _FEMALE_GIVEN, 0) + (rng.random(n) * np.where(male, 22, 24)).astype(np.int64)
    surname = rng.integers(0, len(_SURNAMES), n)
    names = [family + given for family in _SURNAMES for given in _GIVEN]
    place = pa.array(district)
    columns = {
        "customer_key": cohort.keys.take(pa.array(at)),
        "name": picked(surname * len(_GIVEN) + first_name, names),
        "phone": _phones(rng, number, cohort.block.seed),
        "birth_date": pa.array(born, pa.date32(), mask=rng.random(n) < 0.14),
        "gender": picked(np.where(rng.random(n) < 0.06, -1, male), _GENDERS),
        "province": pa.array(PLACES.province).take(place),
        "city": pa.array(PLACES.city).take(place),
        "district": pa.array(PLACES.district).take(place),
        "registered_at": instants(registered),
        "referred_by": _referrers(rng, number, cohort.block.seed, settings.visitor_share),
        "household_id": _households(number),
        "children": pa.array(children.astype(np.int32), mask=rng.random(n) < 0.22),
    }
    return pa.table(columns)


def _phones(rng: np.random.Generator, number: NDArray[np.int64], seed: int) -> pa.Array:
    """Return an invented phone number for each customer, every one different: 39_916_801 is prime to 10^8."""
    rest = (number * 39_916_801 + seed % 10**8) % 10**8
    starts = _PHONE_STARTS[rng.integers(0, len(_PHONE_STARTS), len(number))]
    return pa.array(starts * 10**8 + rest).cast(pa.string())


def _referrers(rng: np.random.Generator, number: NDArray[np.int64], seed: int, visitor_share: float) -> pa.Array:
    """Return who brought each customer: an earlier one, in half of the cases one of the few who bring many."""
    earlier = np.floor(number * rng.random(len(number)) ** 0.6).astype(np.int64)
    leader = earlier // 40 * 40
    who = np.where(rng.random(len(number)) < 0.5, leader, earlier)
    # Numbers are given in the order of arrival, so that a smaller one is always an earlier customer.
    known = (rng.random(len(number)) < 0.13) & (who < number) & ~is_visitor(who, seed, visitor_share)
    keys = customer_keys(who, np.zeros(len(who), bool))
    return pc.if_else(pa.array(known), keys, pa.scalar(None, pa.string()))


def _households(number: NDArray[np.int64]) -> pa.Array:
    keys = labels("h", number // 2, 8)
    return pc.if_else(pa.array(in_household(number)), keys, pa.scalar(None, pa.string()))
