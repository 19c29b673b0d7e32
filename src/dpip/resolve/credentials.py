"""Who we are to an index: user and password from the URL, netrc, or the keyring.

Secrets stay in this file's objects: they are never part of a message, a cache key, or an
output. The URL's own come first, then netrc, both without being asked for; the keyring may
prompt and start programs, so it is asked only after a 401 (and only once a host).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Credentials:
    """Finds an Authorization value for a URL. Safe to share between threads.

    `index_urls` may carry secrets; they then also hold for files on the same host and port.
    """

    def __init__(
        self,
        index_urls: Iterable[str] = (),
        environ: Mapping[str, str] | None = None,
        *,
        use_keyring: bool = True,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._known: dict[str, str | None] = {}
        self._users: dict[str, str] = {}
        self._asked: dict[str, str | None] = {}
        self._use_keyring = use_keyring
        for url in index_urls:
            self._learn(url)

    def split(self, url: str) -> tuple[str, str | None]:
        """Return the URL without its secrets, and the Authorization value known for it."""
        bare = self._learn(url)
        host = urlsplit(bare).netloc.lower()
        if host not in self._known:
            self._known[host] = self._from_netrc(urlsplit(bare).hostname or "")
        return bare, self._known[host] or self._asked.get(host)

    def ask_keyring(self, url: str) -> str | None:
        """Return the keyring's Authorization value for the host of `url`, or None."""
        host = urlsplit(url).netloc.lower()
        if host not in self._asked:
            pair = _from_keyring(url, host, self._users.get(host)) if self._use_keyring else None
            self._asked[host] = basic(*pair) if pair else None
        return self._asked[host]

    def _learn(self, url: str) -> str:
        if "@" not in url:
            return url
        parts = urlsplit(url)
        secret, at, host = parts.netloc.rpartition("@")
        if not at:
            return url
        user, colon, password = secret.partition(":")
        if colon:
            self._known[host.lower()] = basic(unquote(user), unquote(password))
        else:
            self._users[host.lower()] = unquote(user)
        return parts._replace(netloc=host).geturl()

    def _from_netrc(self, host: str) -> str | None:
        path = _netrc_path(self._environ)
        if path is None:
            return None
        import netrc

        try:
            found = netrc.netrc(str(path)).authenticators(host)
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError):
            return None
        return basic(found[0], found[2]) if found and found[2] else None


def basic(user: str, password: str) -> str:
    """Return the Authorization value of RFC 7617."""
    from base64 import b64encode

    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _netrc_path(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("NETRC")
    if named:
        return Path(named) if Path(named).is_file() else None
    for name in (".netrc", "_netrc"):
        path = Path.home() / name
        if path.is_file():
            return path
    return None


def _from_keyring(url: str, host: str, user: str | None) -> tuple[str, str] | None:
    """Ask the keyring library if it is there, else the `keyring` command, by URL then host."""
    try:
        import importlib

        keyring = importlib.import_module("keyring")
    except ImportError:
        return _from_keyring_command(url, host, user)
    for service in (url, host):
        try:
            found = keyring.get_credential(service, user)
        except Exception:  # noqa: BLE001 - keyring back ends raise anything; no key is no error
            return None
        if found is not None:
            return found.username or user or "", found.password
    return None


def _from_keyring_command(url: str, host: str, user: str | None) -> tuple[str, str] | None:
    import shutil
    import subprocess

    program = shutil.which("keyring")
    if program is None or user is None:
        return None
    for service in (url, host):
        done = subprocess.run(
            [program, "get", service, user],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode == 0 and done.stdout.strip():
            return user, done.stdout.strip("\r\n")
    return None
