"""Where the shop's customers live and where its stores are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["CITY_TIERS", "INCOME_BANDS", "PLACES", "Places", "build_places"]

INCOME_BANDS: Final = ("low", "middle", "high")
CITY_TIERS: Final = ("first", "new_first", "second", "third")

#: province, city, tier of the city, stores, districts with income band (0 low, 1 middle, 2 high).
_CITIES: Final = (
    ("上海市", "上海市", 0, 6, "徐汇区2 静安区2 浦东新区2 闵行区1 杨浦区1 宝山区0"),
    ("北京市", "北京市", 0, 5, "海淀区2 西城区2 丰台区1 通州区1 大兴区0"),
    ("广东省", "广州市", 0, 4, "天河区2 越秀区1 番禺区1 花都区0"),
    ("广东省", "深圳市", 0, 4, "福田区2 南山区2 龙岗区1 坪山区0"),
    ("浙江省", "杭州市", 1, 4, "西湖区2 滨江区2 余杭区1 临平区0"),
    ("四川省", "成都市", 1, 3, "锦江区2 武侯区1 郫都区0"),
    ("江苏省", "南京市", 1, 3, "建邺区2 秦淮区1 江宁区1"),
    ("江苏省", "苏州市", 1, 2, "姑苏区1 虎丘区2 吴江区0"),
    ("湖北省", "武汉市", 1, 2, "武昌区1 江汉区1 黄陂区0"),
    ("陕西省", "西安市", 1, 2, "雁塔区1 未央区0"),
    ("湖南省", "长沙市", 1, 1, "岳麓区1 望城区0"),
    ("山东省", "青岛市", 1, 1, "市南区2 城阳区0"),
    ("福建省", "厦门市", 2, 1, "思明区2 同安区0"),
    ("辽宁省", "大连市", 2, 1, "沙河口区1 金州区0"),
    ("云南省", "昆明市", 2, 1, "五华区1 呈贡区0"),
    ("安徽省", "合肥市", 2, 1, "蜀山区1 肥东县0"),
    ("江西省", "赣州市", 3, 0, "章贡区1 南康区0"),
    ("河南省", "洛阳市", 3, 0, "涧西区1 孟津区0"),
    ("河北省", "邯郸市", 3, 0, "丛台区1 永年区0"),
    ("广西壮族自治区", "柳州市", 3, 0, "鱼峰区1 柳江区0"),
)  # fmt: skip
_CITY_WEIGHT: Final = (1.9, 1.3, 0.8, 0.55)


@dataclass(frozen=True, slots=True)
class Places:
    """Districts (province, city, income band, tier of the city, weight) and the stores standing in them.

    `first_store` and `store_count` give for each district the stores of its city, as positions in the stores table.
    """

    province: tuple[str, ...]
    city: tuple[str, ...]
    district: tuple[str, ...]
    income: NDArray[np.int64]
    tier: NDArray[np.int64]
    weight: NDArray[np.float64]
    first_store: NDArray[np.int64]
    store_count: NDArray[np.int64]
    store_district: NDArray[np.int64]

    def stores_table(self) -> pa.Table:
        """Return the stores as a table."""
        where = [int(number) for number in self.store_district]
        names = [f"{self.city[d][:2]}{self.district[d][:2]}{number % 3 + 1}店" for number, d in enumerate(where)]
        columns = {
            "store_id": self.store_ids(),
            "store_name": pa.array(names),
            "store_city": pa.array([self.city[d] for d in where]),
            "store_district": pa.array([self.district[d] for d in where]),
        }
        return pa.table(columns)

    def store_ids(self) -> pa.Array:
        """Return the store numbers."""
        return pa.array([f"s-{number + 1:02d}" for number in range(len(self.store_district))])

    def districts_csv(self) -> str:
        """Return the district lookup as CSV text."""
        rows = [
            f"{name},{INCOME_BANDS[band]},{CITY_TIERS[tier]}"
            for name, band, tier in zip(self.district, self.income.tolist(), self.tier.tolist(), strict=True)
        ]
        return "\n".join(["district,income_band,tier", *rows]) + "\n"


def build_places() -> Places:
    """Return the places of the shop, the same for every seed.

    Example:
        >>> places = build_places()
        >>> len(places.district) == len(set(places.district)), places.districts_csv().splitlines()[1]
        (True, '徐汇区,high,first')
    """
    rows: list[tuple[str, str, str, int, int, float, int, int]] = []
    store_district: list[int] = []
    for province, city, tier, stores, districts in _CITIES:
        names = districts.split()
        first, here = len(store_district), len(rows)
        store_district += [here + number % len(names) for number in range(stores)]
        for entry in names:
            rows.append((province, city, entry[:-1], int(entry[-1]), tier, _CITY_WEIGHT[tier], first, stores))
    return Places(
        province=tuple(row[0] for row in rows),
        city=tuple(row[1] for row in rows),
        district=tuple(row[2] for row in rows),
        income=np.array([row[3] for row in rows]),
        tier=np.array([row[4] for row in rows]),
        weight=np.array([row[5] for row in rows]),
        first_store=np.array([row[6] for row in rows]),
        store_count=np.array([row[7] for row in rows]),
        store_district=np.array(store_district),
    )


#: The places never depend on a seed, so there is one.
PLACES: Final = build_places()
