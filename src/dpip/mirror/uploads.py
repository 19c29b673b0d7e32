"""Accepting an upload: the archive first, then the private record, then the page.

In that order a process killed at any instant leaves at most an archive that nothing lists.
The name's route needs no writing: a name that has a private record is private (see
`with_private`), so that no crash can leave a private name open to the upstream index.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dpip.ipfs.importer import FileHasher
from dpip.mirror.catalog import ArchiveRecord
from dpip.mirror.sources import PRIVATE
from dpip.simple.upload import FileExists, UploadForbidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from dpip.mirror.apart import Apart
    from dpip.mirror.archives import Archives
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.private import Private
    from dpip.mirror.repository import Pages
    from dpip.simple.upload import Upload

READ_SIZE = 2**20


def with_private(table: Mapping[str, str], private: Iterable[str]) -> dict[str, str]:
    """Return a routing table in which every uploaded name is private, whatever else it says."""
    return {**table, **dict.fromkeys(private, PRIVATE)}


class PrivateUploads:
    """Takes checked uploads into the mirror. `rerouted` puts the new routing table in force."""

    def __init__(
        self,
        *,
        private: Private,
        archives: Archives,
        catalog: Catalog,
        pages: Pages,
        rerouted: Callable[[], None],
        apart: Apart,
    ) -> None:
        self._private = private
        self._archives = archives
        self._catalog = catalog
        self._pages = pages
        self._rerouted = rerouted
        self._apart = apart

    async def accept(self, upload: Upload) -> None:
        """Store and list an upload, durably. Raises FileExists and UploadForbidden."""
        name = upload.distribution.name
        explicit = self._catalog.routes().get(name)
        if explicit is not None and explicit != PRIVATE:
            raise UploadForbidden(
                f"{name!r} is routed to {explicit}", hint=f"`dpip route set {name} private` first"
            )
        now = datetime.now(UTC)
        self._apart.add([upload.sha256])
        if await asyncio.to_thread(self._listed, upload, now):
            self._rerouted()
            await self._pages.refresh(name)

    def _listed(self, upload: Upload, now: datetime) -> bool:
        """Store and list an upload; say whether it is new. What is refused is not kept."""
        kept = self._keep(upload, now.timestamp())
        try:
            return self._private.add(upload, now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        except FileExists:
            if kept and not self._private.holds(upload.sha256):
                self._catalog.drop_archive(upload.sha256).result()
                self._archives.remove(upload.sha256)
            raise

    def _keep(self, upload: Upload, now: float) -> bool:
        """Keep the bytes; say whether they were not here before."""
        filename = upload.distribution.filename
        if self._archives.find(upload.sha256, filename) is not None:
            return False
        cid = _cid_of(upload.path)
        self._archives.keep(upload.path, upload.sha256, filename)
        self._catalog.put_archive(
            ArchiveRecord(upload.sha256, filename, upload.size, cid, "upload", now)
        ).result()
        return True


def _cid_of(path: Path) -> str:
    hasher = FileHasher()
    with path.open("rb") as file:
        while chunk := file.read(READ_SIZE):
            hasher.update(chunk)
    return str(hasher.finish().cid)
