"""Files that browsers and programs send: received beside the store with a limit, then moved into the project."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tierwise.errors import BadRequest, Overloaded, UnknownName
from tierwise.lake.entries import sync
from tierwise.people.files import digest_of
from tierwise.store import Upload

__all__ = ["DATA", "Received", "UploadedFiles"]

#: The folder of a project where uploaded files go once they are committed.
DATA: Final = "data"
_ENDINGS: Final = (
    *("csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "pq"),
    *("xlsx", "xlsm", "xlsb", "xls", "ods"),
)
_NAME: Final = re.compile(
    r"(?!\.)[^/\\:*?\"<>|\x00-\x1f]{1,100}\.(?:" + "|".join(_ENDINGS) + r")(?:\.gz|\.zip)?", re.IGNORECASE
)
_AT_ONCE_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Received:
    """A file whose bytes are on the disk, under a name nobody else knows."""

    name: str
    draft: Path
    size_bytes: int
    fingerprint: str


class UploadedFiles:
    """The uploaded files of one project folder that wait to be committed.

    Args:
        folder: the project's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._project, self._folder = folder, folder / "store" / "uploads"

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> Received:
        """Write what is sent to the disk.

        Raises:
            BadRequest: when it has no name of a file that can be read, or says nothing.
            Overloaded: when the disk is full.
        """
        if not _NAME.fullmatch(name) or not name.isprintable():
            raise BadRequest(
                f"`{name[:100]}` is no name of a file that can be read", f"end it with {', '.join(_ENDINGS)}"
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(prefix=".draft-", dir=self._folder)
        draft, digest, size = Path(path), hashlib.blake2b(digest_size=16), 0
        try:
            with os.fdopen(handle, "wb") as file:
                waiting = bytearray()
                async for chunk in chunks:
                    waiting += chunk
                    if len(waiting) >= _AT_ONCE_BYTES:
                        digest.update(waiting)
                        size += len(waiting)
                        await asyncio.to_thread(file.write, bytes(waiting))
                        waiting.clear()
                digest.update(waiting)
                size += len(waiting)
                file.write(waiting)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            if not size:
                raise BadRequest("the file is empty", "send its bytes as the body of the request")
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise Overloaded(f"the file cannot be kept: {error.strerror}", "make room on the disk") from None
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return Received(name, draft, size, digest.hexdigest())

    def keep(self, received: Received, upload_id: int) -> Path:
        """Put a received file where its upload has it; return that."""
        place = self._folder / str(upload_id)
        place.mkdir(mode=0o700)
        return received.draft.replace(place / received.name)

    def path(self, upload: Upload, target: str | None = None) -> Path:
        """Return where the bytes of an upload are, if need be already in their place in the project.

        Raises:
            UnknownName: when they are there no more.
        """
        path = self._folder / str(upload.upload_id) / upload.name
        moved = None if target is None else self._project / target
        if moved is not None and not path.exists() and moved.is_file() and digest_of(moved) == upload.fingerprint:
            return moved
        if upload.state != "uploaded" or not path.is_file():
            raise UnknownName(f"the file of upload {upload.upload_id} is there no more", "send it again")
        return path

    def discard(self, upload_id: int) -> None:
        """Remove the bytes of an upload."""
        shutil.rmtree(self._folder / str(upload_id), ignore_errors=True)

    def move(self, upload: Upload, target: str, *, replace: bool) -> None:
        """Move an upload's bytes to a place in the project; asked again, find them there.

        Args:
            upload: the upload.
            target: the place, below the project's folder.
            replace: whether a file that is there already may go.

        Raises:
            BadRequest: when there is another file, or the place is outside of the project.
            UnknownName: when the bytes are there no more.
        """
        place = self._project / target
        if not place.resolve().is_relative_to(self._project.resolve()):
            raise BadRequest(
                f"`{target}` leads out of the project", "its source reads files from elsewhere: put it there"
            )
        if place.is_file() and digest_of(place) == upload.fingerprint:
            self.discard(upload.upload_id)
            return
        if place.exists() and not replace:
            raise BadRequest(f"there is a file `{target}` already", "say `replace`, or give yours another name")
        place.parent.mkdir(parents=True, exist_ok=True)
        self.path(upload).replace(place)
        sync(place.parent)
        self.discard(upload.upload_id)
