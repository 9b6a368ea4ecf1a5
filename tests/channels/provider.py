"""A provider of messages on this machine: it answers what it is told, hangs, or drops the line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Provider", "Request"]


@dataclass(frozen=True)
class Request:
    """What the provider was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes]
#: An answer, what makes one of a request, ``drop`` (close the line without a word) or ``hang`` (say nothing for long).
Behaviour = Answer | str | Callable[[Request], Answer]


class Provider:
    """A server in a thread; `answering` says how it behaves meanwhile and gathers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.behaviour: Behaviour = (200, b"{}")
        self.released = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                provider.handle(self)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.authority = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.authority}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Provider:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    @contextmanager
    def answering(self, behaviour: Behaviour) -> Iterator[list[Request]]:
        self.asked, self.behaviour = [], behaviour
        self.released.clear()
        try:
            yield self.asked
        finally:
            self.released.set()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)
        self.asked.append(request)
        behaviour = self.behaviour
        if behaviour == "hang":
            self.released.wait(5)
        if isinstance(behaviour, str):
            handler.close_connection = True
            return
        status, said = behaviour(request) if callable(behaviour) else behaviour
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(said)))
        handler.end_headers()
        handler.wfile.write(said)
