"""One call over HTTP whose fate is always known: not begun, answered, or begun and lost; to public addresses only.

A host is resolved once, every address it has must be public, and the connection goes to just that address: whoever
answers the name differently a moment later (DNS rebinding) changes nothing. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from tierwise.errors import BadRequest

__all__ = ["Answer", "AnswerLost", "NotBegun", "Resolve", "Target", "call", "is_public", "resolved", "target_of"]

_MOST_BYTES: Final = 64 * 1024
#: Addresses of the old network that stand inside addresses of the new one.
_INSIDE_V6: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))

Resolve = Callable[[str, int], Collection[str]]


class NotBegun(Exception):
    """Nothing of the request has left this machine."""


class AnswerLost(Exception):
    """The request may have arrived; there is no answer that could be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, cut at 64 KB."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes. `inside` is one that was declared to be in one's own network, where plain HTTP is allowed."""

    scheme: str
    host: str
    port: int
    path: str
    inside: bool

    @property
    def authority(self) -> str:
        """Return the host as a request names it."""
        usual = 443 if self.scheme == "https" else 80
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == usual else f"{shown}:{self.port}"


def target_of(url: str, inside: Collection[str] = ()) -> Target:
    """Return where a URL leads.

    Args:
        url: An address with https; http only to a host of one's own network.
        inside: Hosts, or ``host:port``, of one's own network.

    Raises:
        BadRequest: It is no such address.

    Example:
        >>> target_of("https://api.example.com/hook?a=1").path
        '/hook?a=1'
    """
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadRequest(f"`{url}` is no address: {error}", "write https://host/path") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or any(ord(one) <= 32 for one in url):
        raise BadRequest(f"`{url}` is no address", "write https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise BadRequest("an address has no user, password or fragment in it", "write https://host/path")
    port = port or (443 if parts.scheme == "https" else 80)
    known = parts.hostname in inside or f"{parts.hostname}:{port}" in inside
    if parts.scheme == "http" and not known:
        raise BadRequest(f"`{url}` is not https", "declare the host under `inside` if it is in your own network")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path, known)


def is_public(address: str) -> bool:
    """Return whether an address is one of the public network, also where it hides inside another.

    Example:
        >>> [is_public(one) for one in ("93.184.215.14", "10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254")]
        [True, False, False, False]
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        hidden = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if hidden is None and any(found in network for network in _INSIDE_V6):
            hidden = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if hidden is not None:
            return is_public(str(hidden))
    return found.is_global and not found.is_multicast


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the machine knows them."""
    return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def call(
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_seconds: float = 5.0,
    resolve: Resolve = resolved,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """Post a body; return the answer.

    Args:
        target: Where to.
        body: What is sent.
        headers: With it.
        timeout_seconds: The longest that the whole call takes.
        resolve: Gives the addresses of a host.
        context: Which certificates are believed; those of the machine by default.

    Raises:
        NotBegun: No connection came about, or the host is in no public network.
        AnswerLost: The request left, and no whole answer came in time.
    """
    try:
        addresses = list(resolve(target.host, target.port))
    except OSError as error:
        raise NotBegun(f"{target.host} has no address: {error}") from None
    if not addresses:
        raise NotBegun(f"{target.host} has no address")
    if not target.inside and not all(is_public(address) for address in addresses):
        raise NotBegun(f"{target.host} has an address that is not public")
    connection = _Pinned(target, addresses[0], timeout_seconds, context)
    try:
        connection.connect()
    except (OSError, ssl.SSLError) as error:
        connection.close()
        raise NotBegun(f"{target.authority} cannot be reached: {error}") from None
    guard = threading.Timer(timeout_seconds, connection.cut)
    guard.daemon = True
    guard.start()
    try:
        connection.request("POST", target.path, body, {"Host": target.authority, **headers})
        response = connection.getresponse()
        found = response.read(_MOST_BYTES)
        if connection.was_cut or (response.length and len(found) < _MOST_BYTES):
            raise AnswerLost(f"the answer of {target.authority} does not end")
        return Answer(response.status, found)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AnswerLost(f"{target.authority} took the call and gave no answer: {error}") from None
    finally:
        guard.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever its name resolves to; the certificate must still be the name's."""

    def __init__(self, target: Target, address: str, timeout: float, context: ssl.SSLContext | None) -> None:
        super().__init__(target.host, target.port, timeout=timeout)
        self._address = address
        self._secure = target.scheme == "https"
        self._context = context
        self.was_cut = False

    def connect(self) -> None:
        """Connect to the address that was judged."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            context = self._context or ssl.create_default_context()
            try:
                self.sock = context.wrap_socket(plain, server_hostname=self.host)
            except BaseException:
                plain.close()
                raise
        else:
            self.sock = plain

    def cut(self) -> None:
        """End a call that takes too long, however slowly it still drips."""
        self.was_cut = True
        found: Any = self.sock
        if found is not None:
            try:
                found.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
