"""A brand whose customers have a canary in every personal field, in good rows and in bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.projects import TIERS, Brand, csv

__all__ = ["CANARIES", "HEAD", "KEY", "ORDERS_HEAD", "ROW", "town"]

KEY: Final = "canary-key-1"
#: One value for each personal role, and the number itself.
CANARIES: Final = (
    KEY, "13811112222", "canary@birds.cn", "金丝雀女士", "金丝雀路七号三单元", "oCanaryOpenid", "11010519491231002X",
    "金丝雀喜欢早上的电话",
)  # fmt: skip
SOURCE: Final = """\
file: data/customers.csv
customer: id
streams:
  customers:
    columns:
      phone: phone
      email: email
      name: name
      address: address
      openid: openid
      id_number: id_number
      remark: {value: note, role: free_text}
      city: city
      birth_date: birthday
      referred_by: referrer
"""
ORDERS: Final = """\
file: data/orders.csv
customer: customer
streams:
  orders: {time: time, columns: {order_id: id, amount: amount, channel: channel}}
"""
HEAD: Final = "id,phone,email,name,address,openid,id_number,note,city,birthday,referrer"
ORDERS_HEAD: Final = "id,customer,time,amount,channel"
ROW: Final = f"{','.join(CANARIES)},上海,1990-01-02,"
_BAD: Final = f"{','.join(CANARIES)},上海,1990-02-31,"


def town(folder: Path) -> Brand:
    """Return the brand, nothing run yet: three customers, the first with canaries."""
    people = (
        ROW,
        f"other-key-2,13900000000,b@x.cn,李,山路,oB,,,北京,1990-02-02,{KEY}",
        "other-key-3,13811112222,,王,,,,,北京,1991-02-02,",
        _BAD,
        f"{KEY},13811112222",
    )
    orders = (
        f"A1,{KEY},2026-05-01,100,app",
        "A2,other-key-2,2026-05-02,50,app",
        f"A3,{KEY},2026-05-32,1,app",
        "A4,other-key-3,2026-05-03,x,store",
        f"A5,{KEY}",
    )
    brand = Brand(folder, {"sources/customers.yaml": SOURCE, "sources/orders.yaml": ORDERS})
    brand.write({"data/customers.csv": csv(HEAD, *people), "data/orders.csv": csv(ORDERS_HEAD, *orders)})
    referrers = "  referrer: referred_by\n"
    brand.write({"definitions/t.yaml": TIERS.replace("tierings:", f"{referrers}tierings:")})
    return brand
