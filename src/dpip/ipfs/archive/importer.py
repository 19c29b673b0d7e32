"""Take an archive apart into blocks: contents, structure, and how to put it together again.

Members are handled on several threads (inflating, cutting, hashing and compressing all let
go of the interpreter lock) and their blocks are put in archive order. The costly part is to
find, and so to prove, the encoder of each stream; streams that were proved once are
remembered by content and stream, so the next release pays for what changed.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import dagpb, unixfs
from ..blockstore import Block
from ..errors import InvalidArchive
from . import content, gzips, plan, recipe, tars, zips
from .inflate import Budget, inflate
from .match import Search
from .parallel import in_order, threads
from .spool import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ..cid import CID
    from ..importer import File
    from .content import Sink, Tree


@dataclass(frozen=True, slots=True)
class Imported:
    """A recipe in the blockstore; `kept` bytes of streams no encoder here can write again."""

    cid: CID
    kept: int


@dataclass(slots=True)
class _Stored:
    """A member's content after storing, and how to get its stream back."""

    file: File
    suffix: str = ""
    encoder: str = ""
    inner: str = ""
    gzip_header: bytes = b""
    blocks: list[Block] = field(default_factory=list)


def take_apart(
    data: memoryview,
    sink: Sink,
    *,
    search: Search | None = None,
    proved: MutableMapping[bytes, str] | None = None,
) -> Imported:
    """Put the content DAG of the archive `data` into `sink` and return its recipe.

    `sink` is called from several threads. `proved` remembers encoders between imports.
    Raises InvalidArchive where taking it apart is unsafe, impossible or of no use: it is
    neither zip nor tar.gz, its structure is unusual, no encoder writes its stream. Blocks
    may have been put by then.
    """
    work = _Import(data, sink, search or Search(), {} if proved is None else proved)
    if bytes(data[:4]) == zips.LOCAL_MAGIC:
        return work.zip()
    if bytes(data[:3]) == gzips.MAGIC:
        return work.tar_gz()
    raise InvalidArchive("neither a zip nor a tar.gz")


