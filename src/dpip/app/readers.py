"""Who may read over HTTP what is not for everybody: names that are private, or routed elsewhere.

A reader is known by its address, by a token of `dpip private token`, or as an allowed node by
its signature. For everybody else such names do not exist, in whatever form they are asked for,
and neither do their files and blocks, whoever knows the hash.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from dpip.errors import UsageError
from dpip.simple.asgi import header
from dpip.simple.names import normalize
from dpip.simple.repository import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from dpip.app.dispatch import Application
    from dpip.simple.asgi import Message, Receive, Scope, Send
    from dpip.simple.model import ProjectEntry
    from dpip.simple.repository import StoredPage
    from dpip.simple.wrappers import RoutedPages

MOST_ADDRESSES = 10_000


class Readers:
    """Knows readers. `grants` says whether a secret is that of a token.

    `signed` says whether a request is signed by a node that is allowed private names.
    """

    def __init__(
        self,
        networks: Sequence[str],
        grants: Callable[[str], bool],
        signed: Callable[[Scope], bool] = lambda _: False,
    ) -> None:
        """Raises UsageError for what is no network."""
        try:
            self._networks = [ipaddress.ip_network(text.strip()) for text in networks if text]
        except ValueError as error:
            raise UsageError(f"setting private_readers: {error}") from None
        self._grants = grants
        self._signed = signed
        self._addresses: dict[str, bool] = {}

    def may(self, scope: Scope) -> bool:
        """Say whether a request comes from a reader."""
        client = scope.get("client")
        if client is None or self._near(client[0]):
            return True
        from dpip.simple.upload import secret_of

        secret = secret_of(header(scope, b"authorization") or "")
        return (secret is not None and self._grants(secret)) or self._signed(scope)

    def _near(self, address: str) -> bool:
        found = self._addresses.get(address)
        if found is None:
            if len(self._addresses) >= MOST_ADDRESSES:
                self._addresses.clear()
            found = self._addresses[address] = self._inside(address)
        return found

    def _inside(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        plain = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(plain in network for network in self._networks)


class Shown:
    """A PageSource without the names that `hidden` says yes to."""

    def __init__(self, pages: RoutedPages, hidden: Callable[[str], bool]) -> None:
        self._pages = pages
        self._hidden = hidden

    def cached(self, name: str) -> StoredPage | None:
        """Return a page that is in memory."""
        return None if self._hidden(name) else self._pages.cached(name)

    async def page(self, name: str) -> StoredPage:
        """Return a page; hidden ones are not found."""
        if self._hidden(name):
            raise ProjectNotFound(f"there is no project {name!r}")
        return await self._pages.page(name)

    async def validator(self, name: str) -> str | None:
        """Return the validator that `page` would have, if that is known without reading it."""
        return None if self._hidden(name) else await self._pages.validator(name)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the names that are shown."""
        async for entry in self._pages.projects():
            if not self._hidden(entry.key):
                yield entry


class ForReaders:
    """An application for readers, and one for everybody else.

    Its second path segment names a project where it is a page: the answer about one that is
    `hidden` is not reusable, because the next who asks the same may be no reader.
    """

    def __init__(
        self,
        readers: Readers,
        hidden: Callable[[str], bool],
        *,
        full: Application,
        public: Application,
    ) -> None:
        self._readers = readers
        self._hidden = hidden
        self._full = full
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not self._readers.may(scope):
            await self._public(scope, receive, send)
        elif self._hidden(_name(scope["path"])):
            await self._full(scope, receive, _once(send))
        else:
            await self._full(scope, receive, send)


def _name(path: str) -> str:
    _, _, name, *_ = (*path.split("/", 3), "", "")
    return normalize(name)


def _once(send: Send) -> Send:
    """Return a `send` whose answers are given to nobody else."""

    async def sending(message: Message) -> None:
        message.pop("reusable", None)
        await send(message)

    return sending
