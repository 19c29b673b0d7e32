"""What has been proved: which encoder wrote which stream, which archives were made again."""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from ..errors import IpfsError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from ..cid import CID
    from .index import Index
    from .store import DiskBlockstore


class Proved(MutableMapping[bytes, str]):
    """Streams that an encoder is known to write, as `take_apart` asks for them.

    What is learnt is kept aside until `write`. It is a cache: an encoder that has changed
    since is found out when a whole archive is proved, before anything is dropped.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._new: dict[bytes, str] = {}

    def __getitem__(self, key: bytes) -> str:
        if key in self._new:
            return self._new[key]
        row = self._index.read("SELECT encoder FROM proved WHERE key = ?", key).fetchone()
        if row is None:
            raise KeyError(key)
        return str(row[0])

    def __setitem__(self, key: bytes, encoder: str) -> None:
        self._new[key] = encoder

    def __delitem__(self, key: bytes) -> None:
        del self._new[key]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._new)

    def __len__(self) -> int:
        return len(self._new)

    def write(self, db: sqlite3.Connection) -> None:
        """Keep what was learnt."""
        rows = self._new.items()
        db.executemany("INSERT OR REPLACE INTO proved VALUES (?, ?)", rows)


def is_proved(store: DiskBlockstore, sha256: str, recipe: CID) -> bool:
    """Say whether the archive can be made again here, from what the store holds.

    The answer is remembered with a probe of the encoders of this machine, and worked out
    anew, by making the archive, where that probe has changed.
    """
    from ..archive import rebuild

    try:
        wanted = _fingerprint(rebuild.read_about(store.get, recipe).encoders)
        known = store.index.read(
            "SELECT proof FROM archives WHERE sha256 = ?", bytes.fromhex(sha256)
        ).fetchone()
        if known is not None and known[0] == wanted:
            return True
        made = rebuild.rebuild(store.get, recipe, lambda _: None)
    except IpfsError:
        return False
    if made.sha256 != sha256:
        return False
    with store.index.write() as db:
        db.execute(
            "UPDATE archives SET proof = ? WHERE sha256 = ?", (wanted, bytes.fromhex(sha256))
        )
    return True


def _fingerprint(names: tuple[str, ...]) -> bytes:
    from ..archive import encoders

    probes = (name.encode() + encoders.probe(name) for name in sorted(names))
    return hashlib.sha256(b"".join(probes)).digest()[:16]
