"""The owner's door: Arrow Flight over a Unix socket that only its user can open."""

from __future__ import annotations

import os
import re
import socket
import stat
import tempfile
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import flight

from tierwise.engine.owner.process import Doing, Owner
from tierwise.engine.owner.requests import Callbacks, Elsewhere, Request
from tierwise.engine.owner.wire import PROTOCOL, decode, encode, encode_error, pack, schema_of, unpack
from tierwise.errors import EngineRefused, ProjectBusy, TierwiseError

__all__ = ["Serving", "socket_path"]

#: How often a client hears something, so that it can be interrupted, and the owner looks whether it is still there.
_BEAT_SECONDS: Final = 0.2
#: A Unix socket's path has at most 107 bytes; gRPC reads it as a URI.
_LONGEST: Final = 100
_PLAIN: Final = re.compile(rb"[A-Za-z0-9/._-]+")
_BATCH_ROWS: Final = 65_536


def socket_path(folder: Path, lock: tuple[int, int]) -> Path:
    """Return where the door of an `engine/` folder is, in a folder only this user can enter.

    Args:
        folder: the engine's folder.
        lock: what identifies it, for a path of its own where the folder's own one does not do.

    Raises:
        EngineRefused: when there is no such folder.
    """
    inside = folder / "door" / "owner.sock"
    if len(os.fsencode(inside)) <= _LONGEST and _PLAIN.fullmatch(os.fsencode(inside)):
        inside.parent.mkdir(mode=0o700, exist_ok=True)
        return inside if _takes_sockets(inside.parent) else _apart(lock)
    return _apart(lock)


def _apart(lock: tuple[int, int]) -> Path:
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    room = base / f"tierwise-{os.geteuid()}"
    room.mkdir(mode=0o700, exist_ok=True)
    about = room.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        raise EngineRefused(f"{room} is open to others", "delete it, or set XDG_RUNTIME_DIR to a folder of your own")
    return room / f"{lock[0]:x}-{lock[1]:x}.sock"


def _takes_sockets(folder: Path) -> bool:
    """Whether the file system knows sockets; some shared ones do not."""
    trial = folder / "trial.sock"
    trial.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.bind(str(trial))
        except OSError:
            return False
    trial.unlink(missing_ok=True)
    return True


class Serving(flight.FlightServerBase):  # type: ignore[misc]  # PyArrow has no types
    """Answers those who knock, each in a thread of its own."""

    def __init__(self, owner: Owner, path: Path) -> None:
        path.unlink(missing_ok=True)  # of an owner that died: this one has the lock
        super().__init__(f"grpc+unix://{path}")
        path.chmod(0o600)
        self._owner = owner

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Answer one request; whatever happens is said in words of the protocol."""
        line = _Line(writer)
        try:
            message = unpack(descriptor.command)
            if "control" in message:
                line.say(self._control(message["control"]))
                return
            if message["protocol"] != PROTOCOL:
                raise _other_protocol(self._owner, message["protocol"])
            table = reader.read_all() if message["table"] else None
            request = Request(**{**message["request"], "at": datetime.fromisoformat(message["request"]["at"])})
            request = _with_arguments(request, decode(message["request"]["arguments"], table))
            self._answer(request, context, line)
        except TierwiseError as error:
            line.say({"error": encode_error(error)})
        except Elsewhere as error:
            line.say({"elsewhere": error.begun})
        except KeyboardInterrupt:
            line.say({"cancelled": True})
        except Exception as error:
            line.say({"bug": f"{type(error).__name__}: {error}"})

    def _answer(self, request: Request, context: Any, line: _Line) -> None:
        done = threading.Event()
        watched: list[Doing] = []

        def watch() -> None:
            while not done.wait(_BEAT_SECONDS):
                if context.is_cancelled() or not line.say({"beat": True}):
                    for doing in watched:
                        doing.cancel()

        watcher = threading.Thread(target=watch, name="tierwise-watch", daemon=True)
        watcher.start()
        told = Callbacks(
            lambda step, so_far, total: line.tell({"progress": [step, so_far, total]}),
            lambda text: line.tell({"waiting": text}),
        )
        try:
            answer = self._owner.perform(request, told, watched.append)
        finally:
            done.set()
            watcher.join()  # what it looks at is gone once this request is answered
        plain, table = encode(answer)
        line.finish({"answer": plain, "schema": schema_of(table)}, table)

    def _control(self, what: str) -> dict[str, Any]:
        """Answer what every version understands: who is there, and the wish that it goes."""
        if what == "stop":
            self._owner.leave()
        elif what != "status":
            return {"error": {"code": "bad-request", "message": f"no such control `{what}`", "hint": "", "details": {}}}
        return {"doing": self._owner.doing()}


class _Line:
    """What is said to one client, by one thread at a time."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._ended = False

    def say(self, message: Mapping[str, Any]) -> bool:
        """Say something; return whether somebody is still there."""
        with self._lock:
            if self._ended:
                return True
            try:
                self._writer.write_metadata(pack(message))
            except (pa.ArrowException, OSError):
                return False
            return True

    def tell(self, message: Mapping[str, Any]) -> None:
        """Say something to one who may have gone."""
        self.say(message)

    def finish(self, message: Mapping[str, Any], table: pa.Table | None) -> None:
        """Say the answer and send its table, whole: the last word names the rows."""
        with self._lock:
            self._ended = True
            try:
                self._writer.write_metadata(pack(message))
                if table is not None:
                    self._writer.begin(table.schema)
                    self._writer.write_table(table, max_chunksize=_BATCH_ROWS)
                self._writer.write_metadata(pack({"end": 0 if table is None else table.num_rows}))
            except (pa.ArrowException, OSError):
                return  # nobody is there any more


def _with_arguments(request: Request, arguments: Mapping[str, Any]) -> Request:
    values: dict[str, Any] = {name: getattr(request, name) for name in Request.__dataclass_fields__}
    return Request(**{**values, "arguments": arguments})


def _other_protocol(owner: Owner, theirs: int) -> ProjectBusy:
    holder = owner.holder
    return ProjectBusy(
        f"{holder} runs Tierwise {holder.version}, which speaks protocol {PROTOCOL}; this one speaks {theirs}",
        "end it with `tierwise engine stop` and start it again with the same Tierwise",
    )
