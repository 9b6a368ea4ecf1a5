"""The streams Tierwise knows without being told, their columns and what each column means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tierwise.definitions.language.kinds import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INSTANT,
    INTEGER,
    MONEY,
    TEXT,
    Kind,
)

__all__ = [
    "ACTIVITIES",
    "BUILT_IN",
    "COMPUTED",
    "CONTACTS",
    "CUSTOMERS",
    "EVENTS",
    "ITEMS",
    "ORDERS",
    "PERSONAL_ROLES",
    "PRODUCTS",
    "REFERENCE_TABLES",
    "REFUNDS",
    "RESPONSES",
    "STORES",
    "VISITS",
    "Column",
    "Stream",
]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stream.

    `computed` ones exist only at an as_of (``orders.kept``); `origin` names the reference table a column is taken from.
    """

    name: str
    kind: Kind
    about: str = ""
    computed: bool = False
    label: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """One row per happening: a customer, a `time` (when it became known) and these columns.

    `required` names the columns a source must map. `customer` is false for the reference tables `products` and
    `stores`, which hold current rows by `key` and whose columns stand in every stream that has the key. `of` names the
    stream whose rows these belong to, by the column `of_key` that both have.
    """

    name: str
    columns: tuple[Column, ...] = field(default=())
    required: tuple[str, ...] = ()
    customer: bool = True
    key: str = ""
    about: str = ""
    label: str = ""
    of: str = ""
    of_key: str = ""

    def column(self, name: str) -> Column | None:
        """Return the column with this name, or None."""
        return next((column for column in self.columns if column.name == name), None)


#: A column mapped to one of these holds personal data: it belongs in the people vault, never in lake, engine or logs.
PERSONAL_ROLES: Final = ("phone", "email", "name", "address", "openid", "id_number", "free_text")

