"""Events as they happen: judged, written to a log, acknowledged once they are on the disk, then absorbed.

Modules, in reading order:

- `events`    what a request says, event by event
- `frames`    records in a file: length, checksum, ciphertext
- `log`       the log: one writer, one flush of the disk for all who wait
- `absorber`  takes what is in the log into the lake, in order
- `ingest`    the three together, for the routes
"""

from tierwise.server.ingest.ingest import Ingest

__all__ = ["Ingest"]
