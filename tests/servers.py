"""A real PostgreSQL server for tests: its own data folder, a free loopback port, never run as root."""

from __future__ import annotations

import getpass
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

__all__ = ["PostgresServer", "binaries", "fresh_database"]

_ATTEMPTS: Final = 5
_START_SECONDS: Final = 60.0
# A killed process loses nothing that the kernel has: only a power cut would, so the tests need no flush.
_SETTINGS: Final = (
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=60",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "timezone=UTC",
)
_numbers = itertools.count(1)


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest installed; nothing when there are none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("postgres")
    folders = [*reversed(installed), *([Path(found).resolve().parent] if found else [])]
    return next(
        (folder for folder in folders if all((folder / name).exists() for name in ("postgres", "initdb"))), None
    )


def _account() -> dict[str, Any]:
    """Return the account the server runs as: PostgreSQL refuses root, so root lends it another one."""
    if os.geteuid():
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """One server; `start` it, take databases from `fresh_database(server.url)`, `stop` it.

    Args:
        folder: The programs' folder, as `binaries` gives it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._account = _account()
        self._home = Path(tempfile.mkdtemp(prefix="tierwise-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.url = ""
        if self._account:
            os.chown(self._home, self._account["user"], self._account["group"])
        command = [str(folder / "initdb"), "-D", str(self._data), "-U", "tierwise", "--auth=trust", "--no-sync"]
        done = self._run([*command, "--encoding=UTF8", "--locale=C"])
        assert done.returncode == 0, done.stdout.decode(errors="replace")

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        out, both = subprocess.PIPE, subprocess.STDOUT
        return subprocess.run(command, cwd=self._home, stdout=out, stderr=both, check=False, **self._account)

    def start(self, same_port: bool = False, file_limit_bytes: int | None = None) -> None:
        """Start the server, on another port when the one found is taken meanwhile; or again on the one it had.

        With a limit no file of it may grow beyond, which is what a full disk looks like.
        """
        log = self._home / "log"
        for _ in range(_ATTEMPTS):
            port = self._port if same_port else _free_port()
            self._port = port
            command = [str(self._folder / "postgres"), "-D", str(self._data), "-p", str(port)]
            command += [word for setting in _SETTINGS for word in ("-c", setting)]
            if file_limit_bytes is not None:
                limited = 'ulimit -f "$1"; shift; exec "$@"'
                command = ["sh", "-c", limited, "sh", str(file_limit_bytes // 512), *command]
            if shutil.which("setpriv"):  # a test run that is killed takes its server with it
                command = ["setpriv", "--pdeathsig", "INT", *command]
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    command, cwd=self._home, stdout=output, stderr=output, start_new_session=True, **self._account
                )
            self.url = f"postgresql+psycopg://tierwise@127.0.0.1:{port}/postgres"
            if self._answers():
                return
        raise AssertionError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")

    def _answers(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(_plain(self.url), connect_timeout=2).close()
                return True
            except psycopg.OperationalError:
                time.sleep(0.05)
        return False

    def kill(self) -> None:
        """Kill every process of the server at once, as a power cut does; `start` recovers it."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stop the server and remove what it kept."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._home, ignore_errors=True)


@contextmanager
def fresh_database(url: str, template: str = "") -> Iterator[str]:
    """Make a database of its own on a server and drop it afterwards; yield its URL.

    Args:
        url: A database of the server, with a role that may create others.
        template: The URL of a database to begin as a copy of, which nobody may have open meanwhile.
    """
    name = f"tierwise_test_{getpass.getuser()}_{os.getpid()}_{next(_numbers)}"
    copied = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template.rpartition("/")[2])) if template else sql.SQL("")
    _execute(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + copied)
    try:
        yield f"{url.partition('?')[0].rpartition('/')[0]}/{name}"
    finally:
        _execute(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        connection.execute(statement)


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
