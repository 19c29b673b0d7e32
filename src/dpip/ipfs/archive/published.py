"""The published file: the archive as any IPFS client sees it, and where its leaves are cut.

A wheel is cut where the streams of its members begin and end, at most 1 MiB apart, so that
clients that know nothing of recipes still share unchanged members between releases. Streams
under 1 KiB are not worth a leaf. Everything else is cut as profile `unixfs-v1-2025` cuts.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cid import CID, RAW, SHA2_256
from ..errors import InvalidArchive
from ..importer import Leaf, layout
from . import zips

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..importer import File

LEAF = 2**20
SMALL = 2**10


@dataclass(frozen=True, slots=True)
class Published:
    """The file that is published, and the one that `ipfs add` makes; often the same."""

    file: File
    profile: File


def publish(data: memoryview) -> Published:
    """Return the two UnixFS files of an archive's bytes; nothing is stored."""
    profile = _file(data, _spread((0, len(data))))
    edges = _edges(data)
    return Published(_file(data, _spread(edges)) if len(edges) > 2 else profile, profile)


def _edges(data: memoryview) -> tuple[int, ...]:
    """Return where leaves must begin and end."""
    try:
        members = zips.read(data).members if bytes(data[:4]) == zips.LOCAL_MAGIC else ()
    except InvalidArchive:
        members = ()
    edges = {0, len(data)}
    for member in members:
        if member.stream.stop - member.stream.start >= SMALL:
            edges |= {member.stream.start, member.stream.stop}
    if members:
        edges.add(members[0].central.start)
    return tuple(sorted(edges))


def _spread(edges: tuple[int, ...]) -> Iterator[slice]:
    if edges[-1] == 0:
        yield slice(0, 0)
    for start, end in itertools.pairwise(edges):
        for at in range(start, end, LEAF):
            yield slice(at, min(at + LEAF, end))


def _file(data: memoryview, cuts: Iterator[slice]) -> File:
    leaves = []
    for cut in cuts:
        digest = hashlib.sha256(data[cut]).digest()
        size = cut.stop - cut.start
        leaves.append(Leaf(CID.v1(RAW, bytes((SHA2_256, 32)) + digest), cut.start, size, size))
    return layout(leaves)
