"""What the shop sells: products by category and brand, with need, care level and price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tierwise.shop.columns import money

__all__ = ["BRANDS_PER_CATEGORY", "CATEGORIES", "SEARCH_WORDS", "Catalogue", "build_catalogue"]

BRANDS_PER_CATEGORY: Final = 4

#: category → cheapest and dearest price, its four brands, its products from cheap to dear: name:need:care level.
_SORTIMENT: Final = {
    "health_supplements": (
        39, 1600, ("Anhe", "Baicao", "Vitalin", "Qingyuan"),
        "维生素C:maintenance:prevention 维生素D3:prevention:prevention 叶酸:prevention:prevention "
        "褪黑素:treatment:treatment 益生菌:prevention:care 鱼油:prevention:prevention 护肝片:treatment:treatment "
        "氨糖软骨素:treatment:treatment 灵芝孢子粉:maintenance:care",
    ),
    "health_devices": (
        59, 4200, ("Kangce", "Anhe", "Jiaoyi", "Medora"),
        "体温计:daily:prevention 颈椎枕:treatment:care 血压计:prevention:prevention 血糖仪:prevention:treatment "
        "筋膜枪:maintenance:care 空气净化器:prevention:prevention 制氧机:treatment:treatment "
        "理疗仪:treatment:treatment 按摩椅垫:maintenance:care",
    ),
    "skincare": (
        45, 2400, ("Luomei", "Suyan", "Hydria", "Baicao"),
        "洁面乳:daily:care 保湿水:beauty:care 面膜:beauty:care 防晒霜:prevention:prevention "
        "祛痘凝胶:treatment:treatment 精华液:beauty:care 眼霜:beauty:care "
        "修护霜:treatment:treatment 抗皱套装:beauty:care",
    ),
    "makeup": (
        29, 900, ("Luomei", "Caidai", "Rosée", "Suyan"),
        "眉笔:beauty:daily 唇膏:beauty:daily 睫毛膏:beauty:daily 散粉:beauty:daily 眼影盘:beauty:daily "
        "气垫:beauty:daily 粉底液:beauty:daily 香水:beauty:daily 彩妆礼盒:beauty:daily",
    ),
    "mother_baby": (
        25, 980, ("Beile", "Tongxin", "Anhe", "Mamijia"),
        "棉柔巾:daily:care 奶瓶:daily:care 护臀膏:treatment:treatment 纸尿裤:daily:care 钙铁锌:prevention:prevention "
        "儿童DHA:prevention:prevention 婴儿奶粉:daily:care 吸奶器:daily:care 婴儿推车:daily:daily",
    ),
    "food": (
        8, 420, ("Tianye", "Guxiang", "Qingyuan", "Shanwei"),
        "苏打饼干:daily:daily 燕麦片:maintenance:prevention 坚果:daily:daily 蜂蜜:maintenance:care "
        "黑芝麻丸:maintenance:care 代餐奶昔:maintenance:care 阿胶糕:maintenance:care "
        "燕窝:beauty:care 花胶礼盒:maintenance:care",
    ),
    "household": (
        6, 360, ("Jiajie", "Bairui", "Tianye", "Mianyi"),
        "垃圾袋:daily:daily 洗洁精:daily:daily 抽纸:daily:daily 洗衣液:daily:daily 消毒液:prevention:prevention "
        "除螨喷雾:prevention:prevention 毛巾:daily:daily 保温杯:daily:daily 四件套:daily:daily",
    ),
    "personal_care": (
        9, 320, ("Jiajie", "Suyan", "Mianyi", "Hydria"),
        "肥皂:daily:daily 牙膏:daily:prevention 卫生巾:daily:daily 沐浴露:daily:daily 洗发水:daily:daily "
        "漱口水:prevention:prevention 生姜育发液:treatment:treatment "
        "电动牙刷:prevention:prevention 香氛身体乳:beauty:care",
    ),
}  # fmt: skip
CATEGORIES: Final = tuple(_SORTIMENT)

#: What people type into the search box, three phrases per category, in the order of `CATEGORIES`.
SEARCH_WORDS: Final = (
    "维生素", "护肝", "益生菌", "血压计", "理疗", "颈椎", "精华", "面膜", "防晒", "口红", "粉底", "香水",
    "奶粉", "纸尿裤", "钙铁锌", "燕窝", "坚果", "代餐", "抽纸", "洗衣液", "消毒", "牙膏", "洗发水", "电动牙刷",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The products; rows are sorted by category, brand and price, so that a price is found by bisection.

    `key` is the group (category and brand) times 100 plus the log of the price in yuan.
    """

    sku: pa.Array
    name: tuple[str, ...]
    category: NDArray[np.int64]
    brand: NDArray[np.int64]
    brands: tuple[str, ...]
    need: tuple[str, ...]
    care_level: tuple[str | None, ...]
    price: NDArray[np.int64]
    key: NDArray[np.float64]
    group_first: NDArray[np.int64]

    def nearest(self, group: NDArray[np.int64], log_price: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the product of each group whose price is just above the wanted one, or the group's dearest."""
        at = np.searchsorted(self.key, group * 100.0 + np.clip(log_price, 0.0, 50.0))
        return np.clip(at, self.group_first[group], self.group_first[group + 1] - 1)

    def products_table(self) -> pa.Table:
        """Return the products as a table."""
        columns = {
            "sku": self.sku,
            "product_name": pa.array(self.name),
            "category": pa.array([CATEGORIES[number] for number in self.category]),
            "brand": pa.array([self.brands[number] for number in self.brand]),
            "need": pa.array(self.need),
            "care_level": pa.array(self.care_level),
            "price": money(self.price),
        }
        return pa.table(columns)


def build_catalogue(rng: np.random.Generator) -> Catalogue:
    """Draw the prices of the 288 products.

    Example:
        >>> catalogue = build_catalogue(np.random.default_rng(1))
        >>> len(catalogue.sku), catalogue.products_table().column("category")[0].as_py()
        (288, 'health_supplements')
    """
    brands = tuple(sorted({brand for _, _, names, _ in _SORTIMENT.values() for brand in names}))
    rows: list[tuple[str, int, int, str, str, int]] = []
    firsts: list[int] = []
    for category, (cheapest, dearest, names, products) in enumerate(_SORTIMENT.values()):
        entries = [entry.split(":") for entry in products.split()]
        for brand in names:
            firsts.append(len(rows))
            step = np.log(dearest / cheapest) / len(entries)
            jitter = rng.random(len(entries)) * 0.9
            yuan = cheapest * np.exp((np.arange(len(entries)) + jitter) * step)
            # Shop prices end in .90 and never fall along the list, so that each group is sorted.
            fen = np.maximum.accumulate(np.maximum(np.rint(yuan), 2.0)).astype(np.int64) * 100 - 10
            for (noun, need, care_level), price in zip(entries, fen.tolist(), strict=True):
                rows.append((f"{brand} {noun}", category, brands.index(brand), need, care_level, price))
    price = np.array([row[5] for row in rows])
    group = np.arange(len(rows)) // (len(rows) // len(firsts))
    return Catalogue(
        sku=pa.array([f"p-{number + 1:03d}" for number in range(len(rows))]),
        name=tuple(row[0] for row in rows),
        category=np.array([row[1] for row in rows]),
        brand=np.array([row[2] for row in rows]),
        brands=brands,
        need=tuple(row[3] for row in rows),
        # Things of every day, such as detergent, have no care level.
        care_level=tuple(None if row[4] == "daily" else row[4] for row in rows),
        price=price,
        key=np.asarray(group * 100.0 + np.log(price / 100.0), np.float64),
        group_first=np.array([*firsts, len(rows)]),
    )