ORDERS: Final = Stream(
    "orders",
    (
        Column("order_id", TEXT, "the brand's order number", label="订单号"),
        Column("amount", MONEY, "what the customer paid", label="实付金额"),
        Column("coupon_amount", MONEY, "discount by coupon", label="用券金额"),
        Column("channel", TEXT, "store, mini_program, app, marketplace …", label="渠道"),
        Column("store_id", TEXT, "where it was bought", label="门店"),
        Column("cancelled", BOOLEAN, "the order was called off", label="已取消"),
        Column("kept_amount", MONEY, "amount less the order's refunds up to as_of, never below 0", True, "净额"),
        Column("kept", BOOLEAN, "not cancelled, and free of charge or not refunded in full", True, "有效"),
    ),
    required=("order_id", "amount"),
    about="orders, never refunds",
    label="订单",
)
ITEMS: Final = Stream(
    "items",
    (
        Column("order_id", TEXT, "the order it belongs to", label="订单号"),
        Column("sku", TEXT, "product number", label="商品"),
        Column("quantity", DECIMAL, "how many or how much", label="数量"),
        Column("amount", MONEY, "what was paid for the line", label="金额"),
    ),
    about="order lines",
    label="商品明细",
    of="orders",
    of_key="order_id",
)
REFUNDS: Final = Stream(
    "refunds",
    (
        Column("order_id", TEXT, "the order it takes back, if it names one", label="订单号"),
        Column("amount", MONEY, "what was paid back, positive", label="退款金额"),
        Column("kind", TEXT, "return, price_cut, complaint …", label="退款类型"),
    ),
    required=("amount",),
    about="money paid back",
    label="退款",
    of="orders",
    of_key="order_id",
)
EVENTS: Final = Stream(
    "events",
    (
        Column("type", TEXT, "view, search, favourite, like, comment, share, add_to_cart, coupon_used …", label="类型"),
        Column("sku", TEXT, "the product it was about", label="商品"),
        Column("channel", TEXT, "app, mini_program, web, store …", label="渠道"),
        Column("campaign", TEXT, "the campaign it answers", label="活动"),
        Column("query", TEXT, "what was searched for", label="搜索词"),
    ),
    required=("type",),
    about="what people do between purchases",
    label="行为",
)
CONTACTS: Final = Stream(
    "contacts",
    (
        Column("type", TEXT, "call, chat, complaint …", label="类型"),
        Column("topic", TEXT, "what it was about", label="主题"),
        Column("channel", TEXT, "phone, wechat, store …", label="渠道"),
        Column("resolved", BOOLEAN, "whether it was solved", label="已解决"),
    ),
    required=("type",),
    about="service calls, chats, complaints",
    label="服务记录",
)
RESPONSES: Final = Stream(
    "responses",
    (
        Column("type", TEXT, "survey, rating, review", label="类型"),
        Column("survey", TEXT, "which survey or product", label="问卷"),
        Column("question", TEXT, "which question", label="问题"),
        Column("answer", TEXT, "the chosen answer (never free text)", label="答案"),
        Column("score", DECIMAL, "stars, NPS 0 to 10 …", label="评分"),
    ),
    required=("type",),
    about="survey answers, ratings, reviews",
    label="反馈",
)
VISITS: Final = Stream(
    "visits",
    (
        Column("store_id", TEXT, "which store", label="门店"),
        Column("left_at", INSTANT, "when the visitor went out", label="离店时间"),
        Column("dwell_minutes", DECIMAL, "minutes between in and out", True, "停留分钟"),
    ),
    about="store visits, in and out",
    label="到店",
)
ACTIVITIES: Final = Stream(
    "activities",
    (
        Column("type", TEXT, "invited, signed_up, attended", label="类型"),
        Column("activity", TEXT, "which activity", label="活动"),
        Column("channel", TEXT, "where it took place", label="渠道"),
    ),
    required=("type",),
    about="activities: invited, signed up, attended",
    label="活动参与",
)
CUSTOMERS: Final = Stream(
    "customers",
    (
        Column("birth_date", DATE, "date of birth", label="生日"),
        Column("gender", TEXT, "female, male, …", label="性别"),
        Column("province", TEXT, label="省份"),
        Column("city", TEXT, label="城市"),
        Column("district", TEXT, label="区县"),
        Column("registered_at", INSTANT, "when the customer signed up", label="注册时间"),
        Column("referred_by", TEXT, "customer key of who brought this customer", label="推荐人"),
        Column("household_id", TEXT, "family or household", label="家庭"),
        Column("children", INTEGER, "number of children", label="子女数"),
    ),
    about="customer records: attributes with their history",
    label="客户",
)
PRODUCTS: Final = Stream(
    "products",
    (
        Column("sku", TEXT, "product number", label="商品"),
        Column("product_name", TEXT, "what it is called", label="商品名"),
        Column("category", TEXT, label="品类"),
        Column("brand", TEXT, label="品牌"),
        Column("need", TEXT, "the need it serves", label="需求"),
        Column("care_level", TEXT, "prevention, care, treatment", label="护理级别"),
        Column("price", MONEY, "list price", label="标价"),
    ),
    required=("sku",),
    customer=False,
    key="sku",
    about="current products",
    label="商品",
)
STORES: Final = Stream(
    "stores",
    (
        Column("store_id", TEXT, label="门店"),
        Column("store_name", TEXT, label="门店名"),
        Column("store_city", TEXT, label="门店城市"),
        Column("store_district", TEXT, label="门店区县"),
    ),
    required=("store_id",),
    customer=False,
    key="store_id",
    about="current stores",
    label="门店",
)

#: Streams a rule can aggregate over, by name.
BUILT_IN: Final = {s.name: s for s in (ORDERS, ITEMS, REFUNDS, EVENTS, CONTACTS, RESPONSES, VISITS, ACTIVITIES)}
#: Tables that are not streams: attributes with history, and current reference rows.
REFERENCE_TABLES: Final = {s.name: s for s in (CUSTOMERS, PRODUCTS, STORES)}
#: Columns no source can map, because they are worked out at an as_of.
COMPUTED: Final = {
    stream.name: tuple(c.name for c in stream.columns if c.computed)
    for stream in BUILT_IN.values()
    if any(c.computed for c in stream.columns)
}
