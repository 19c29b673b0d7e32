"""Raw DEFLATE streams opened with bounds: on output, on waste, on nesting (RFC 1951)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from ..errors import InvalidArchive
from .spool import Spool

PIECE = 2**18


class Budget:
    """How many bytes may still be inflated from one archive; spent by all its streams."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    @classmethod
    def of_archive(cls, size: int) -> Budget:
        """Allow 64 times the archive's size, and 64 MiB in any case.

        Real archives inflate up to some 15 times; DEFLATE can reach 1032, and a stream
        inside another one a million.
        """
        return cls(max(64 * size, 64 * 2**20))

    def spend(self, count: int) -> None:
        """Take `count` bytes off; raise InvalidArchive now and ever after if they are too many."""
        self.left -= count
        if self.left < 0:
            raise InvalidArchive("inflates to far more than archives do")


@dataclass(frozen=True, slots=True)
class Inflated:
    """The content of a stream, and how many bytes of the input the stream takes."""

    content: memoryview
    stream_size: int


def inflate(data: memoryview, budget: Budget) -> Inflated:
    """Return what the stream at the start of `data` inflates to.

    Raises InvalidArchive if the stream is damaged, cut off or larger than the budget allows.
    """
    inflater, at, pending = zlib.decompressobj(-zlib.MAX_WBITS), 0, b""
    with Spool() as spool:
        while not inflater.eof:
            if not pending:
                pending = bytes(data[at : at + PIECE])
                at += len(pending)
            try:
                piece = inflater.decompress(pending, PIECE)
            except zlib.error as error:
                raise InvalidArchive(f"damaged DEFLATE stream: {error}") from None
            if not piece and not pending:
                raise InvalidArchive("DEFLATE stream is cut off")
            pending = inflater.unconsumed_tail
            budget.spend(len(piece))
            spool.write(piece)
        return Inflated(spool.finish(), at - len(inflater.unused_data))
