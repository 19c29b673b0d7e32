"""What a home holds of IPFS: blocks and archives, names, keys.

blocks/, archives/   the embedded store
ipns/                IPNS records, one file a name
keys/                private keys
"""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dpip.ipfs.disk.leaves import WithLeaves
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.keystore import SELF, Keystore
from dpip.ipfs.records import DiskRecords
from dpip.ipfs.routing import Peer, Routing
from dpip.mirror import store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.disk.archives import Archives
    from dpip.settings import Settings


class Content(WithLeaves):
    """All blocks of a home, those inside archives included, and its pins."""

    def __init__(self, archives: Archives) -> None:
        super().__init__(archives)
        self.pins = Pins(archives.store)


@contextmanager
def opened(settings: Settings) -> Iterator[Content]:
    """Open the blocks of a home for one operation; errors inside are mapped too."""
    with store.opened(settings.home) as archives:
        yield Content(archives)


def records(settings: Settings) -> DiskRecords:
    """Return the IPNS records of a home."""
    return DiskRecords(settings.home / "ipns")


@dataclass(frozen=True, slots=True)
class BothRoutings:
    """Delegated routing over all blocks, and over those that are for everybody.

    They name nobody until they have a `peer`.
    """

    full: Routing
    public: Routing

    def reached_as(self, peer: Peer | None) -> None:
        """Name this node as provider of what it holds, reached so."""
        self.full.peer = self.public.peer = peer


def routing(settings: Settings, blocks: Blockstore, shown: Blockstore) -> BothRoutings:
    """Return the delegated routing of a home; `shown` are the blocks for everybody."""
    names = records(settings)
    return BothRoutings(Routing(blocks, names), Routing(shown, names))


def provider(settings: Settings, port: int) -> Peer | None:
    """Return how this node, which listens on a port, is reached as provider of what it holds.

    None where that cannot be told: it listens on all addresses, and no `public_url` names one.
    """
    if settings.public_url:
        found = [multiaddr(settings.public_url)]
    else:
        found = [multiaddr(f"http://{_bracketed(settings.host)}:{port}")]
        if settings.tls_certificate:
            secure = f"https://{_bracketed(settings.host)}:{settings.tls_port}"
            found.insert(0, multiaddr(secure))
    addresses = tuple(address for address in found if address is not None)
    return Peer(keys(settings).get(SELF).name.encode("k"), addresses) if addresses else None


def multiaddr(url: str) -> str | None:
    """Return a base URL as a multiaddr; None for what is no address of a host, or has a path."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
        return None
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        kind = "dns"
    else:
        if address.is_unspecified:
            return None
        kind = f"ip{address.version}"
    tail = "tls/http" if parts.scheme == "https" else "http"
    return f"/{kind}/{parts.hostname}/tcp/{port}/{tail}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def keys(settings: Settings, password: bytes | None = None) -> Keystore:
    """Return the keys of a home."""
    return Keystore(settings.home / "keys", password)
