"""The published indexes of a home: our own by key, and those that it follows.

    indexes/<k51…>.sqlite3      state of an index that is published here
    ipns/, keys/                records and private keys, as the content room keeps them

`publish_changes` is one publication: it reads the catalog's changes since the last one,
writes the tree, signs, pins the new root in place of the old, and only then puts the record
where gateways find it. What a long publication has written is pinned as it goes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.errors import AlreadyRunning, UsageError
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.errors import IpfsError, NotFound
from dpip.ipfs.keys import parse_name
from dpip.mirror.changes import changes
from dpip.mirror.publish import Publisher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dpip.ipfs import ipns
    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.disk.archives import Archives
    from dpip.ipfs.keys import PrivateKey
    from dpip.ipfs.records import RecordStore
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.publish import Change, Head

PAGE = 500
"""Changes that are read from the catalog at a time."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """An index that is followed: its IPNS name, and gateways that are known to have it.

    Written as `k51…`, or `k51…@http://host:4747+http://other`.
    """

    name: str
    gateways: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Subscription:
        """Read the written form. Raises UsageError."""
        given, _, gateways = text.strip().partition("@")
        try:
            name = parse_name(given).encode("k")
        except IpfsError:
            raise UsageError(
                f"{text[:200]!r} is no index",
                hint="an index is an IPNS name, k51…, or k51…@GATEWAY-URL",
            ) from None
        urls = tuple(url.rstrip("/") for url in gateways.split("+") if url)
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise UsageError(f"{url!r} is no gateway", hint="a gateway is an http(s) URL")
        return cls(name, urls)

    def __str__(self) -> str:
        return self.name + (f"@{'+'.join(self.gateways)}" if self.gateways else "")


@dataclass(frozen=True, slots=True)
class Publication:
    """What one publication did: the head, and how many projects were looked at."""

    head: Head
    projects: int


def state_path(home: Path, key: PrivateKey) -> Path:
    """Return where the state of the index of that key lies; its directory is made."""
    folder = home / "indexes"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key.name.encode('k')}.sqlite3"


def publish_changes(
    *,
    home: Path,
    catalog: Catalog,
    archives: Archives,
    records: RecordStore,
    key: PrivateKey,
    now: int,
) -> Publication:
    """Publish what changed since the last head of this key; `now` in nanoseconds since 1970.

    Raises AlreadyRunning while another publication of this index is under way.
    """
    name, pins, state = key.name.encode("k"), Pins(archives.store), state_path(home, key)
    with (
        _alone(state),
        contextlib.closing(
            Publisher(
                state, archives.store, key, keep=lambda root: pins.add(root, _under_way(name))
            )
        ) as publisher,
    ):
        reading = _Reading(catalog, publisher.cursor())
        head = publisher.publish(
            reading.changes(archives),
            now,
            cursor=lambda: reading.cursor,
            above=_known_sequence(records, key),
        )
        pins.replace(f"index {name}", head.root)
        pins.clear(_under_way(name))
        records.put(key.name, head.record.raw, now)
    return Publication(head, reading.projects)


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the right to change an index. Raises AlreadyRunning."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(state.with_suffix(".lock"), timeout=0):
            yield
    except Timeout:
        raise AlreadyRunning(
            f"the index {state.stem} is being published already", hint="let it end"
        ) from None


def _known_sequence(records: RecordStore, key: PrivateKey) -> int:
    """Return the sequence of the newest record of a key, whoever made it; 0 for none."""
    try:
        return records.get(key.name).sequence
    except NotFound:
        return 0


def _under_way(name: str) -> str:
    """Return the name of the pins that hold a publication together until it has its own."""
    return f"index {name}, being published"


def renew_head(
    home: Path, store: Blockstore, key: PrivateKey, record: ipns.Record, now: int
) -> Head | None:
    """Sign the head of this key's index again if `record`, which is due, points at it.

    Returns None if the key publishes no index, or was pointed elsewhere since.
    """
    state = home / "indexes" / f"{key.name.encode('k')}.sqlite3"
    if not state.is_file():
        return None
    try:
        with _alone(state), contextlib.closing(Publisher(state, store, key)) as publisher:
            head = publisher.head()
            if head is None or head.record.value != record.value:
                return None
            # None: an earlier renewal was killed before it put its record.
            return publisher.renew(now, above=record.sequence) or head
    except AlreadyRunning:
        # What is being published signs a head anyway.
        return None


class _Reading:
    """Reads the catalog's changes from a cursor on, which names the catalog's epoch too."""

    def __init__(self, catalog: Catalog, cursor: str) -> None:
        epoch, _, seq = cursor.partition(":")
        self._catalog = catalog
        self._epoch = catalog.epoch
        self._seq = int(seq) if seq and int(epoch) == self._epoch else 0
        self.projects = 0

    @property
    def cursor(self) -> str:
        """How far was read."""
        return f"{self._epoch}:{self._seq}"

    def changes(self, archives: Archives) -> Iterator[Change]:
        """Yield the changes that are there."""
        while rows := self._catalog.changed_since(self._seq, PAGE):
            yield from changes(self._catalog, archives, [name for _, name in rows])
            self.projects += len(rows)
            self._seq = rows[-1][0]
