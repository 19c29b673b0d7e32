"""Bring catalog and disk together again after one of them lost something.

`rebuild` is for a lost database: every archive found on disk is recorded, and projects whose
pages are gone get a page that lists what is stored, so that they install without upstream.
`complete` runs in the background and computes the CIDs that are missing, checking each
SHA-256 on the way.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from dpip.ipfs.importer import FileHasher
from dpip.mirror.catalog import ArchiveRecord, PageRecord
from dpip.mirror.listing import to_records
from dpip.simple.model import File, Project
from dpip.simple.names import normalize
from dpip.simple.render import render

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.mirror.archives import Archives, StoredArchive
    from dpip.mirror.catalog import Catalog

log = logging.getLogger(__name__)
READ_SIZE = 2**20


def rebuild(catalog: Catalog, archives: Archives, now: float) -> int:
    """Record every archive on disk that the catalog does not know; return how many."""
    catalog.distrust().result()
    lost: dict[str, list[StoredArchive]] = defaultdict(list)
    found = 0
    for stored in archives.listing():
        if catalog.archive(stored.sha256) is None:
            catalog.put_archive(_record(stored, now)).result()
            found += 1
        if (name := project_of(stored.filename)) and catalog.page(name) is None:
            lost[name].append(stored)
    for name, files in lost.items():
        _page_of_stored(catalog, name, files)
    return found


async def complete(catalog: Catalog, archives: Archives) -> None:
    """Compute missing CIDs; drop archives whose bytes are not what their name says."""
    while rows := catalog.read("SELECT sha256 FROM archives WHERE cid IS NULL LIMIT 500"):
        for (sha256,) in rows:
            record = catalog.archive(sha256)
            if record is not None:
                await _complete(catalog, archives, record)


async def _complete(catalog: Catalog, archives: Archives, record: ArchiveRecord) -> None:
    whole = archives.find(record.sha256, record.filename)
    sha256, cid = ("", "") if whole is None else await asyncio.to_thread(_hash, whole.path)
    if sha256 == record.sha256:
        await asyncio.wrap_future(catalog.put_archive(dataclasses.replace(record, cid=cid)))
        return
    log.warning("%s is not what its name says; dropped", record.filename)
    archives.remove(record.sha256)
    await asyncio.wrap_future(catalog.drop_archive(record.sha256))


def project_of(filename: str) -> str | None:
    """Return the normalized project name of a wheel or sdist file name, None for others."""
    if filename.endswith(".whl"):
        return normalize(filename.partition("-")[0])
    for suffix in (".tar.gz", ".zip"):
        if filename.endswith(suffix) and "-" in filename:
            return normalize(filename.removesuffix(suffix).rpartition("-")[0])
    return None


def _record(stored: StoredArchive, now: float) -> ArchiveRecord:
    return ArchiveRecord(
        sha256=stored.sha256,
        filename=stored.filename,
        size=stored.size,
        cid=None,
        origin="disk",
        stored_at=now,
    )


def _page_of_stored(catalog: Catalog, name: str, stored: list[StoredArchive]) -> None:
    """Give a project a page of its stored files, due to be confirmed at the next request."""
    files = tuple(
        File(filename=s.filename, url="", hashes={"sha256": s.sha256}, size=s.size) for s in stored
    )
    project = Project(name=name, files=files)
    record = PageRecord(name=name, confirmed_at=0.0)
    catalog.put_page(record, render(project), to_records(project)).result()


def _hash(path: Path) -> tuple[str, str]:
    sha256, content = hashlib.sha256(), FileHasher()
    with path.open("rb") as file:
        while data := file.read(READ_SIZE):
            content.update(data)
            sha256.update(data)
    return sha256.hexdigest(), str(content.finish().cid)
