"""What a home holds of IPFS: blocks and archives, names, keys; and its errors as ours.

blocks/, archives/   the embedded store
ipns/                IPNS records, one file a name
keys/                private keys
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dpip.errors import DiskFull, DpipError
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.leaves import WithLeaves
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.keystore import SELF, Keystore
from dpip.ipfs.records import DiskRecords
from dpip.ipfs.routing import Peer, Routing
from dpip.mirror.store import ARCHIVES, BLOCKS, mapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.ipfs.blockstore import Blockstore
    from dpip.settings import Settings

NO_SPACE = 28


class FileUnusable(DpipError):
    """A file that was named cannot be read or written."""

    slug = "file-unusable"


class Content(WithLeaves):
    """All blocks of a home, those inside archives included, and its pins."""

    def __init__(self, settings: Settings) -> None:
        self._disk = DiskBlockstore(settings.home / BLOCKS)
        super().__init__(Archives(self._disk, settings.home / ARCHIVES))
        self.pins = Pins(self._disk)

    def close(self) -> None:
        """Close all files."""
        self._disk.close()


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of content and of the file system into those that users are told."""
    try:
        with mapped():
            yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == NO_SPACE:
            raise DiskFull(str(error)) from None
        raise FileUnusable(f"{error.filename or ''}: {error.strerror or error}") from None


@contextmanager
def opened(settings: Settings) -> Iterator[Content]:
    """Open the blocks of a home for one operation."""
    with mapped():
        content = Content(settings)
        try:
            yield content
        finally:
            content.close()


def records(settings: Settings) -> DiskRecords:
    """Return the IPNS records of a home."""
    return DiskRecords(settings.home / "ipns")


def routing(settings: Settings, store: Blockstore) -> Routing:
    """Return the delegated routing of a home: this node is the provider of what it holds."""
    peer = None
    if settings.port and settings.host.replace(".", "").isdigit():
        addresses = [f"/ip4/{settings.host}/tcp/{settings.port}/http"]
        if settings.tls_certificate:
            addresses.insert(0, f"/ip4/{settings.host}/tcp/{settings.tls_port}/tls/http")
        peer = Peer(keys(settings).get(SELF).name.encode("k"), tuple(addresses))
    return Routing(store, records(settings), peer=peer)


def keys(settings: Settings, password: bytes | None = None) -> Keystore:
    """Return the keys of a home."""
    return Keystore(settings.home / "keys", password)
