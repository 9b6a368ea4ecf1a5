"""Parquet files as a cluster reads them: under what name its machines find them, and files of several shapes as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["read_files", "url_of"]


def url_of(path: Path, folders: Mapping[Path, str]) -> str:
    """Return what the cluster's machines call a path.

    A path without a scheme would be looked for in the cluster's own file system, so one of this machine says ``file:``.
    Hadoop takes the characters of a URL as they are written, so none is encoded.

    Args:
        path: a file or folder here.
        folders: {a folder here: what they call it}.

    Example:
        >>> url_of(Path("/srv/brand/lake/a.parquet"), {Path("/srv/brand"): "hdfs://name:8020/brand/"})
        'hdfs://name:8020/brand/lake/a.parquet'
        >>> url_of(Path("/srv/other"), {})
        'file:///srv/other'
    """
    whole = path.absolute()
    for here, there in folders.items():
        if there and whole.is_relative_to(here.absolute()):
            below = whole.relative_to(here.absolute()).as_posix()
            named = there if "://" in there else f"file://{Path(there).absolute().as_posix()}"
            return f"{named.rstrip('/')}/{below}"
    return f"file://{whole.as_posix()}"


def read_files(session: SparkSession, paths: Sequence[str], folders: Mapping[Path, str]) -> DataFrame:
    """Return the rows of all files, columns by name; what a file lacks is missing there.

    A column that files have under several types (it was declared otherwise between two imports) is a text, which the
    reader converts, as the other engine has it.
    """
    shapes: dict[tuple[tuple[str, str], ...], list[str]] = {}
    types: dict[str, set[str]] = {}
    for path in paths:
        schema = pq.read_schema(path)
        shape = tuple(sorted((field.name, str(field.type)) for field in schema))
        shapes.setdefault(shape, []).append(url_of(Path(path), folders))
        for field in schema:
            if not pa.types.is_null(field.type):
                types.setdefault(field.name, set()).add(str(field.type))
    mixed = {name for name, found in types.items() if len(found) > 1}
    frames = []
    for shape, urls in shapes.items():
        frame = session.read.parquet(*urls)
        for name, _ in shape:
            if name in mixed:
                frame = frame.withColumn(name, frame[f"`{name}`"].cast("string"))
        frames.append(frame)
    return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
