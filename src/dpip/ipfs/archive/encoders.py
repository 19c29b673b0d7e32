"""Encoders: what turns inflated content back into the very DEFLATE bytes of an archive.

DEFLATE fixes how to read a stream, not how to write one: each program and level writes its
own. A recipe therefore names the encoder of each stream. Nearly all archives made by
Python replay with zlib at level 6 (wheels) or 9 (sdists). GNU gzip finds the same matches
as zlib but ends its blocks elsewhere, so large `.gz` members need that program itself.
Streams by other writers (Rust's, zlib-ng's) are kept as they are.

No encoder is trusted by its name: a stream replays only if the bytes were equal when it was
imported, and a rebuilt archive counts only if its sha256 is right. `probe` says whether
the encoders of this machine still write what they wrote when a store was proved.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 2**18
GZIP_HEADER, GZIP_TRAILER = 10, 8
GZIP_MAX = 256 * 2**20
"""Longest content, in bytes, that is handed to the gzip program."""


class Encoder(Protocol):
    """Writes raw DEFLATE; the same bytes for the same content, however often it is asked.

    `encode` yields the stream in pieces while it reads the content, so that a caller who
    compares can stop at the first difference.
    """

    @property
    def name(self) -> str:
        """What recipes call it: family and parameters, such as "zlib:9"."""
        ...

    def encode(self, content: memoryview) -> Iterator[bytes]:
        """Yield the stream of `content`."""
        ...


@dataclass(frozen=True, slots=True)
class Zlib:
    """The zlib that Python is linked with."""

    level: int
    memory: int = 8
    strategy: int = zlib.Z_DEFAULT_STRATEGY

    @property
    def name(self) -> str:
        """Level, then memory level and strategy where they are not the usual ones."""
        extra = f":{self.memory}:{self.strategy}" if (self.memory, self.strategy) != (8, 0) else ""
        return f"zlib:{self.level}{extra}"

    def encode(self, content: memoryview) -> Iterator[bytes]:
        """Yield the stream of `content`."""
        deflater = zlib.compressobj(
            self.level, zlib.DEFLATED, -zlib.MAX_WBITS, self.memory, self.strategy
        )
        for at in range(0, len(content), PIECE):
            if piece := deflater.compress(content[at : at + PIECE]):
                yield piece
        yield deflater.flush()


@dataclass(frozen=True, slots=True)
class GnuGzip:
    """The GNU gzip program of this machine."""

    level: int

    @property
    def name(self) -> str:
        """The level."""
        return f"gnu-gzip:{self.level}"

    def encode(self, content: memoryview) -> Iterator[bytes]:
        """Yield the stream of `content`; nothing if there is no such program."""
        program = _gnu_gzip()
        if program is None or len(content) > GZIP_MAX:
            return
        command = [program, f"-{self.level}", "--no-name", "--stdout"]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        if done.returncode == 0:
            yield done.stdout[GZIP_HEADER:-GZIP_TRAILER]


@functools.cache
def _gnu_gzip() -> str | None:
    program = shutil.which("gzip")
    if program is None:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    # Apple's and busybox's gzip write what zlib writes, or something of their own.
    return program if "Free Software Foundation" in told.stdout else None


LEVELS = (6, 9, 1, 2, 3, 4, 5, 7, 8)
ZLIB = tuple(Zlib(level) for level in LEVELS)
UNUSUAL = (Zlib(6, 9), Zlib(9, 9), Zlib(9, 8, zlib.Z_FILTERED), Zlib(0))
GNU_GZIP = tuple(GnuGzip(level) for level in (6, 9, 1))
_EVERY: tuple[Encoder, ...] = (*ZLIB, *UNUSUAL, *GNU_GZIP)
ALL: dict[str, Encoder] = {one.name: one for one in _EVERY}
"""Every encoder by its name. One more is one more entry here and in `match`."""


@functools.cache
def probe(name: str) -> bytes:
    """Return 16 bytes that change if the encoder `name` of this machine writes differently."""
    encoder = ALL.get(name)
    if encoder is None:
        return b""
    return hashlib.sha256(b"".join(encoder.encode(memoryview(_sample())))).digest()[:16]


@functools.cache
def _sample() -> bytes:
    """Return 500 kB of bytes like text, with noise, then of three letters for long searches."""
    words = [hashlib.sha256(bytes([n])).hexdigest()[: 3 + n % 9].encode() for n in range(200)]
    state, out = 1, bytearray()
    while len(out) < 400_000:
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out += words[(state >> 8) % 200 if state & 0x70 else (state >> 8) % 20] + b" "
        if state % 61 == 0:
            out += state.to_bytes(4, "big")
    for _ in range(100_000):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out.append(97 + (state >> 12) % 3)
    return bytes(out)
