"""Who we are to an index: user and password from the URL, netrc, or the keyring.

Secrets stay in this file's objects: they are never part of a message, a cache key, or an
output. The URL's own come first, then netrc, both without being asked for; the keyring may
prompt and start programs, so it is asked only after a 401 (and only once a host).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
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
        self._indexes = tuple(map(self._learn, index_urls))

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
            services = (self._index_of(url), host)
            user = self._users.get(host)
            pair = _from_keyring(services, user) if self._use_keyring else None
            self._asked[host] = basic(*pair) if pair else None
        return self._asked[host]

    def _index_of(self, url: str) -> str:
        """Return the index that a URL belongs to: its longest beginning, else one of its host."""
        parts = urlsplit(url)
        near = [each for each in self._indexes if urlsplit(each)[:2] == parts[:2]]
        within = [each for each in near if url.startswith(each)]
        return max(within, key=len) if within else next(iter(near), url)

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


def _from_keyring(services: Iterable[str], user: str | None) -> tuple[str, str] | None:
    """Ask the keyring library if it is there, else the `keyring` command, by URL then host."""
    try:
        import importlib

        keyring = importlib.import_module("keyring")
    except Exception:  # noqa: BLE001 - back ends are set up on import and raise anything
        return _from_keyring_command(services, user)
    try:
        return next(filter(None, (_of_library(keyring, each, user) for each in services)), None)
    except Exception:  # noqa: BLE001 - no key is no error
        return None


def _of_library(keyring: Any, service: str, user: str | None) -> tuple[str, str] | None:
    if hasattr(keyring, "get_credential"):
        found = keyring.get_credential(service, user)
        return (found.username or user or "", found.password) if found else None
    # Libraries before version 15 know passwords of users only.
    password = keyring.get_password(service, user) if user else None
    return (str(user), password) if password else None


def _from_keyring_command(services: Iterable[str], user: str | None) -> tuple[str, str] | None:
    import shutil

    program = shutil.which("keyring")
    if program is None:
        return None
    for service in services:
        if user is None:
            # Releases of keyring before 25.2 do not know these words, and say so by failing.
            said = _said([program, "--mode=creds", "--output=json", "get", service])
            pair = _pair(said) if said else None
        else:
            password = _said([program, "get", service, user])
            pair = (user, password) if password else None
        if pair is not None:
            return pair
    return None


def _said(command: list[str]) -> str:
    import subprocess

    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip("\r\n") if done.returncode == 0 else ""


def _pair(said: str) -> tuple[str, str] | None:
    import json

    try:
        found = json.loads(said)
        return str(found["username"]), str(found["password"])
    except (ValueError, LookupError, TypeError):
        return None
