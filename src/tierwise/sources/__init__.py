"""Sources: where do rows come from, and which of them can be believed?

Reads: the brand's files. Writes: lake (rows), store (ids, quarantine).
Extend: a kind of file is a reader that yields `RawBatch`es (`tierwise.sources.records`).
"""
