"""Search for the encoder that wrote a stream.

Comparing piece by piece makes a wrong encoder cheap: what it has written of the first
256 KiB of content is not a prefix of the stream, and it is dropped there. Trying first what
matched last makes the whole search about one compression a stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import encoders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .encoders import Encoder

GNU_BLOCK = 64 * 1024
"""Below this much content GNU gzip's blocks and zlib's are the same."""


PROBE, ENOUGH = 2**20, 4096
"""Content that is compressed for a first look, and bytes of the stream that must be equal."""


class Search:
    """Remembers, for each kind of stream of an archive, which encoder matched last.

    One object serves one archive, or all archives of one producer; threads may share it.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, bool], Encoder] = {}

    def find(self, content: memoryview, stream: memoryview, kind: str) -> Encoder | None:
        """Return the encoder that turns `content` into exactly `stream`, or None.

        `kind` is "zip" or "gzip": what the stream stands in.
        """
        large = len(content) >= GNU_BLOCK
        for encoder in self._candidates(kind, large=large):
            if reproduces(encoder, content, stream):
                self._last[kind, large] = encoder
                return encoder
        return None

    def hopeful(self, content: memoryview, stream: memoryview, kind: str) -> bool:
        """Say whether some encoder writes the start of `stream`; as good as certain, and quick."""
        return any(
            _begins(encoder, content, stream)
            for encoder in self._candidates(kind, large=len(content) >= GNU_BLOCK)
        )

    def _candidates(self, kind: str, *, large: bool) -> Iterator[Encoder]:
        last = self._last.get((kind, large))
        if last is not None:
            yield last
        usual: Iterable[Encoder] = encoders.ZLIB
        if kind == "gzip" and large:
            usual = (*encoders.ZLIB[:2], *encoders.GNU_GZIP, *encoders.ZLIB[2:])
        for encoder in (*usual, *encoders.UNUSUAL):
            if encoder is not last:
                yield encoder


def reproduces(encoder: Encoder, content: memoryview, stream: memoryview) -> bool:
    """Say whether the encoder writes exactly `stream` for `content`."""
    at = 0
    for piece in encoder.encode(content):
        if bytes(stream[at : at + len(piece)]) != piece:
            return False
        at += len(piece)
    return at == len(stream)


def _begins(encoder: Encoder, content: memoryview, stream: memoryview) -> bool:
    """Say whether the encoder writes the start of `stream`."""
    # A program writes nothing before it has read everything, so it gets a part to read.
    sample = content if isinstance(encoder, encoders.Zlib) else content[:PROBE]
    written = bytearray()
    for piece in encoder.encode(sample):
        written += piece
        if len(written) >= ENOUGH:
            break
    return bool(written) and written[:ENOUGH] == bytes(stream[:ENOUGH])
