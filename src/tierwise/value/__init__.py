"""Value: what is a customer worth, how often will they buy, and do they still?

Reads: engine (the days of the orders that were kept). Writes: nothing yet.
Extend: a purchase model is a `PurchaseModel` (`tierwise.value.btyd`).
"""
