"""The journal: what the index knows and packs cannot tell, as lines of JSON.

Archives and pins are written here before they are committed to the index, so that an index
that is lost can be made again. A line that was never committed does no harm: it is read
only then, and at worst keeps something longer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from .index import mapped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Added(msgspec.Struct, tag="archive", tag_field="is", omit_defaults=True):
    """An archive came; CIDs as text."""

    sha256: str
    filename: str
    size: int
    root: str
    profile: str
    recipe: str | None = None


class Removed(msgspec.Struct, tag="removed", tag_field="is"):
    """An archive went."""

    sha256: str


class Pinned(msgspec.Struct, tag="pin", tag_field="is"):
    """A root was pinned."""

    cid: str
    name: str


class Unpinned(msgspec.Struct, tag="unpin", tag_field="is"):
    """A pin was removed; all of that root if no name is given."""

    cid: str | None
    name: str | None


Line = Added | Removed | Pinned | Unpinned
_decoder = msgspec.json.Decoder(Line)


class Journal:
    """The journal of one store. Written inside its write transactions only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, *lines: Line) -> None:
        """Append lines and wait until they are on the disk."""
        # The newline before each line ends whatever a crash left unfinished.
        text = b"".join(b"\n" + msgspec.json.encode(line) for line in lines) + b"\n"
        with mapped(self._path), self._path.open("ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Iterator[Line]:
        """Yield all lines; what was cut off by a crash is passed over."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                try:
                    yield _decoder.decode(line)
                except msgspec.MsgspecError:
                    continue
