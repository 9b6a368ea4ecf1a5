"""A client of the owner's door: hands a request in, hears how far it is, and gets the answer whole or not at all."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.engine.owner.claim import Holder
from tierwise.engine.owner.requests import Callbacks, Elsewhere, Request
from tierwise.engine.owner.wire import PROTOCOL, decode, decode_error, encode, pack, unpack
from tierwise.errors import EngineRefused, ProjectBusy

__all__ = ["ask", "check_holder", "control", "door_of", "unreachable"]

#: A message that only keeps the line alive.
_BEAT: Final = "beat"


def door_of(holder: Holder, folder: Path) -> Path | None:
    """Return the socket of a holder, or nothing while its door is not open yet.

    Args:
        holder: who holds the project.
        folder: the engine's folder as this process finds it.

    Raises:
        ProjectBusy: when it cannot be asked: of another user, of another version, or with the folder elsewhere.
    """
    if not holder.socket:
        return None
    path = folder / holder.socket
    try:
        about = path.lstat()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise ProjectBusy(
            f"{holder} holds the project, and its door is open to its own user only",
            f"ask as {holder.actor}, or wait until it has finished",
        ) from error
    if about.st_uid != os.geteuid():
        raise ProjectBusy(
            f"{holder} holds the project and is of another user ({about.st_uid})",
            f"ask as {holder.actor}, or wait until it has finished",
        )
    return path


def check_holder(holder: Holder, folder: Path) -> None:
    """Refuse a holder that this process must not ask.

    Raises:
        ProjectBusy: with the way out.
    """
    if holder.protocol != PROTOCOL:
        raise ProjectBusy(
            f"{holder} holds the project with Tierwise {holder.version}, which speaks protocol {holder.protocol};"
            f" this one speaks {PROTOCOL}",
            "end it with `tierwise engine stop` and start it again with the same Tierwise",
        )
    known = Path(holder.folder)
    if not known.is_dir() or not os.path.samefile(known, folder.parent):
        raise ProjectBusy(
            f"{holder} opened this project as {known}, before it was moved here",
            "end it with `tierwise engine stop`; it cannot go on there",
        )


def ask(path: Path, request: Request, callbacks: Callbacks) -> Any:
    """Have a request done by the owner behind a door.

    Raises:
        Elsewhere: when it takes none, or died on the way.
        TierwiseError: what the owner raised, as it was.
    """
    from pyarrow import flight

    arguments, table = encode(dict(request.arguments))
    values = {name: getattr(request, name) for name in Request.__dataclass_fields__}
    values |= {"arguments": arguments, "at": request.at.isoformat()}
    message = {"protocol": PROTOCOL, "request": values, "table": table is not None}
    heard = _Heard(callbacks)
    try:
        with flight.connect(f"grpc+unix://{path}") as client:
            writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(pack(message)))
            try:
                if table is not None:
                    writer.begin(table.schema)
                    writer.write_table(table)
                writer.done_writing()
                heard.all_of(reader)
            except BaseException:
                reader.cancel()
                raise
            finally:
                _end(writer)
    except (pa.ArrowException, OSError) as error:
        if not heard.ended:
            never = "failed to connect" in str(error) and not heard.anything
            raise Elsewhere(begun=not never) from error
    return heard.answer()


def _end(writer: Any) -> None:
    """Close what is said to the owner, who may be gone."""
    with suppress(pa.ArrowException, OSError):
        writer.close()


def control(path: Path, what: str) -> dict[str, Any]:
    """Ask a door of any version who is behind it (``status``), or wish it gone (``stop``).

    Raises:
        Elsewhere: when nobody answers.
    """
    from pyarrow import flight

    try:
        with flight.connect(f"grpc+unix://{path}") as client:
            options = flight.FlightCallOptions(timeout=5.0)
            descriptor = flight.FlightDescriptor.for_command(pack({"control": what}))
            writer, reader = client.do_exchange(descriptor, options)
            try:
                writer.done_writing()
                return unpack(reader.read_chunk().app_metadata.to_pybytes())
            finally:
                _end(writer)
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise Elsewhere from error


class _Heard:
    """What a client has heard so far."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._last: dict[str, Any] = {}
        self._batches: list[pa.RecordBatch] = []
        self.anything = False
        self.ended = False

    def all_of(self, reader: Any) -> None:
        """Hear until the owner has said its last word."""
        while not self.ended:
            try:
                chunk = reader.read_chunk()
            except StopIteration:
                return
            if chunk.app_metadata is not None:
                self._hear(unpack(chunk.app_metadata.to_pybytes()))
            if chunk.data is not None:
                self._batches.append(chunk.data)

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "progress" in message:
            self.anything = True
            if self._callbacks.progress is not None:
                self._callbacks.progress(*message["progress"])
        elif "waiting" in message:
            if self._callbacks.waiting is not None:
                self._callbacks.waiting(message["waiting"])
        elif "answer" in message:
            self.anything = True
            self._last = dict(message)
        elif "end" in message:
            self.ended = sum(batch.num_rows for batch in self._batches) == message["end"]
        elif _BEAT not in message:
            self._last, self.ended = dict(message), True

    def answer(self) -> Any:
        """Return the answer, or raise what was raised."""
        last = self._last
        if not self.ended:
            raise Elsewhere(begun=self.anything)
        if "error" in last:
            raise decode_error(last["error"])
        if "elsewhere" in last:
            raise Elsewhere(begun=last["elsewhere"])
        if "cancelled" in last:
            raise KeyboardInterrupt
        if "bug" in last:
            raise RuntimeError(last["bug"])
        table = None
        if last["schema"] is not None:
            table = pa.Table.from_batches(self._batches, _schema(last["schema"]))
        return decode(last["answer"], table)


def _schema(text: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def unreachable(holder: Holder | None) -> EngineRefused:
    """Return the error of a holder that does not answer."""
    end = f"look what it does, and end it if it hangs: kill {holder.pid}" if holder else "find and end that process"
    return EngineRefused(f"{holder or 'another process'} holds the project and does not answer", end)
