"""Sessions on a Spark cluster: what every one is set to, so that it answers as the other engine does."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tierwise.engine.backends.spark.gateway import close_context, open_context
from tierwise.errors import EngineRefused

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["leave_session", "open_session"]

#: What makes Spark answer as the other engine does.
_MEANING: Final = {
    # An instant has no zone of its own anywhere in the engine: it is UTC.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    # A value that cannot be held is missing, as the emitters' try_cast and isfinite say, and no error.
    "spark.sql.ansi.enabled": "false",
    # Decimals keep all their places; what does not fit is missing instead of rounded.
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    # Dates before 1582 as they are written: in the proleptic calendar, like everybody else's.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.caseSensitive": "true",
}
_SETTINGS: Final = {
    "spark.app.name": "tierwise",
    # A statement over hundreds of definitions is a large tree, of which every step of planning makes another one.
    "spark.driver.memory": "2g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    "spark.sql.adaptive.enabled": "true",
    # What can be concluded of each of hundreds of columns takes longer to find out than it saves.
    "spark.sql.constraintPropagation.enabled": "false",
}
_CONNECT_SECONDS: Final = 5.0
#: The masters of those who use the process's session.
_USERS: Final[list[str]] = []


def open_session(master: str, settings: Mapping[str, str]) -> SparkSession:
    """Return the process's session on a cluster.

    Raises:
        EngineRefused: when PySpark or Java is not there, or nobody answers at the master's address.
    """
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")  # none is used
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise EngineRefused("Spark is not installed", "pip install 'tierwise[spark]', and install Java 17") from None
    fixed = sorted(name for name, value in settings.items() if _MEANING.get(name, value) != value)
    if fixed:
        raise EngineRefused(
            f"`{fixed[0]}` cannot be set: it is what makes Spark answer as DuckDB does",
            "leave it out of `engine: conf:` in tierwise.yaml",
        )
    _reachable(master)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    chosen = {**_SETTINGS, **settings, **_MEANING, "spark.master": master}
    try:
        context = open_context(chosen)
        if context.master != master:
            raise EngineRefused(f"this process works with Spark at {context.master}", "close that session first")
        builder = SparkSession.builder
        for name, value in chosen.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    except EngineRefused:
        raise
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "is the master up, and every setting in `engine: conf:` one that Spark knows?"
        raise EngineRefused(f"Spark at {master} cannot be used: {said}", hint) from error
    session.sparkContext.setLogLevel("ERROR")
    _USERS.append(master)
    return session


def leave_session() -> None:
    """Leave the process's session; with the last one that uses it the session and its Java process end."""
    _USERS.pop()
    if not _USERS:
        close_context()


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