class _Import:
    def __init__(
        self, data: memoryview, sink: Sink, search: Search, proved: MutableMapping[bytes, str]
    ) -> None:
        self._data, self._sink, self._search, self._proved = data, sink, search, proved
        self._budget = Budget.of_archive(len(data))
        self._encoders: list[str] = []
        self._tree: Tree = {}
        self._rows: list[bytes] = []
        self._times: list[bytes] = []
        self._kept = 0

    def zip(self) -> Imported:
        layout = zips.read(self._data)
        files = [member for member in layout.members if not member.name.endswith("/")]
        stored = iter(in_order(self._zip_member, files))
        for member in layout.members:
            is_file = not member.name.endswith("/")
            if not is_file and member.stream.start != member.stream.stop:
                raise InvalidArchive("zip directory with content")
            one = next(stored) if is_file else None
            kept = one is not None and one.suffix == recipe.KEPT
            head = None if kept else zips.take_head(self._data, member)
            if head is None:
                whole = zips.whole_head(self._data, member)
                self._row(member.name, whole, None, one, member.after)
            else:
                self._row(member.name, head.stable, head.time, one, member.after)
        blank = zips.fill_end(layout.end, 0, 0, 0)
        return self._finish(recipe.ZIP, end=blank.hex())

    def tar_gz(self) -> Imported:
        outer = gzips.read(self._data, self._budget)
        if not self._search.hopeful(outer.content, outer.stream, "gzip"):
            raise InvalidArchive("no encoder here writes this archive's stream")
        proof = threads().submit(self._encoder_of, outer.content, outer.stream, "gzip")
        try:
            zeros = self._tar(outer.content)
        finally:
            encoder = proof.result()
        if not encoder:
            raise InvalidArchive("no encoder here writes this archive's stream")
        return self._finish(
            recipe.TAR_GZ,
            gzip=outer.header.hex(),
            zeros=zeros,
            encoder=self._number(encoder),
        )

    def _tar(self, tar: memoryview) -> int:
        """Store the members of a tar; return how many zero bytes end it."""
        layout = tars.read(tar)
        files = [tar[member.content] for member in layout.members if member.is_file]
        stored = iter(in_order(self._store, files))
        for member in layout.members:
            one = next(stored) if member.is_file else None
            whole = bytes(tar[member.head])
            head = tars.take_head(whole, member.content.stop - member.content.start)
            if head is None:
                self._row(member.name, whole, None, one)
            else:
                self._row(member.name, head.stable, head.times, one)
        return layout.end

    def _zip_member(self, member: zips.Member) -> _Stored:
        stream = self._data[member.stream]
        if member.method == zips.STORED:
            self._budget.spend(len(stream))
            _check(stream, member)
            return self._store(stream)
        if member.method != zips.DEFLATED:
            return self._keep(stream)
        inflated = inflate(stream, self._budget)
        if inflated.stream_size != len(stream):
            raise InvalidArchive("zip member with bytes after its stream")
        _check(inflated.content, member)
        encoder = self._encoder_of(inflated.content, stream, "zip")
        if not encoder:
            return self._keep(stream)
        stored = self._store(inflated.content)
        stored.encoder = encoder
        return stored

    def _store(self, data: memoryview) -> _Stored:
        """Store a content; a gzip file is opened if its stream can be written again."""
        opened = self._open(data) if bytes(data[:3]) == gzips.MAGIC else None
        if opened is not None:
            return opened
        blocks, sink = self._collector(data)
        return _Stored(content.store(data, sink), blocks=blocks)

    def _open(self, data: memoryview) -> _Stored | None:
        try:
            inner = gzips.read(data, self._budget)
        except InvalidArchive:
            self._budget.spend(0)
            return None
        blocks, sink = self._collector(inner.content)
        file = content.store(inner.content, sink)
        encoder = self._encoder_of(inner.content, inner.stream, "gzip")
        if not encoder:
            return None
        return _Stored(file, recipe.OPENED, inner=encoder, gzip_header=inner.header, blocks=blocks)

    def _keep(self, stream: memoryview) -> _Stored:
        blocks, sink = self._collector(stream)
        return _Stored(content.store_fixed(stream, sink), recipe.KEPT, blocks=blocks)

    def _collector(self, data: memoryview) -> tuple[list[Block], Sink]:
        """Return where to put blocks: a list, or the sink itself if they are too many."""
        blocks: list[Block] = []
        return blocks, (blocks.append if len(data) <= IN_MEMORY else self._sink)

    def _encoder_of(self, data: memoryview, stream: memoryview, kind: str) -> str:
        """Return the name of the encoder that writes `stream`, or nothing."""
        digests = hashlib.sha256(data).digest() + hashlib.sha256(stream).digest()
        key = hashlib.sha256(digests).digest()[:16]
        if known := self._proved.get(key):
            return known
        found = self._search.find(data, stream, kind)
        if found is None:
            return ""
        self._proved[key] = found.name
        return found.name

    def _number(self, encoder: str) -> int:
        if not encoder:
            return plan.PLAIN
        if encoder not in self._encoders:
            self._encoders.append(encoder)
        return self._encoders.index(encoder) + 1

    def _row(
        self, name: str, head: bytes, times: bytes | None, one: _Stored | None, after: int = 0
    ) -> None:
        """Add a member: its blocks, its place in the tree, its row, its times."""
        flags = (zips.DESCRIPTORS.index(after) << plan.AFTER_SHIFT) | (
            plan.VERBATIM if times is None else 0
        )
        if one is not None and one.suffix == recipe.KEPT:
            flags |= plan.KEPT
        self._times.append(times or b"")
        if one is None:
            self._rows.append(plan.encode(plan.Row(head, flags=flags)))
            return
        for block in one.blocks:
            self._sink(block)
        content.plant(self._tree, name + one.suffix, one.file)
        header = bytearray(one.gzip_header)
        if one.inner:
            self._times.append(bytes(header[gzips.TIME]))
            header[gzips.TIME] = bytes(4)
        row = plan.Row(
            head, self._number(one.encoder), self._number(one.inner), bytes(header), flags
        )
        self._rows.append(plan.encode(row))
        if one.suffix == recipe.KEPT:
            self._kept += one.file.size

    def _finish(self, kind: str, **rest: str | int) -> Imported:
        about = recipe.About(
            kind, len(self._data), hashlib.sha256(self._data).hexdigest(),
            tuple(self._encoders), **rest,  # type: ignore[arg-type]
        )  # fmt: skip
        files = {
            recipe.ABOUT: content.store(memoryview(recipe.encode(about)), self._sink),
            recipe.PLAN: content.store(memoryview(b"".join(self._rows)), self._sink, content.FINE),
            recipe.TIMES: content.store(memoryview(b"".join(self._times)), self._sink),
        }
        members = content.store_tree(self._tree, self._sink)
        links = [dagpb.Link(file.cid, name, file.tsize) for name, file in files.items()]
        links.append(dagpb.Link(members.cid, recipe.MEMBERS, members.tsize))
        block = dagpb.encode(dagpb.Node(tuple(links), unixfs.DIRECTORY))
        cid = dagpb.cid_of(block)
        self._sink(Block(cid, block))
        return Imported(cid, self._kept)


def _check(data: memoryview, member: zips.Member) -> None:
    if len(data) != member.content_size or zlib.crc32(data) != member.crc:
        raise InvalidArchive(f"zip member {member.name!r} is not what its header says")
