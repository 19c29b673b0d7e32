"""What a home holds on disk, opened for one running node."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.ipfs.disk.archives import Archives as ArchiveStore
from dpip.ipfs.disk.leaves import WithLeaves
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.private import Private
from dpip.mirror.rebuild import rebuild
from dpip.mirror.store import ARCHIVES, BLOCKS

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """The open stores of a home."""

    archives: Archives
    """Whole archives, by SHA-256."""
    catalog: Catalog
    private: Private
    blocks: DiskBlockstore
    contents: ArchiveStore
    """The same archives taken apart, over `blocks`."""
    leaves: WithLeaves
    """All blocks, those inside whole archives included."""

    def close(self) -> None:
        """Commit and close everything."""
        self.catalog.close()
        self.private.close()
        self.blocks.close()


def open_home(home: Path) -> Stored:
    """Open what a home holds. Raises HomeNotWritable, DiskFull and CatalogTooNew."""
    archives = Archives(home / ARCHIVES)
    catalog = Catalog(home / "catalog.sqlite3")
    if catalog.set_aside is not None:
        log.warning("the catalog was damaged; it is now %s", catalog.set_aside)
        rebuild(catalog, archives, now=time.time())
    blocks = DiskBlockstore(home / BLOCKS)
    contents = ArchiveStore(blocks, home / ARCHIVES)
    return Stored(
        archives=archives,
        catalog=catalog,
        private=Private(home / "private.sqlite3"),
        blocks=blocks,
        contents=contents,
        leaves=WithLeaves(contents),
    )
