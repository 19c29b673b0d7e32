"""The published index as a UnixFS tree, so that plain pip works through any IPFS gateway.

    /index.html                    every project (PEP 503)
    /<name>/index.html             the project page, links relative
    /<name>/index.json             the same page as JSON (PEP 691)
    /<name>/<file>                 the archive itself
    /<name>/<file>.metadata        its core metadata (PEP 658)

A page lists exactly the files that lie beside it: what a mirror does not hold it does not
promise. Changing one project writes its directory, and the path to it in the root (a HAMT
where it is large). A new one also changes a leaf of the root page; see `root_page`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID
from dpip.ipfs.dagpb import Link
from dpip.ipfs.directory import Directory
from dpip.ipfs.importer import FileHasher, Leaf, layout
from dpip.ipfs.profiles import UNIXFS_V1_2025
from dpip.simple import html_codec, json_codec
from dpip.simple.model import ProjectEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dpip.ipfs.blockstore import Blockstore
    from dpip.simple.model import File, Project

PROFILE = UNIXFS_V1_2025
PAGE = "index.html"
JSON_PAGE = "index.json"
HEAD = b"""<!DOCTYPE html>
<html>
  <head>
    <meta name="pypi:repository-version" content="1.0">
    <title>Simple index</title>
  </head>
  <body>
"""
TAIL = b"  </body>\n</html>\n"


@dataclass(frozen=True, slots=True)
class Held:
    """A file of a project that the mirror holds.

    `tsize` is the bytes of all its blocks; `metadata` its core metadata, byte for byte.
    """

    cid: CID
    tsize: int
    metadata: bytes | None = None


def published_page(project: Project, held: Mapping[str, Held]) -> Project:
    """Return the page as published: only files that are held, with links beside the page."""
    files = tuple(
        _beside(file, held[file.filename]) for file in project.files if file.filename in held
    )
    return replace(project, files=files)


def _beside(file: File, held: Held) -> File:
    metadata = None if held.metadata is None else (file.core_metadata or {})
    return replace(file, url=file.filename, core_metadata=metadata)


def write_project(store: Blockstore, project: Project, held: Mapping[str, Held]) -> Link:
    """Write a project's directory and return the link to it."""
    page = published_page(project, held)
    directory = Directory(store, PROFILE)
    _add(directory, store, PAGE, html_codec.encode_project(page))
    _add(directory, store, JSON_PAGE, json_codec.encode_project(page))
    for file in page.files:
        archive = held[file.filename]
        directory.set(file.filename, archive.cid, archive.tsize)
        if archive.metadata is not None:
            _add(directory, store, f"{file.filename}.metadata", archive.metadata)
    return directory.write()


def _add(directory: Directory, store: Blockstore, name: str, data: bytes) -> None:
    link = put_file(store, data)
    directory.set(name, link.cid, link.tsize)


def put_file(store: Blockstore, data: bytes) -> Link:
    """Put a small file into the store and return the link to it."""
    blocks: list[Block] = []
    hasher = FileHasher(PROFILE, blocks.append)
    hasher.update(data)
    file = hasher.finish()
    store.put(blocks)
    return Link(file.cid, "", file.tsize)


def names_leaf(names: Iterable[str]) -> bytes:
    """Return the lines of the root page for these names, in their order."""
    return b"".join(html_codec.encode_entry(ProjectEntry(name)) for name in names)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the root page that is in the store; `length` in bytes."""

    cid: CID
    length: int

    @classmethod
    def of_row(cls, cid: bytes, length: int) -> Part:
        """Return a part as a database keeps it."""
        return cls(CID(cid), length)


def put_part(store: Blockstore, data: bytes) -> Part:
    """Put one leaf of the root page into the store."""
    cid = CID.of(data)
    store.put([Block(cid, data)])
    return Part(cid, len(data))


def root_page(store: Blockstore, lines: Sequence[Part]) -> Link:
    """Write the nodes that join head, lines and tail."""
    parts = [put_part(store, HEAD), *lines, put_part(store, TAIL)]
    leaves, at = [], 0
    for part in parts:
        leaves.append(Leaf(part.cid, at, part.length, part.length))
        at += part.length
    nodes: list[Block] = []
    file = layout(leaves, PROFILE, nodes.append)
    store.put(nodes)
    return Link(file.cid, "", file.tsize)
