"""Online Retail worked out once more in plain Python: no engine, no language, no SQL; exact, on whole numbers.

A second opinion is worth something only where it shares nothing with the first, so nothing of `tierwise` is imported.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq

__all__ = ["Customer", "Expected", "quintiles", "work_out"]

_COLUMNS = ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]


@dataclass
class Customer:
    """What one customer has done; money in pence, times as the clock in London showed them."""

    invoices: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    placed_at: dict[str, datetime] = field(default_factory=dict)
    refunded: int = 0
    skus: set[str] = field(default_factory=set)

    @property
    def spend(self) -> int:
        """Pence over all invoices."""
        return sum(self.invoices.values())

    @property
    def last_order_at(self) -> datetime | None:
        """The last invoice's time, an invoice being as late as its last line."""
        return max(self.placed_at.values(), default=None)

    @property
    def order_days(self) -> set[date]:
        """The days with an invoice."""
        return {placed.date() for placed in self.placed_at.values()}

    @property
    def avg_ticket(self) -> float | None:
        """Mean pounds of an invoice."""
        return float(Fraction(self.spend, 100 * len(self.invoices))) if self.invoices else None


@dataclass
class Expected:
    """The file's rows by fate, its customers by number, and the day it ends."""

    rows: int
    reasons: Counter[str]
    customers: dict[str, Customer]
    today: date


def work_out(file: Path) -> Expected:
    """Read the file row by row and keep what the example's rules keep."""
    table = pq.read_table(file, columns=_COLUMNS)
    reasons: Counter[str] = Counter()
    customers: dict[str, Customer] = defaultdict(Customer)
    days: set[date] = set()
    for invoice, sku, quantity, at, price, number in zip(*(table[name].to_pylist() for name in _COLUMNS), strict=True):
        thousandths = round(price * 1000)
        assert abs(price * 1000 - thousandths) < 1e-6, f"{invoice}: a price of more than three digits after the point"
        if reason := _reason(invoice, quantity, thousandths, number):
            reasons[reason] += 1
            continue
        placed = at.to_pydatetime() if hasattr(at, "to_pydatetime") else at
        days.add(placed.date())
        customer = customers[str(int(number))]
        pence = int((Decimal(quantity * thousandths) / 10).quantize(Decimal(1), ROUND_HALF_UP))
        if invoice.startswith("C"):
            customer.refunded -= pence
            continue
        customer.invoices[invoice] += pence
        customer.placed_at[invoice] = max(placed, customer.placed_at.get(invoice, placed))
        if sku[:5].isdigit() and len(sku) >= 5:
            customer.skus.add(sku)
    return Expected(table.num_rows, reasons, dict(customers), max(days))


def _reason(invoice: str, quantity: int, thousandths: int, number: float | None) -> str:
    """Return why a row does not count, or nothing."""
    if invoice.startswith("A"):
        return "adjustment"
    if quantity < 0 and not invoice.startswith("C"):
        return "stock movement"
    if thousandths <= 0:
        return "zero price"
    return "missing_customer" if number is None or number != number else ""


def quintiles(values: dict[str, int], best: str = "high") -> dict[str, int]:
    """Return each one's score: cut point k/5 is the smallest value with at least k/5 of all at or below it.

    Example:
        >>> quintiles({"a": 1, "b": 1, "c": 1, "d": 2, "e": 9})
        {'a': 1, 'b': 1, 'c': 1, 'd': 4, 'e': 5}
    """
    ordered = sorted(values.values())
    # At least k/5 of n at or below: the value at place ceil(k n / 5), counted from 1.
    cuts = [ordered[-(-k * len(ordered) // 5) - 1] for k in range(1, 5)]
    scores = {name: 1 + sum(cut < value for cut in cuts) for name, value in values.items()}
    return scores if best == "high" else {name: 6 - score for name, score in scores.items()}
