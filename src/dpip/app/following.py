"""The published indexes that a node follows: built, refreshed, closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.errors import DpipError

if TYPE_CHECKING:
    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.gateway.client import Gateways
    from dpip.mirror.subscribed import SubscribedIndex
    from dpip.settings import Settings

log = logging.getLogger(__name__)
REFRESH = 60.0
"""Seconds between two looks for newer heads."""
CACHE = 16 * 2**20
"""Bytes of directory and page blocks of others that are kept in memory."""


@dataclass(frozen=True, slots=True)
class Following:
    """The indexes that are followed, in order of trust."""

    settings: Settings
    indexes: tuple[SubscribedIndex, ...]
    gateways: Gateways | None

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

    async def aclose(self) -> None:
        """Give up what is under way."""
        for index in self.indexes:
            await index.aclose()
        if self.gateways is not None:
            await asyncio.to_thread(self.gateways.close)


def follow(settings: Settings, blocks: Blockstore, afar: Blockstore | None = None) -> Following:
    """Build the indexes that the settings name. Raises UsageError for one that is none.

    Blocks that are not here come from the gateways of the indexes, then from `afar`.
    """
    if not settings.index:
        # Most nodes follow none, and need not wait for what it takes.
        return Following(settings, (), None)
    from dpip.app.content import records
    from dpip.ipfs.gateway.client import Gateway, Gateways
    from dpip.ipfs.keys import parse_name
    from dpip.ipfs.wrappers import Cached, Failover, SingleFlight
    from dpip.mirror.indexes import Subscription
    from dpip.mirror.store import mapped
    from dpip.mirror.subscribed import SubscribedIndex

    wanted = [Subscription.parse(text) for text in settings.index]
    urls = dict.fromkeys(url for one in wanted for url in one.gateways)
    gateways = None
    if urls and not settings.offline:
        gateways = Gateways([Gateway(url) for url in urls])
    elsewhere = [place for place in (gateways, afar) if place is not None]
    if elsewhere and not settings.offline:
        blocks = Cached(SingleFlight(Failover([blocks, *elsewhere])), CACHE)
    heads = records(settings)
    with mapped(), contextlib.ExitStack() as undo:
        if gateways is not None:
            undo.callback(gateways.close)
        indexes = tuple(SubscribedIndex(parse_name(one.name), blocks, heads) for one in wanted)
        undo.pop_all()
    return Following(settings, indexes, gateways)
