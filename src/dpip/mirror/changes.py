"""From the catalog to what is to be published: the projects that changed, with what is held."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from dpip.ipfs import dagpb
from dpip.ipfs.cid import RAW
from dpip.mirror.publish import Change
from dpip.mirror.tree import Held
from dpip.simple import json_codec
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dpip.ipfs.disk.archives import Archive, Archives
    from dpip.mirror.catalog import Catalog
    from dpip.simple.model import Project


def changes(catalog: Catalog, archives: Archives, names: Iterable[str]) -> Iterator[Change]:
    """Yield what these projects are now; empty ones are not in the index, nor those that are
    private, routed to another index, or private to another node.

    An archive that was not taken apart yet is taken in first: that is where its CID comes
    from.
    """
    for name in names:
        record, page = catalog.record(name), catalog.page(name)
        gone = record is None or record.absent or record.source != DEFAULT_SOURCE or page is None
        project = None if gone or page is None else json_codec.decode_project(page.json)
        held = {} if project is None else _held(project, catalog, archives)
        yield Change(name, _identity(page.etag if page else "", held), project if held else None,
                     held)  # fmt: skip


def _held(project: Project, catalog: Catalog, archives: Archives) -> dict[str, Held]:
    found: dict[str, Held] = {}
    for file in project.files:
        archive = _archive(file.sha256, file.filename, catalog, archives)
        if archive is not None and file.sha256 is not None:
            metadata = catalog.metadata(file.sha256) if file.is_wheel else None
            found[file.filename] = Held(archive.root, tsize(archives, archive), metadata)
    return found


def _archive(
    sha256: str | None, filename: str, catalog: Catalog, archives: Archives
) -> Archive | None:
    if sha256 is None:
        return None
    known = archives.find(sha256)
    if known is not None or catalog.archive(sha256) is None:
        return known
    path = archives.place(sha256, filename)
    return archives.add(path, sha256, filename) if path.exists() else None


def tsize(archives: Archives, archive: Archive) -> int:
    """Return the bytes of all blocks of a published file."""
    if archive.root.codec == RAW:
        return archive.size
    block = archives.store.get(archive.root)
    return len(block) + sum(link.tsize for link in dagpb.decode(block).links)


def _identity(etag: str, held: dict[str, Held]) -> str:
    digest = hashlib.sha256(etag.encode())
    for filename in sorted(held):
        digest.update(f"\0{filename}\0{held[filename].metadata is not None}".encode())
    return digest.hexdigest()[:32]
