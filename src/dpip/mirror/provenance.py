"""Provenance objects (PEP 740) beside the files that they are about, for when upstream is away.

A page goes on naming the address that its source gave, as the standard wants it. What was read
there once is kept, as it is: it is small, is about one file for good, and checks by itself.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from typing import TYPE_CHECKING

import msgspec

from dpip.errors import DpipError
from dpip.simple.attested.model import Provenance
from dpip.simple.repository import FileNotFound, UpstreamInvalid, UpstreamUnavailable

if TYPE_CHECKING:
    import sqlite3

    from dpip.mirror.catalog import Catalog, FileRecord
    from dpip.mirror.source import FileSource

log = logging.getLogger(__name__)
LARGEST = 4 * 2**20
"""Bytes of an object that is read and kept; usual are ten thousand."""

_decoder = msgspec.json.Decoder(Provenance)


class Provenances:
    """The provenance of files, kept beside the catalog's rows, else read where their page says."""

    def __init__(self, catalog: Catalog, upstream: FileSource, *, offline: bool = False) -> None:
        self._catalog = catalog
        self._upstream = upstream
        self._offline = offline

    def kept(self, key: str, filename: str) -> bytes | None:
        """Return what is kept of a file."""
        query = "SELECT body FROM provenance WHERE key=? AND filename=?"
        rows = self._catalog.read(query, key, filename)
        return zlib.decompress(rows[0][0]) if rows else None

    async def of(self, key: str, filename: str) -> bytes:
        """Return the provenance of a listed file.

        Raises FileNotFound where it has none, UpstreamUnavailable, UpstreamInvalid.
        """
        held = self.kept(key, filename)
        if held is not None:
            return held
        record = self._catalog.file(key, filename)
        if record is None or record.provenance is None:
            raise FileNotFound(f"there is no provenance of {filename[:200]!r}")
        return await self.read(record)

    async def read(self, record: FileRecord) -> bytes:
        """Return the provenance of a file as its source has it now, and keep it."""
        url = record.provenance or ""
        if self._offline:
            raise UpstreamUnavailable(f"the provenance of {record.filename} is not stored")
        body = await self._upstream.read(url, LARGEST)
        try:
            _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamInvalid(f"{url} is no provenance object: {error}") from None
        row = (record.key, record.filename, zlib.compress(body))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("REPLACE INTO provenance VALUES (?,?,?)", row)

        await asyncio.wrap_future(self._catalog.write(write))
        return body

    async def keep(self, record: FileRecord) -> None:
        """Have the provenance of a file that was just stored, if it can be had."""
        if not (record.provenance or "").startswith(("https://", "http://")):
            return
        try:
            await self.of(record.key, record.filename)
        except DpipError as error:
            log.info("no provenance of %s: %s", record.filename, error.message)
