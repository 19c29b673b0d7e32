"""The engine "kubo": an IPFS daemon beside the node gets what the node has.

Whoever finishes something (tending an archive, publishing an index) leaves a job in
`kubo.sqlite3`; the node's engine does the jobs when the daemon is there. What is private, or
routed elsewhere, is never handed over: what a daemon has, the world may ask it for.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from dpip.app.content import records
from dpip.errors import UsageError
from dpip.ipfs import car
from dpip.ipfs.errors import IpfsError
from dpip.ipfs.kubo.blockstore import KuboBlockstore
from dpip.ipfs.kubo.engine import Engine
from dpip.ipfs.kubo.follow import Finder, Follower
from dpip.ipfs.kubo.jobs import Jobs
from dpip.ipfs.kubo.rpc import Kubo
from dpip.ipfs.walk import difference, walk
from dpip.ipfs.wrappers import Failover
from dpip.mirror.indexes import Subscription
from dpip.mirror.store import mapped
from dpip.mirror.writer import from_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.ipfs.blockstore import Block, Blockstore
    from dpip.ipfs.cid import CID
    from dpip.ipfs.disk.archives import Archive
    from dpip.mirror.apart import Apart
    from dpip.mirror.publish import Head
    from dpip.mirror.subscribed import HeadFinder
    from dpip.settings import Settings

KUBO = "kubo"
ENGINES = ("embedded", KUBO)


def is_chosen(settings: Settings) -> bool:
    """Say whether the settings name the engine "kubo". Raises UsageError for an unknown one."""
    if settings.engine not in ENGINES:
        raise UsageError(f"unknown engine {settings.engine!r}", hint="embedded, or kubo")
    return settings.engine == KUBO


@contextlib.contextmanager
def jobs(settings: Settings) -> Iterator[Jobs]:
    """Open the queue of a home."""
    try:
        opened = Jobs(settings.home / "kubo.sqlite3")
    except sqlite3.Error as error:
        raise from_sqlite(error) from None
    try:
        yield opened
    finally:
        opened.close()


def client(settings: Settings) -> Kubo:
    """Return a client of the daemon. Raises BadContent for an address that is none."""
    with mapped():
        return Kubo(settings.kubo_api, authorization=settings.kubo_authorization or None)


def leave_archive(queue: Jobs, archive: Archive, apart: Apart) -> None:
    """Have the daemon get an archive, unless it is not for everybody."""
    if not apart.hides(archive.sha256):
        queue.put("import", str(archive.root))


def leave_head(queue: Jobs, name: str, head: Head) -> None:
    """Have the daemon mount, pin and spread a published index."""
    queue.put("mount", name, str(head.root).encode())
    queue.put("record", name, head.record.raw)


class KuboSide:
    """The daemon as a running node sees it: blocks to fall back to, and the engine's thread."""

    def __init__(self, settings: Settings, blocks: Blockstore) -> None:
        self._kubo = client(settings)
        names = [Subscription.parse(text).name for text in settings.index]
        self._follower = Follower(self._kubo, names, records(settings))
        self._stack = contextlib.ExitStack()
        self._engine = Engine(
            self._kubo,
            self._stack.enter_context(jobs(settings)),
            lambda root, held: car.write([root], _blocks(blocks, root, held)),
        )
        self.afar: Blockstore = KuboBlockstore(self._kubo, offline=False)
        """What the daemon has or can fetch; a block may have to be waited for."""

    def beside(self, blocks: Blockstore) -> Blockstore:
        """Return these blocks, and behind them what the daemon has."""
        return Failover([blocks, KuboBlockstore(self._kubo)])

    def start(self) -> None:
        """Begin to do what is in the queue, and to follow names where PubSub is on."""
        self._engine.start()
        self._follower.start()

    def waiting(self) -> int:
        """Return how many jobs wait for the daemon."""
        return self._engine.status().waiting

    def close(self) -> None:
        """Stop after the job at hand; the others stay in the queue."""
        self._follower.stop()
        self._engine.stop()
        self._stack.close()
        with contextlib.suppress(IpfsError):
            self._kubo.close()


@contextlib.contextmanager
def finder(settings: Settings) -> Iterator[HeadFinder | None]:
    """Give what finds records of names by the daemon, or None where none is chosen."""
    if not is_chosen(settings):
        yield None
        return
    with client(settings) as kubo:
        yield Finder(kubo)


def _blocks(store: Blockstore, root: CID, held: CID | None) -> Iterator[Block]:
    return walk(store, root) if held is None else difference(store, root, held)
