"""A simulated brand with known truth, for docs, tests and demos: seeded, realistic, of any size.

The brand sells health products, skincare, mother-and-baby goods, food and household things in China, in stores, a
mini-program, an app and on marketplaces (CNY, Shanghai wall time). In reading order:

- `settings`: what can be chosen, and what comes back
- `seasons`, `places`, `catalogue`: the calendar, the districts and stores, the products
- `types`, `cohort`: who the customers really are
- `purchases`, `browsing`, `service`: what they do, as tables
- `records`, `backoffice`: what the brand knows about them, and its hand-kept file with mistakes
- `truth`: their true tiers and what they spend next year
- `writing`: blocks, parts, files
"""

from tierwise.shop.settings import SHOP_END, ShopSettings, ShopSummary
from tierwise.shop.writing import write_shop

__all__ = ["SHOP_END", "ShopSettings", "ShopSummary", "write_shop"]
