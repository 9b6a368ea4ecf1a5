"""A call's fate is always known, and it goes to no address of anybody's inner network, whatever it is called."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tierwise.channels.calling import AnswerLost, NotBegun, Resolve, call, is_public, target_of
from tierwise.errors import BadRequest


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that reads a request and does with the line what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)

        def work() -> None:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with line:
                line.settimeout(5)
                try:
                    line.recv(65_536)
                    answer(line)
                except OSError:
                    return

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


def post(port: int, timeout_seconds: float = 5.0) -> tuple[int, bytes]:
    target = target_of(f"http://127.0.0.1:{port}/hook", [f"127.0.0.1:{port}"])
    answer = call(target, b"{}", {}, timeout_seconds=timeout_seconds)
    return answer.status, answer.body


def test_an_answer() -> None:
    with server(lambda line: line.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")) as port:
        assert post(port) == (202, b"ok")


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with server(lambda line: line.sendall(moved)) as port:
        assert post(port) == (302, b"")


def test_a_long_answer_is_cut() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 200_000
    with server(lambda line: line.sendall(long)) as port:
        assert len(post(port)[1]) == 65_536


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 20", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_line_that_drops_is_lost_and_not_refused(said: bytes) -> None:
    with server(lambda line: line.sendall(said)) as port, pytest.raises(AnswerLost):
        post(port)


def test_an_answer_that_never_ends_is_lost_in_time() -> None:
    """A byte every tenth of a second resets every ordinary timeout."""
    stop = threading.Event()

    def drip(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.1):
            line.sendall(b"X: y\r\n")

    with server(drip) as port:
        with pytest.raises(AnswerLost):
            post(port, timeout_seconds=0.5)
        stop.set()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotBegun, match="cannot be reached"):
        post(port)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)
    target = target_of("https://harmless.example.com/")
    with pytest.raises(NotBegun, match="not public"):
        call(target, b"", {}, resolve=lambda host, port: [address])
    # One bad address among good ones is enough.
    with pytest.raises(NotBegun, match="not public"):
        call(target, b"", {}, resolve=lambda host, port: ["93.184.215.14", address])


def test_addresses_that_are_public() -> None:
    assert all(map(is_public, ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14")))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
def test_other_ways_to_write_the_machine_itself(host: str) -> None:
    with pytest.raises(NotBegun):
        call(target_of(f"https://{host}/"), b"", {}, timeout_seconds=0.5)


def test_a_name_is_asked_once() -> None:
    """Whoever answers it differently a moment later changes nothing: the connection goes to the address judged."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["203.0.113.1"] if len(asked) == 1 else ["127.0.0.1"]

    with pytest.raises(NotBegun):
        call(target_of("https://rebind.example.com/"), b"", {}, timeout_seconds=0.2, resolve=rebinding)
    assert asked == ["rebind.example.com"]


def test_a_name_without_address() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror("unknown")

    resolvers: list[Resolve] = [nowhere, lambda host, port: []]
    for resolve in resolvers:
        with pytest.raises(NotBegun, match="has no address"):
            call(target_of("https://gone.example.com/"), b"", {}, resolve=resolve)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https:///x", "//example.com", "example.com",
        "https://user:pw@example.com/", "https://example.com/#x", "https://example.com:99999/",
        "https://exam ple.com/", "https://example.com/\r\nX: y", "https://[::1", "",
    ],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(BadRequest):
        target_of(url)


def test_plain_http_only_inside() -> None:
    assert target_of("http://hooks.local/x", ["hooks.local"]).inside
    assert target_of("http://hooks.local:8080/x", ["hooks.local:8080"]).authority == "hooks.local:8080"
    with pytest.raises(BadRequest, match="is not https"):
        target_of("http://hooks.local:9090/x", ["hooks.local:8080"])
