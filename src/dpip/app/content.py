"""Where the content of a home lies, and how its errors are told to users.

blocks/   the embedded blockstore
ipns/     IPNS records, one file a name
keys/     private keys
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dpip.errors import DiskFull, DpipError, HomeNotWritable
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.errors import IpfsError, NotFound, Unwritable
from dpip.ipfs.keystore import SELF, Keystore
from dpip.ipfs.records import DiskRecords
from dpip.ipfs.routing import Peer, Routing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.ipfs.blockstore import Blockstore
    from dpip.settings import Settings


class ContentError(DpipError):
    """Content is not here, is malformed, or is not what was asked for."""

    slug = "content"


class ContentNotFound(ContentError):
    """A block, record, key or path is not in this home."""

    slug = "content-not-found"


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of content and of the file system into those that users are told."""
    try:
        yield
    except Unwritable as error:
        raise HomeNotWritable(str(error)) from None
    except NotFound as error:
        raise ContentNotFound(str(error)) from None
    except IpfsError as error:
        raise ContentError(str(error)) from None
    except OSError as error:
        if error.errno == 28:
            raise DiskFull(str(error)) from None
        raise ContentError(f"{error.filename or ''}: {error.strerror or error}") from None


@contextmanager
def opened(settings: Settings) -> Iterator[DiskBlockstore]:
    """Open the blockstore of a home for one operation."""
    with told():
        store = DiskBlockstore(settings.home / "blocks")
        try:
            yield store
        finally:
            store.close()


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
