"""Put an archive together again from its recipe, and believe it only if its hash is right.

Streams are compressed on several threads, some members ahead of the one being written.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from .. import unixfs
from ..errors import HashMismatch, InvalidArchive, Unavailable
from . import content, encoders, gzips, plan, recipe, tars, zips
from .inflate import Budget
from .parallel import in_order
from .spool import Spool, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..cid import CID
    from .content import Get

MAX_PLAN = 256 * 2**20


@dataclass(frozen=True, slots=True)
class _Item:
    """A row, its times put back where they belong."""

    row: plan.Row
    times: bytes
    gzip_header: bytes


@dataclass(frozen=True, slots=True)
class _Made:
    """A member ready to be written: its stream, checksum and size of its content."""

    item: _Item
    stream: memoryview
    crc: int
    size: int


def read_about(get: Get, cid: CID) -> recipe.About:
    """Return what the recipe says of its archive. Raises NotFound, InvalidArchive."""
    return recipe.decode(_file(get, _parts(get, cid)[recipe.ABOUT]))


def rebuild(get: Get, cid: CID, write: Callable[[bytes], object]) -> recipe.About:
    """Write the archive of recipe `cid` and return what the recipe says of it.

    What was written counts only if this returns. `get` is called from several threads.
    Raises NotFound for a missing block, Unavailable where an encoder is missing,
    HashMismatch if an encoder wrote other bytes than it did, InvalidArchive for a recipe
    that makes no sense.
    """
    parts = _parts(get, cid)
    about = recipe.decode(_file(get, parts[recipe.ABOUT]))
    digest, size = hashlib.sha256(), 0
    try:
        for piece in _Rebuild(get, about, parts).pieces():
            size += len(piece)
            if size > about.size:
                raise HashMismatch(f"rebuilt archive is longer than {about.size} bytes")
            digest.update(piece)
            write(piece)
    except (struct.error, ValueError, IndexError) as error:
        raise InvalidArchive(f"recipe {cid} makes no sense: {error}") from None
    if digest.hexdigest() != about.sha256:
        raise HashMismatch(f"rebuilt archive is not {about.sha256}")
    return about


def _parts(get: Get, cid: CID) -> dict[str, CID]:
    entry = unixfs.read(cid, get(cid))
    parts = {link.name: link.cid for link in entry.links}
    if not {recipe.ABOUT, recipe.MEMBERS, recipe.PLAN, recipe.TIMES} <= parts.keys():
        raise InvalidArchive(f"{cid} is not a recipe")
    return parts


def _file(get: Get, cid: CID) -> bytes:
    pieces, size = [], 0
    for piece in content.read(get, cid):
        size += len(piece)
        if size > MAX_PLAN:
            raise InvalidArchive("recipe is too long")
        pieces.append(piece)
    return b"".join(pieces)


class _Rebuild:
    def __init__(self, get: Get, about: recipe.About, parts: dict[str, CID]) -> None:
        self._get, self._about = get, about
        members = islice(content.walk(get, parts[recipe.MEMBERS]), content.MAX_FILES)
        self._members = dict(members)
        self._budget = Budget.of_archive(about.size)
        self._rows = plan.decode(_file(get, parts[recipe.PLAN]))
        self._times, self._at = _file(get, parts[recipe.TIMES]), 0

    def pieces(self) -> Iterator[bytes]:
        if self._about.format == recipe.ZIP:
            return self._zip()
        if self._about.format == recipe.TAR_GZ:
            return self._tar_gz()
        raise InvalidArchive(f"recipe of unknown format {self._about.format!r}")

    def _zip(self) -> Iterator[bytes]:
        position, directory = 0, []
        for made in in_order(self._zip_member, self._items(lambda _: zips.TIME_SIZE)):
            local, central = _zip_head(made, position)
            after = zips.DESCRIPTORS[made.item.row.after]
            last = zips.descriptor(after, made.crc, len(made.stream), made.size)
            for piece in (local, made.stream, last):
                position += len(piece)
                yield bytes(piece)
            directory.append(central)
        joined = b"".join(directory)
        yield joined
        end = bytes.fromhex(self._about.end)
        yield zips.fill_end(end, len(directory), len(joined), position)

    def _zip_member(self, item: _Item) -> _Made:
        name = zips.head_name(item.row.head)
        if name.endswith("/"):
            return _Made(item, memoryview(b""), 0, 0)
        if item.row.kept:
            stream = self._read(name + recipe.KEPT)
            return _Made(item, stream, *zips.head_sums(item.row.head))
        data = self._content(name, item)
        if item.row.encoder == plan.PLAIN:
            return _Made(item, data, zlib.crc32(data), len(data))
        stream = gather(self._encoder(item.row.encoder).encode(data))
        return _Made(item, stream, zlib.crc32(data), len(data))

    def _tar_gz(self) -> Iterator[bytes]:
        tar = gather(self._tar())
        yield bytes.fromhex(self._about.gzip)
        yield from self._encoder(self._about.encoder).encode(tar)
        yield gzips.trailer(tar)

    def _tar(self) -> Iterator[bytes]:
        for made in in_order(self._tar_member, self._items(tars.time_size)):
            row = made.item.row
            head = tars.Head(row.head, made.item.times)
            yield row.head if row.verbatim else tars.fill_head(head, made.size)
            yield bytes(made.stream)
            yield bytes(-made.size % tars.BLOCK)
        yield bytes(self._about.zeros)

    def _tar_member(self, item: _Item) -> _Made:
        if not tars.is_file(item.row.head):
            return _Made(item, memoryview(b""), 0, 0)
        data = self._content(tars.head_name(item.row.head), item)
        return _Made(item, data, 0, len(data))

    def _items(self, time_size: Callable[[bytes], int]) -> Iterator[_Item]:
        for row in self._rows:
            times = b"" if row.verbatim else self._take(time_size(row.head))
            header = bytearray(row.gzip_header)
            if row.inner:
                header[gzips.TIME] = self._take(4)
            yield _Item(row, times, bytes(header))

    def _take(self, count: int) -> bytes:
        self._at += count
        return self._times[self._at - count : self._at]

    def _content(self, name: str, item: _Item) -> memoryview:
        """Return a member's content; of a gzip file, wrapped again."""
        path = name + recipe.OPENED if item.row.inner else name
        data = self._read(path)
        if not item.row.inner:
            return data
        encoder = self._encoder(item.row.inner)
        return gather((item.gzip_header, *encoder.encode(data), gzips.trailer(data)))

    def _read(self, path: str) -> memoryview:
        if path not in self._members:
            raise InvalidArchive(f"recipe without the member {path!r}")
        with Spool() as spool:
            for piece in content.read(self._get, self._members[path]):
                self._budget.spend(len(piece))
                spool.write(piece)
            return spool.finish()

    def _encoder(self, number: int) -> encoders.Encoder:
        names = self._about.encoders
        if not 1 <= number <= len(names):
            raise InvalidArchive("recipe with an encoder that it does not name")
        encoder = encoders.ALL.get(names[number - 1])
        if encoder is None:
            raise Unavailable(f"no encoder {names[number - 1]!r} here")
        return encoder


def _zip_head(made: _Made, position: int) -> tuple[bytes, bytes]:
    row = made.item.row
    if row.verbatim:
        return zips.place_head(row.head, position)
    head = zips.Head(row.head, made.item.times)
    return zips.fill_head(head, made.crc, len(made.stream), made.size, position)
