"""A connection that is begun before the command is even understood.

A cold resolve spends its first 100 ms and more on imports, and then has to wait a whole round
trip for a connection. Where it will ask is plain from the words, though, so the connection is
begun at once, in a thread that does nothing else. A guess that turns out to be wrong costs one
connection that is closed unused. Where nothing is stored yet and a plain index is asked, the
first project's page will be wanted for sure: it is asked for as soon as the connection stands.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import threading

from dpip.resolve.asking import written
from dpip.resolve.place import FILE_NAME
from dpip.simple.names import normalize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("--node", "--index-url", "-i")
"""Options that say whom a resolve asks first, the most telling one first."""
_PLAIN = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[\w, .-]*\])?\s*(?:[<>=!~][^;@]*)?"
)
_SAYS_MORE = ("--extra-index-url", "--node", "--no-index", "--offline", "--no-cache", "--override")
"""Options after which the first question may be another one."""
PATIENCE = 30.0
"""Seconds after which the attempt gives up, as every other one does."""


class Early:
    """A connection under way to one host and port; `taken` waits for it and hands it over.

    With a `url` on that host, a project's page, it is asked for as well.
    """

    def __init__(self, host: str, port: int, url: str = "") -> None:
        self.address = host, port
        self.url = url
        at = host if port == 80 else f"{host}:{port}"
        self.written = written(at, "/" + url.split("/", 3)[3]) if url else b""
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
            opened = socket.create_connection(self.address, PATIENCE)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.sendall(self.written)
            self._socket = opened
        except OSError:
            self._socket = None


begun: Early | None = None
"""The connection of this process."""


def begin(words: Sequence[str], directory: str | None) -> None:
    """Begin to connect to whom a line of `dpip resolve` asks first, if it names somebody.

    `directory` is where facts are kept.
    """
    global begun  # noqa: PLW0603 - one line, one connection
    found = address(words)
    if found is not None and not any(name.lower().endswith("_proxy") for name in os.environ):
        begun = Early(*found, first_page(words, directory))


def address(words: Sequence[str]) -> tuple[str, int] | None:
    """Return the host and port of the first option of `NAMES` that a line has."""
    for name in NAMES:
        for at, word in enumerate(words):
            if word == name and at + 1 < len(words):
                return split(words[at + 1])
            if name.startswith("--") and word.startswith(name + "="):
                return split(word.partition("=")[2])
    return None


def first_page(words: Sequence[str], directory: str | None) -> str:
    """Return the URL of the page that a line asks for first; empty where that is not for sure.

    It is where nothing is stored in `directory`, one plain index is named, and requirements
    come from one file that begins with a plain one.
    """
    index, path = _value(words, "--index-url", "-i"), _value(words, "--requirement", "-r")
    if not index.startswith("http://") or not path or "@" in index:
        return ""
    if any(word.startswith(_SAYS_MORE) for word in words) or _has_netrc():
        return ""
    if directory is None or os.path.exists(os.path.join(directory, FILE_NAME)):
        return ""
    name = _first_name(path)
    return f"{index}{'' if index.endswith('/') else '/'}{name}/" if name else ""


def _first_name(path: str) -> str:
    """Return the normalized name that a requirements file begins with."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = (line.partition("#")[0].strip() for line in file)
            first = next(filter(None, lines), "")
    except (OSError, UnicodeDecodeError):
        return ""
    found = _PLAIN.fullmatch(first)
    return normalize(found[1]) if found else ""


def _value(words: Sequence[str], *names: str) -> str:
    """Return the value of an option that is given once, else nothing."""
    found = [after for word, after in itertools.pairwise(words) if word in names]
    found += [w.partition("=")[2] for w in words if w.startswith(f"{names[0]}=")]
    return found[0] if len(found) == 1 else ""


def _has_netrc() -> bool:
    named = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    return os.path.exists(named) or os.path.exists(os.path.expanduser("~/_netrc"))


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
