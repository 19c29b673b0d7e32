"""The published indexes that a node follows: built, refreshed, closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.ipfs.errors import IpfsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dpip.federation.around import Around
    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.cid import CID
    from dpip.ipfs.connections import Dial
    from dpip.ipfs.gateway.client import Gateways
    from dpip.mirror.subscribed import SubscribedIndex
    from dpip.settings import Settings

    Doubt = Callable[[str], None]
    Urls = Callable[[Sequence[str]], Sequence[str]]

log = logging.getLogger(__name__)
REFRESH = 60.0
"""Seconds between two looks for newer heads."""
LOOK = 0.25
"""Seconds between two looks whether a newer head was kept, by a refresh or by news of peers."""
CACHE = 16 * 2**20
"""Bytes of directory and page blocks of others that are kept in memory."""


@dataclass(frozen=True, slots=True)
class Following:
    """The indexes that are followed, in order of trust, and where their blocks come from."""

    settings: Settings
    indexes: tuple[SubscribedIndex, ...]
    blocks: Blockstore
    gateways: Gateways | None = None
    around: Around | None = None

    async def run(self) -> None:
        """Look for newer heads again and again, until cancelled."""
        if not self.indexes or self.settings.offline:
            return
        from dpip.app.refresh import refresh

        while True:
            try:
                await asyncio.to_thread(refresh, self.settings)
            except (DpipError, OSError) as error:
                log.warning("looking for heads: %s", error)
            await asyncio.sleep(REFRESH)

    async def watch(self, doubt: Doubt) -> None:
        """Have what a newer head changed asked for again, until cancelled."""
        roots = [_root(index) for index in self.indexes]
        while self.indexes:
            await asyncio.sleep(LOOK)
            for number, index in enumerate(self.indexes):
                new = await asyncio.to_thread(_root, index)
                old, roots[number] = roots[number], new
                if old is not None and new is not None and old != new:
                    await self._doubt(old, new, doubt)

    async def _doubt(self, old: CID, new: CID, doubt: Doubt) -> None:
        from dpip.ipfs.changed import changed_entries

        def changed() -> set[str]:
            return set(changed_entries(self.blocks, old, new))

        try:
            names = await asyncio.to_thread(changed)
        except IpfsError as error:
            # Pages then go on being asked for when they are due, as without this.
            log.warning("comparing heads: %s", error)
            return
        for name in names:
            doubt(name)

    async def aclose(self) -> None:
        """Give up what is under way."""
        for index in self.indexes:
            await index.aclose()
        for remote in (self.gateways, self.around):
            if remote is not None:
                await asyncio.to_thread(remote.close)


def follow(
    settings: Settings,
    blocks: Blockstore,
    urls: Urls,
    afar: Blockstore | None = None,
    *,
    dial: Dial | None = None,
) -> Following:
    """Build the indexes that the settings name. Raises UsageError for one that is none.

    Blocks that are not here come from the gateways of the indexes, then from neighbours, which
    `urls` names given the names of the indexes and `dial` connects to, then from `afar`.
    """
    if not settings.index:
        # Most nodes follow none, and need not wait for what it takes.
        return Following(settings, (), blocks)
    from dpip.app.content import records
    from dpip.federation.around import Around
    from dpip.ipfs.gateway.client import Gateway, Gateways
    from dpip.ipfs.keys import parse_name
    from dpip.ipfs.wrappers import Cached, Failover, SingleFlight
    from dpip.mirror.indexes import Subscription
    from dpip.mirror.store import mapped
    from dpip.mirror.subscribed import SubscribedIndex

    wanted = [Subscription.parse(text) for text in settings.index]
    addresses = dict.fromkeys(url for one in wanted for url in one.gateways)
    gateways = around = None
    if not settings.offline:
        if addresses:
            gateways = Gateways([Gateway(url) for url in addresses])
        names = [parse_name(one.name).encode("k") for one in wanted]
        around = Around(lambda: urls(names), dial)
        stores = [blocks, gateways, around, afar]
        found = [store for store in stores if store is not None]
        blocks = Cached(SingleFlight(Failover(found)), CACHE)
    heads = records(settings)
    with mapped(), contextlib.ExitStack() as undo:
        if gateways is not None:
            undo.callback(gateways.close)
        indexes = tuple(SubscribedIndex(parse_name(one.name), blocks, heads) for one in wanted)
        undo.pop_all()
    return Following(settings, indexes, blocks, gateways, around)


def _root(index: SubscribedIndex) -> CID | None:
    """Return the root that the newest known head of an index points at."""
    from dpip.ipfs import dag

    head = index.head()
    try:
        return None if head is None else dag.split(head.value)[0]
    except IpfsError:
        return None
