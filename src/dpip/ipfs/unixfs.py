"""UnixFS: files, directories and symlinks as DAG-PB nodes (https://specs.ipfs.tech/unixfs/).

What a node is stands in its Data, itself a protobuf message: type 1, data 2, filesize 3,
blocksizes 4 (one per link), hashType 5 and fanout 6 (HAMT), mode 7, mtime 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from . import dagpb, varint
from .cid import CID, DAG_PB, RAW
from .errors import InvalidBlock
from .protobuf import VARINT, blob, fields, number

MURMUR3_X64_64 = 0x22


class Kind(IntEnum):
    """The type of a UnixFS node."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT = 5


@dataclass(frozen=True, slots=True)
class Data:
    """The UnixFS message of a node. Sizes are bytes, `mtime` is (seconds, nanoseconds)."""

    kind: Kind
    data: bytes | None = None
    filesize: int | None = None
    blocksizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None
    mode: int | None = None
    mtime: tuple[int, int] | None = None


DIRECTORY = b"\x08\x01"
"""The whole message of a plain directory."""


def encode(data: Data) -> bytes:
    """Return the binary form, fields in ascending order, without mode and mtime."""
    parts = [number(1, data.kind)]
    if data.data is not None:
        parts.append(blob(2, data.data))
    if data.filesize is not None:
        parts.append(number(3, data.filesize))
    parts += [number(4, size) for size in data.blocksizes]
    if data.hash_type is not None:
        parts.append(number(5, data.hash_type))
    if data.fanout is not None:
        parts.append(number(6, data.fanout))
    return b"".join(parts)


def decode(message: bytes) -> Data:
    """Return the UnixFS message. Unknown fields are skipped. Raises InvalidBlock."""
    numbers: dict[int, int] = {}
    blobs: dict[int, bytes] = {}
    sizes: list[int] = []
    for field, wire, value in fields(message):
        if isinstance(value, bytes):
            if field == 4:
                sizes += _packed(value)
            blobs[field] = value
        elif field == 4 and wire == VARINT:
            sizes.append(value)
        else:
            numbers[field] = value
    try:
        kind = Kind(numbers[1])
    except (KeyError, ValueError):
        raise InvalidBlock("UnixFS node without a known type") from None
    return Data(
        kind,
        blobs.get(2),
        numbers.get(3),
        tuple(sizes),
        numbers.get(5),
        numbers.get(6),
        numbers.get(7),
        _mtime(blobs[8]) if 8 in blobs else None,
    )


def _packed(value: bytes) -> list[int]:
    sizes, at = [], 0
    while at < len(value):
        size, at = varint.decode_protobuf(value, at)
        sizes.append(size)
    return sizes


def _mtime(message: bytes) -> tuple[int, int]:
    seconds = nanoseconds = 0
    for field, _, value in fields(message):
        if field == 1 and isinstance(value, int):
            seconds = value - (1 << 64) if value >> 63 else value
        elif field == 2 and isinstance(value, int):
            nanoseconds = value
    return seconds, nanoseconds


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded block as UnixFS sees it: what it says, and its links.

    A raw block is a file without links whose content is the block.
    """

    data: Data
    links: tuple[dagpb.Link, ...] = ()

    @property
    def kind(self) -> Kind:
        """The type of the node."""
        return self.data.kind

    @property
    def is_directory(self) -> bool:
        """True for plain and sharded directories."""
        return self.data.kind in {Kind.DIRECTORY, Kind.HAMT}

    @property
    def is_file(self) -> bool:
        """True for files, their inner nodes and raw leaves."""
        return self.data.kind in {Kind.FILE, Kind.RAW}

    @property
    def size(self) -> int:
        """Bytes of the file's content; of a symlink, of its target; of a directory, 0."""
        if self.is_directory:
            return 0
        if self.data.filesize is not None:
            return self.data.filesize
        return len(self.data.data or b"") + sum(self.data.blocksizes)


def read(cid: CID, block: bytes) -> Entry:
    """Return a raw or DAG-PB block as a UnixFS entry. Raises InvalidBlock."""
    if cid.codec == RAW:
        return Entry(Data(Kind.RAW, block, len(block)))
    if cid.codec != DAG_PB:
        raise InvalidBlock(f"{cid} is {cid.codec_name}, not UnixFS")
    node = dagpb.decode(block)
    if node.data is None:
        raise InvalidBlock(f"{cid} is DAG-PB without UnixFS data")
    data = decode(node.data)
    if data.kind is Kind.FILE and len(data.blocksizes) != len(node.links):
        raise InvalidBlock(f"{cid}: {len(node.links)} links but {len(data.blocksizes)} sizes")
    return Entry(data, node.links)
