"""Connecting to a name, at an address that was checked: looked up once, checked, and called.

For programs around a node that call its peers with a blocking client. Whoever checks a name
and leaves it to the client to look it up again calls whatever the name has come to mean in the
meantime. aiohttp's clients take a `transport.CheckedResolver` for the same.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ForbiddenAddress
from .address import literal

if TYPE_CHECKING:
    from .transport import Addresses

Dial = Callable[[str, int, float], socket.socket]
LookUp = Callable[[str, int], Sequence[tuple[Any, ...]]]
"""Returns what `socket.getaddrinfo` does."""


def dialer(addresses: Addresses, look_up: LookUp | None = None) -> Dial:
    """Return a function that connects to host and port within some seconds; raises OSError."""
    found = look_up or system_look_up

    def dial(host: str, port: int, seconds: float) -> socket.socket:
        infos = found(host, port)
        try:
            for *_, where in infos:
                address = literal(where[0])
                if address is None:
                    raise ForbiddenAddress(f"{host} is {where[0]!r}, which is no address")
                addresses.check_address(address, host, port)
        except ForbiddenAddress as error:
            raise PermissionError(str(error)) from None
        return _first(infos, host, seconds)

    return dial


def system_look_up(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Return the addresses of a name as the system resolves it; raises OSError."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _first(infos: Sequence[tuple[Any, ...]], host: str, seconds: float) -> socket.socket:
    """Return a connection to the first address that answers."""
    failed = OSError(f"{host} has no address")
    for family, kind, proto, _, where in infos:
        found = socket.socket(family, kind, proto)
        try:
            found.settimeout(seconds)
            found.connect(where)
        except OSError as error:
            found.close()
            failed = error
        else:
            return found
    raise failed
