"""Putting the lake's small files together: what many small imports left becomes few files, while others read."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.lake.entries import Entry, LakeFile
from tierwise.lake.manifests import Lake

__all__ = ["compact"]

#: A file of so many rows stays as it is.
_LARGE: Final = 1_000_000
#: Whoever began to read a file that others stand for has so long to finish.
_GRACE: Final = timedelta(minutes=15)


def compact(lake: Lake, at: datetime, up_to: int, least: int = 64) -> int:
    """Put small files of one table and source together; return how many files there are fewer.

    A kill leaves what was before: the new files count once one record names them all, and the old ones stay for those
    who read them. Only rows that were sent and the log of runs are put together, which come in small pieces.

    Args:
        lake: the lake; nobody else writes to it meanwhile.
        at: when, naive UTC.
        up_to: the newest manifest of rows that the engine's tables hold: what is newer is read by the next refresh.
        least: fewer files than that are left as they are.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> lake = Lake(Path(tempfile.mkdtemp()))
        >>> for n in (1, 2, 3):
        ...     rows = pa.table({"import_id": [n], "order_id": [f"o-{n}"]})
        ...     about = {"source": "till", "position": str(n)}
        ...     _ = lake.append("rows", {"orders": rows}, f"{n:08d}", about)
        >>> compact(lake, datetime(2026, 6, 1), up_to=3, least=2)
        2
        >>> [path.name for path in lake.paths("orders")], lake.read("orders", up_to=2).num_rows
        (['00000003-from-00000001.parquet'], 2)
    """
    small: dict[tuple[str, str], list[tuple[Entry, LakeFile]]] = {}
    for entry in lake.entries(up_to=up_to):
        if entry.about.get("backfill") or not ("position" in entry.about or entry.kind == "memberships"):
            continue
        for one in entry.files:
            if one.rows < _LARGE and one.table != "distributions":
                small.setdefault((str(entry.about.get("source", "")), one.table), []).append((entry, one))
    groups = [files for files in small.values() if len(files) >= least]
    if not groups:
        return 0
    lake.purge(at - _GRACE)
    draft = lake.draft(f"compact-{lake.version}")
    made = []
    for place, files in enumerate(groups):
        path = draft / f"{place}.parquet"
        rows = [pq.read_table(lake.folder / one.path) for _, one in files]
        pq.write_table(pa.concat_tables(rows, promote_options="default"), path, compression="zstd")
        made.append((files, path))
    lake.put_together(made, at)
    shutil.rmtree(draft, ignore_errors=True)
    return sum(len(files) - 1 for files in groups)
