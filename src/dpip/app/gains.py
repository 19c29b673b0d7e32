"""Neighbours of a running node as sources of files, and what they gave, kept over restarts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from dpip.federation.assembly import Assembly
from dpip.federation.leaves import Leaves
from dpip.federation.neighbours import Directory as Asked
from dpip.federation.neighbours import Neighbours
from dpip.federation.offers import unsigned
from dpip.federation.savings import Savings, Totals, decode, encode
from dpip.federation.whole import WholeFiles
from dpip.koi.network.dial import dialer
from dpip.koi.network.transport import Addresses
from dpip.mirror.worklist import Worklist

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.federation.offers import Sign
    from dpip.ipfs.blockstore import Blockstore
    from dpip.mirror.catalog import Catalog, FileRecord

MARK = "savings"
NOTED_EVERY = 3.0
"""Seconds for which what came is counted in memory only."""


def neighbours(
    directory: Directory,
    blocks: Blockstore,
    savings: Savings,
    sign: Callable[[str, FileRecord], Sign] = lambda _url, _record: unsigned,
    *,
    offline: bool,
) -> Neighbours:
    """Return neighbours as a source: by recipe, by leaves, whole."""
    dial = dialer(directory)
    return Neighbours(
        directory,
        means=(Assembly(blocks, dial), Leaves(dial)),
        whole=WholeFiles(directory, sign),
        savings=savings,
        clock=time.monotonic,
        insistent=offline,
    )


class Directory(Asked, Addresses, Protocol):
    """Who is there to be asked, and what may be called."""


class Gains:
    """The savings of a home, and their row in its catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._worklist = Worklist(catalog)
        noted = self._worklist.mark(MARK)
        self.savings = Savings(decode(noted) if noted else Totals())
        self._noted = encode(self.savings.total)

    async def run(self) -> None:
        """Note what came, until cancelled."""
        while True:
            await asyncio.sleep(NOTED_EVERY)
            self.note()

    def note(self) -> None:
        """Queue a write of the totals, if they have changed."""
        now = encode(self.savings.total)
        if now != self._noted:
            self._worklist.set_mark(MARK, now)
            self._noted = now
