"""`tierwise serve`: the API in this process, the engine's and a worker's beside it, started again when they die."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from tierwise.entry import open as open_project
from tierwise.errors import BadRequest
from tierwise.server.app import create_app
from tierwise.store import Actor

__all__ = ["serve"]

_COMMAND: Final = "from tierwise.cli import main; main()"
#: A process that dies at once is started again after this time, then after twice as long, up to the longest.
_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 30.0
#: One that has lived so long starts with the first wait again.
_LIVED_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0


def serve(
    folder: Path,
    clock: Callable[[], datetime],
    tell: Callable[[str], None],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    secure: bool = False,
    works: bool = True,
) -> None:
    """Serve a project until told to stop (Ctrl-C, SIGTERM); what is being answered is answered first.

    Args:
        folder: the project's folder.
        clock: gives the current instant with its zone.
        tell: called with a sentence when something begins, ends or goes wrong.
        host: the address to listen on; only this machine by default.
        port: the port to listen on; 0 takes a free one.
        secure: whether browsers reach the server by HTTPS only.
        works: whether to work off jobs here too.
    """
    project = open_project(folder, clock, Actor("system", "server"), "tierwise serve", owns=False)
    _ = project.definitions
    token = None if project.store.accounts.all_users() else secrets.token_urlsafe(24)
    app = create_app(project, clock, secure=secure, setup_token=token)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
    )
    server = _Server(config, lambda bound: _said(tell, host, bound, token), app.state.stopping)
    beside = [["engine", "serve", "--tied"], *([["worker", "--tied"]] if works else [])]
    with ExitStack() as running, closing(_listening(host, port)) as listening:
        for words in beside:
            running.enter_context(_Beside(folder, words, tell))
        server.run([listening])


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
        BadRequest: when it cannot be listened at.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise BadRequest(f"port {port} is in use already", "`--port 0` takes a free one") from None
        raise BadRequest(f"{host}:{port} cannot be listened at: {error.strerror}", "name another address") from None
    listening.set_inheritable(False)
    return listening


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None], stopping: threading.Event) -> None:
        super().__init__(config)
        self._ready, self._stopping = ready, stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say where."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: whoever is told what happens is told no more, whoever waits for an answer gets it."""
        self._stopping.set()
        super().handle_exit(sig, frame)


def _said(tell: Callable[[str], None], host: str, port: int, token: str | None) -> None:
    shown = f"[{host}]" if ":" in host else host
    tell(f"http://{shown}:{port}")
    if token is not None:
        tell(f"there is no user yet: POST /v1/setup with this token makes the first one: {token}")


class _Beside:
    """A command that runs beside the server, and is started again when it ends."""

    def __init__(self, folder: Path, words: Sequence[str], tell: Callable[[str], None]) -> None:
        self._words, self._tell = " ".join(word for word in words if not word.startswith("-")), tell
        self._command = [sys.executable, "-c", _COMMAND, "--project", str(folder), *words]
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=self._words, daemon=True)

    def __enter__(self) -> _Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self._thread.join(_STOP_SECONDS)
        if process is not None and process.poll() is None:
            process.kill()

    def _keep(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while not self._stopping.is_set():
            lived = threading.Event()
            timer = threading.Timer(_LIVED_SECONDS, lived.set)
            timer.daemon = True
            # A group of its own: Ctrl-C reaches the server, which ends this one when it has answered everybody.
            # And tied to this one by its standard input: should the server be killed, it ends as well.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env=os.environ, start_new_session=True,
            )  # fmt: skip
            timer.start()
            if self._stopping.is_set():
                self._process.terminate()
            said = self._said()
            timer.cancel()
            if self._stopping.is_set():
                return
            reason = said.decode(errors="replace").strip().splitlines()
            wait = _FIRST_WAIT_SECONDS if lived.is_set() else min(wait * 2, _LONGEST_WAIT_SECONDS)
            self._tell(f"`tierwise {self._words}` has ended, again in {wait:g} s: {reason[-1] if reason else ''}")
            self._stopping.wait(wait)

    def _said(self) -> bytes:
        """Wait for the process to end; return the end of what it said is wrong."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stderr is not None
        said = b""
        while part := process.stderr.read1(65536):  # type: ignore[attr-defined]
            said = (said + part)[-65536:]
        process.wait()
        process.stdin.close()
        process.stderr.close()
        return said
