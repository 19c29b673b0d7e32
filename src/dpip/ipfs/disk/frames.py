"""Frames: how blocks lie in a pack file.

Small blocks of one kind compress badly alone and well together, so up to 256 KiB of them
share one zstd frame. A frame says what is in it, so that a lost index can be made again by
reading the packs from end to end:

    "dpf1"  header length (4)  payload length (4)  CRC-32 of the header (4)  header  payload

The header is: 1 if the payload is zstd, 0 if it is plain; then for each block the length of
its CID, the CID, and its size, numbers as varints. Lengths are little-endian.
"""

from __future__ import annotations

import struct
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from .. import varint
from ..blockstore import Block
from ..cid import CID, verify
from ..errors import Damaged, HashMismatch, InvalidBlock, InvalidCid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC = b"dpf1"
FIXED = 16
GROUP = 256 * 2**10
"""Plain bytes after which a frame is closed."""
COST = 64
"""What a block counts for besides its bytes, so that headers stay short too."""
PLAIN, ZSTD = 0, 1
LEVEL = 9
_local = threading.local()


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's header. `data_at` is where the payload starts, counted from the frame."""

    compressed: bool
    cids: tuple[CID, ...]
    sizes: tuple[int, ...]
    data_at: int
    data_size: int

    @property
    def length(self) -> int:
        """All bytes of the frame."""
        return self.data_at + self.data_size

    @property
    def plain_size(self) -> int:
        """Bytes of the payload when it is decompressed."""
        return sum(self.sizes)


def encode(blocks: Sequence[Block]) -> bytes:
    """Return the frame of these blocks, compressed if that makes it smaller."""
    plain = b"".join(block.data for block in blocks)
    payload = _compressor().compress(plain)
    kind = ZSTD if len(payload) < len(plain) - len(plain) // 1024 else PLAIN
    parts = [bytes([kind])]
    for block in blocks:
        raw = block.cid.raw
        parts += (varint.encode(len(raw)), raw, varint.encode(len(block.data)))
    header = b"".join(parts)
    payload = payload if kind == ZSTD else plain
    lengths = struct.pack("<III", len(header), len(payload), zlib.crc32(header))
    return b"".join((MAGIC, lengths, header, payload))


def decode_lengths(fixed: bytes) -> tuple[int, int, int]:
    """Return header length, payload length and header CRC. Raises Damaged."""
    if len(fixed) < FIXED or fixed[:4] != MAGIC:
        raise Damaged("no frame where one should be")
    header, payload, crc = struct.unpack("<III", fixed[4:FIXED])
    return header, payload, crc


def decode_header(fixed: bytes, header: bytes) -> Frame:
    """Return what a frame holds. Raises Damaged."""
    length, payload, crc = decode_lengths(fixed)
    if not header or len(header) != length or zlib.crc32(header) != crc:
        raise Damaged("a frame's header is damaged")
    cids, sizes, at = [], [], 1
    try:
        while at < length:
            raw, at = varint.decode(header, at)
            cids.append(CID(header[at : at + raw]))
            size, at = varint.decode(header, at + raw)
            sizes.append(size)
    except (InvalidBlock, InvalidCid):
        raise Damaged("a frame's header is damaged") from None
    return Frame(header[0] == ZSTD, tuple(cids), tuple(sizes), FIXED + length, payload)


def decode(start: bytes) -> Frame:
    """Return what the frame that begins with these bytes holds. Raises Damaged."""
    length = decode_lengths(start[:FIXED])[0]
    return decode_header(start[:FIXED], start[FIXED : FIXED + length])


def decompress(payload: bytes, plain_size: int) -> bytes:
    """Return the plain bytes of a compressed payload. Raises Damaged."""
    try:
        # zstd believes the size that stands in its own header before any other.
        if zstandard.frame_content_size(payload) not in {plain_size, -1}:
            raise Damaged("a frame's content is of another size than its header says")
        return _decompressor().decompress(payload, max_output_size=plain_size)
    except zstandard.ZstdError as error:
        raise Damaged(f"a frame cannot be decompressed: {error}") from None


def scan(data: memoryview) -> Iterator[tuple[int, Frame]]:
    """Yield offset and header of each good frame of a pack; search on behind a bad one."""
    at = 0
    while at + FIXED <= len(data):
        try:
            header, payload, _ = decode_lengths(bytes(data[at : at + FIXED]))
            end = at + FIXED + header + payload
            blocks(bytes(data[at:end]))
            yield at, decode(bytes(data[at : at + FIXED + header]))
            at = end
        except (Damaged, HashMismatch):
            at = _next_magic(data, at + 1)


def _next_magic(data: memoryview, at: int) -> int:
    while at < len(data):
        found = bytes(data[at : at + 2**20]).find(MAGIC)
        if found >= 0:
            return at + found
        at += 2**20 - len(MAGIC) + 1
    return len(data)


def blocks(data: bytes) -> list[Block]:
    """Return the blocks of a whole frame, each checked. Raises Damaged or HashMismatch."""
    frame = decode(data)
    plain = data[frame.data_at :]
    if frame.compressed:
        plain = decompress(plain, frame.plain_size)
    found, at = [], 0
    for cid, size in zip(frame.cids, frame.sizes, strict=True):
        found.append(Block(cid, verify(cid, plain[at : at + size])))
        at += size
    return found


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=LEVEL)
    made: zstandard.ZstdCompressor = _local.compressor
    return made


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    made: zstandard.ZstdDecompressor = _local.decompressor
    return made
