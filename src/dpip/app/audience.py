"""To whom a node shows what is not for everybody, and whom it asks about that itself.

Public files cost one look into a set (`mirror/apart.py`), and only where somebody asks for one of
the others it is looked who that is. Blocks are served twice: to readers all, to others without
what is withheld. A node that has nothing private does neither.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dpip.app.readers import Readers
from dpip.federation.holdings import ONLY_STORED, SIDECAR
from dpip.federation.offers import unsigned
from dpip.ipfs.disk.leaves import Withheld
from dpip.simple.asgi import header, send_error, send_whole
from dpip.simple.repository import FileNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.app.dispatch import Application
    from dpip.app.index import Index
    from dpip.app.stored import Stored
    from dpip.federation.guarded import Guarded
    from dpip.federation.offers import Sign
    from dpip.federation.passes import Passes
    from dpip.federation.trust import Trust
    from dpip.mirror.apart import Apart
    from dpip.mirror.catalog import FileRecord
    from dpip.settings import Settings
    from dpip.simple.asgi import Message, Receive, Scope, Send


class Audience:
    """Who may read what in one node, and whom it asks."""

    def __init__(
        self,
        settings: Settings,
        stored: Stored,
        index: Index,
        *,
        trust: Trust,
        guarded: Guarded,
        passes: Passes,
    ) -> None:
        """Raises UsageError for a network in the settings that is none."""
        self.index = index
        self.readers = Readers(
            settings.private_readers,
            lambda secret: stored.private.grant(secret) is not None,
            lambda scope: trust.allows(passes.bearer(scope)),
        )
        apart = index.apart
        self.shown = Withheld(stored.contents, archive=apart.hides, block=apart.hides_block)
        """The blocks that are for everybody."""
        self._trust = trust
        self._guarded = guarded
        self._passes = passes

    def circle(self, project: str) -> frozenset[str] | None:
        """Return the key hashes of the nodes that may know of a project; None: it is public."""
        if not self.index.is_apart(project):
            return None
        return self._guarded.guardians(project) | self._trust.allowed

    def sign(self, url: str, record: FileRecord) -> Sign:
        """Return what signs requests to a neighbour for a file, where it is not public."""
        if not self.index.is_apart(record.project):
            return unsigned
        return lambda path: self._passes.headers(url, path)

    def files(self, serve: Application) -> Application:
        """Return an application that serves `/files/<key>/<filename>` to whom it may."""
        return FilesForReaders(serve, self.index.apart, self.readers)

    def blocks(
        self, full: Application, public: Application, forget: Callable[[], None] = lambda: None
    ) -> Application:
        """Return an application that is `full` for readers, and `public` for everybody else.

        `forget` drops the answers that `public` keeps ready: more may be withheld by now.
        """
        apart, readers = self.index.apart, self.readers
        return BlocksForReaders(apart, readers, full=full, public=public, forget=forget)


class FilesForReaders:
    """Around what serves `/files/<key>/<filename>`, or the same under another first segment."""

    def __init__(self, serve: Application, apart: Apart, readers: Readers) -> None:
        self._serve = serve
        self._apart = apart
        self._readers = readers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what is withheld is not found, in the words of what is unknown."""
        _, _, key, filename = (*scope["path"].split("/", 3), "", "", "")[:4]
        if not self._apart.hides(key):
            await self._serve(scope, receive, send)
        elif self._readers.may(scope):
            await self._serve(scope, receive, _for_one(send))
        elif ONLY_STORED in (header(scope, b"cache-control") or ""):
            await send_whole(send, 504, [(b"content-length", b"0")])
        else:
            name = filename.removesuffix(SIDECAR)
            await send_error(send, FileNotFound(f"no page lists a file {name!r} with that hash"))


class BlocksForReaders:
    """An application over all blocks for readers, and one over the others for everybody else."""

    def __init__(
        self,
        apart: Apart,
        readers: Readers,
        *,
        full: Application,
        public: Application,
        forget: Callable[[], None],
    ) -> None:
        self._apart = apart
        self._readers = readers
        self._full = full
        self._public = public
        self._forget = forget
        self._stamp = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not self._apart or self._readers.may(scope):
            await self._full(scope, receive, send)
            return
        if not self._apart.looked:
            await asyncio.to_thread(self._apart.look_for_roots)
        if self._stamp != self._apart.stamp:
            self._stamp = self._apart.stamp
            self._forget()
        await self._public(scope, receive, send)


def _for_one(send: Send) -> Send:
    """Return a `send` whose answers no cache between here and there gives to anybody else."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                (name, value.replace(b"public", b"private") if name == b"cache-control" else value)
                for name, value in message["headers"]
            ]
        await send(message)

    return sending
