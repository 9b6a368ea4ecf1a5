"""Value: what is a customer worth, how often will they buy, and do they still?

Reads: engine (features of customers at past instants), lake (scores). Writes: lake (scores), store (models).
Extend: a purchase model is a `PurchaseModel` (`tierwise.value.btyd`).
"""
