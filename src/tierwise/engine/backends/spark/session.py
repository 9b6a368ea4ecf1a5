"""Sessions on a Spark cluster: what every one is set to, so that it answers as the other engine does."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tierwise.errors import EngineRefused

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["open_session", "stop_session"]

_SETTINGS: Final = {
    "spark.app.name": "tierwise",
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    # An instant has no zone of its own anywhere in the engine: it is UTC.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    # A value that cannot be held is missing, as the emitters' try_cast and isfinite say, and no error.
    "spark.sql.ansi.enabled": "false",
    # Decimals keep all their places; what does not fit is missing instead of rounded.
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    # Dates before 1582 as they are written: in the proleptic calendar, like everybody else's.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    "spark.sql.adaptive.enabled": "true",
}
_CONNECT_SECONDS: Final = 5.0


def open_session(master: str, settings: Mapping[str, str]) -> SparkSession:
    """Return the process's session on a cluster.

    Raises:
        EngineRefused: when PySpark or Java is not there, or nobody answers at the master's address.
    """
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise EngineRefused("Spark is not installed", "pip install 'tierwise[spark]', and install Java 17") from None
    _reachable(master)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master)
    for name, value in {**_SETTINGS, **settings}.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EngineRefused(
            f"Spark at {master} cannot be used: {said}", "is Java 17 installed, and the master up?"
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    return session


def stop_session() -> None:
    """End the process's session, if there is one."""
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        active.stop()


def _reachable(master: str) -> None:
    """Refuse at once what Spark itself would try for minutes."""
    if not master.startswith("spark://"):
        return
    for one in master.removeprefix("spark://").split(","):
        where = urlsplit(f"spark://{one}")
        try:
            with socket.create_connection((where.hostname or "", where.port or 7077), _CONNECT_SECONDS):
                return
        except (OSError, ValueError):
            continue
    raise EngineRefused(
        f"no Spark master answers at {master}", "start it, or correct `engine:` in tierwise.yaml; nothing was changed"
    )
