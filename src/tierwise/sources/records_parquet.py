"""Parquet files as batches of rows in their own types, with row numbers where a CSV file has line numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.errors import SourceUnreadable
from tierwise.sources.records_arrow import plain_batch, plain_type
from tierwise.sources.records_batch import RawBatch, checked_names, positions_of, shorten
from tierwise.sources.records_files import stamp_of, unchanged_since

__all__ = ["ParquetReader", "read_parquet"]


def read_parquet(path: Path, columns: Sequence[str] | None = None, *, batch_rows: int = 65536) -> ParquetReader:
    """Open a Parquet file.

    Texts become NFC strings (bytes without a type too, as old writers left them), dictionaries their values; numbers,
    decimals, dates and instants stay as they are. A row with bytes that are no UTF-8, a NUL character or a text of
    more than 1 MB is a `Reject`, its text the row as JSON.

    Args:
        path: The file.
        columns: Only these columns, in this order; all of them by default.
        batch_rows: No batch has more rows than this.

    Raises:
        SourceUnreadable: The file is damaged or no Parquet, or a column is nested or of a type not read here.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "orders.parquet")
        ...     pq.write_table(pa.table({"id": ["a", "b"], "amount": [1, 2]}), path)
        ...     batch = next(iter(read_parquet(path)))
        >>> batch.lines.to_pylist(), batch.text_of(1)
        ([1, 2], '{"id": "b", "amount": 2}')
    """
    return ParquetReader(path, columns, batch_rows)


class ParquetReader:
    """An open Parquet file: its `columns`, the `schema` of the batches; iterate it, any number of times.

    `rows_read` counts the current or last iteration; `blank_lines` is 0, as for a CSV file without any.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None, batch_rows: int) -> None:
        assert batch_rows > 0, "a batch has at least one row"
        self.path = path
        self.rows_read = 0
        self.blank_lines = 0
        self._batch_rows = batch_rows
        self._stamp = stamp_of(path)
        with _refusing(path, "cannot be read as Parquet"), self._open() as file:
            own = file.schema_arrow
            if file.metadata.num_columns == 0:
                raise SourceUnreadable(f"{path}: has no column", "export it again")
        self.columns = checked_names(str(path), own.names)
        self._positions = positions_of(path, self.columns, columns)
        self._own_names = [own.field(position).name for position in self._positions]
        kinds = [plain_type(str(path), own.field(i)) for i in self._positions]
        self.schema = pa.schema(list(zip([self.columns[i] for i in self._positions], kinds, strict=True)))

    def __iter__(self) -> Iterator[RawBatch]:
        self.rows_read = 0
        with _refusing(self.path, "is damaged"), self._open() as file:
            batches = file.iter_batches(self._batch_rows, columns=self._own_names, use_threads=False)
            while (batch := next(batches, None)) is not None:
                raw = plain_batch(batch.select(self._own_names), self.schema, self.rows_read + 1)
                self.rows_read += raw.records
                assert raw.records == batch.num_rows, "a row was lost"
                if raw.records:
                    yield raw
        unchanged_since(self.path, self._stamp)

    @property
    def encoding_name(self) -> str:
        """A Parquet file has none."""
        return ""

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path, memory_map=False, pre_buffer=False, page_checksum_verification=True)


@contextmanager
def _refusing(path: Path, what: str) -> Iterator[None]:
    """Turn whatever Arrow raises for a bad file into a refusal."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        message = f"{path}: {what} ({shorten(reason)})"
        raise SourceUnreadable(message, "copy or export it again; a CSV file ends in .csv") from error
