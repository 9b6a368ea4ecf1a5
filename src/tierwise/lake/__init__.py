"""The lake: what was received and what was declared at a time, as append-only Parquet with manifests.

Reads: nothing. Writes: ``lake/``. Nothing in it can be computed again; personal identifiers never get here.
"""

from tierwise.lake.entries import Entry, LakeFile
from tierwise.lake.manifests import Lake

__all__ = ["Entry", "Lake", "LakeFile"]
