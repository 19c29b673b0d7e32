"""A connection that is begun before the command is even understood.

A cold resolve spends its first 100 ms and more on imports, and then has to wait a whole round
trip for a connection. Where it will ask is plain from the words, though, so the connection is
begun at once, in a thread that does nothing else. A guess that turns out to be wrong costs one
connection that is closed unused.
"""

from __future__ import annotations

import os
import socket
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("--node", "--index-url", "-i")
"""Options that say whom a resolve asks first, the most telling one first."""
PATIENCE = 30.0
"""Seconds after which the attempt gives up, as every other one does."""


class Early:
    """A connection under way to one host and port; `taken` waits for it and hands it over."""

    def __init__(self, host: str, port: int) -> None:
        self.address = host, port
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._connect, daemon=True)
        self._thread.start()

    def taken(self) -> socket.socket | None:
        """Return the connection, once; None if there is none (any more)."""
        self._thread.join()
        found, self._socket = self._socket, None
        return found

    def _connect(self) -> None:
        try:
            self._socket = socket.create_connection(self.address, PATIENCE)
        except OSError:
            self._socket = None


begun: Early | None = None
"""The connection of this process."""


def begin(words: Sequence[str]) -> None:
    """Begin to connect to whom a line of `dpip resolve` asks first, if it names somebody."""
    global begun  # noqa: PLW0603 - one line, one connection
    found = address(words)
    if found is not None and not any(name.lower().endswith("_proxy") for name in os.environ):
        begun = Early(*found)


def address(words: Sequence[str]) -> tuple[str, int] | None:
    """Return the host and port of the first option of `NAMES` that a line has."""
    for name in NAMES:
        for at, word in enumerate(words):
            if word == name and at + 1 < len(words):
                return split(words[at + 1])
            if name.startswith("--") and word.startswith(name + "="):
                return split(word.partition("=")[2])
    return None


def split(url: str) -> tuple[str, int] | None:
    """Return the host and port of a plain URL; None where that takes more than a glance."""
    scheme, _, rest = url.partition("://")
    place = rest.partition("/")[0].rpartition("@")[2]
    host, colon, port = place.partition(":")
    if scheme not in {"http", "https"} or not host or not host.isascii() or "[" in place:
        return None
    if not colon:
        return host.lower(), 443 if scheme == "https" else 80
    return (host.lower(), int(port)) if port.isdecimal() else None
