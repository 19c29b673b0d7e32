"""Which nodes to ask for a file: who spoke of it, who gave before, and a few of the others."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.federation.rids import IpnsName, PypiFile
from dpip.koi import KoiError
from dpip.koi.errors import ForbiddenAddress
from dpip.koi.network.address import AddressPolicy
from dpip.koi.network.dial import dialer
from dpip.koi.protocol.consts import PREFIX
from dpip.koi.protocol.node import NodeType

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from dpip.koi import RID, Cache, NodeInterface
    from dpip.koi.network.address import Address
    from dpip.mirror.catalog import FileRecord


class GraphDirectory:
    """The full nodes of a KOI node's graph. `node` returns it once it runs.

    `dial` connects to one of them as a blocking client does, at an address that is allowed.
    `circle` returns the key hashes of those who may be asked about a project: others would learn
    its name by the question. None: anybody may be asked.
    """

    def __init__(
        self,
        node: Callable[[], NodeInterface | None],
        networks: Sequence[str] = (),
        *,
        circle: Callable[[str], Container[str] | None] = lambda _: None,
    ) -> None:
        self._circle = circle
        self._node = node
        self._networks = tuple(networks)
        self._order = random.Random()
        self.dial = dialer(self)

    def near(self, record: FileRecord) -> list[str]:
        """Return base URLs of nodes, the one that told of the file first."""
        circle = self._circle(record.project)
        try:
            return self.around(PypiFile(record.project, record.filename), circle)
        except ValueError:
            return self.around(None, circle)

    def tellers(self, names: Sequence[str]) -> list[str]:
        """Return base URLs of nodes, those first that told of heads of these IPNS names."""
        found = [url for name in names for url in self.around(IpnsName(name))[:1]]
        return list(dict.fromkeys([*found, *self.around(None)]))

    def around(self, rid: RID | None, circle: Container[str] | None = None) -> list[str]:
        """Return base URLs of nodes, the one that told of `rid` first, the others by chance.

        With a `circle`, only of nodes whose keys have these hashes.
        """
        node = self._node()
        if node is None:
            return []
        addresses = self._addresses(node)
        teller = None if rid is None else _teller(node, rid)
        found: list[tuple[str, str]] = []
        for peer, profile in node.graph.profiles():
            url = profile.base_url
            if peer == node.identity.rid or profile.node_type != NodeType.FULL or not url:
                continue
            if circle is None or (peer.names_key and peer.id in circle):
                found.append((str(peer), url))
        return Likeliest(teller, self._order).of(found, addresses)

    def check_address(self, address: Address, host: str, port: int) -> None:
        """Raise ForbiddenAddress for what this node does not call, whatever name leads there."""
        node = self._node()
        if node is None:
            raise ForbiddenAddress(f"{host}: this node is no part of a network")
        self._addresses(node).check_address(address, host, port)

    def _addresses(self, node: NodeInterface) -> AddressPolicy:
        return AddressPolicy.for_node(
            node.identity.profile.base_url,
            allowed=self._networks,
            named=() if node.network.contact is None else (node.network.contact.url,),
        )


@dataclass(frozen=True, slots=True)
class Likeliest:
    """The order in which nodes are asked: who told of a thing first, the others by chance."""

    teller: str | None
    order: random.Random

    def of(self, nodes: Iterable[tuple[str, str]], addresses: AddressPolicy) -> list[str]:
        """Return the base URLs of (RID, URL) pairs, without those that are not called."""
        found = [
            (rid != self.teller, self.order.random(), url.removesuffix(PREFIX))
            for rid, url in nodes
            if _callable(addresses, url)
        ]
        return [url for _, _, url in sorted(found)]


def _teller(node: NodeInterface, rid: RID) -> str | None:
    cache: Cache = node.cache  # type: ignore[assignment]
    held = cache.record(rid)
    return None if held is None else held.source


def _callable(addresses: AddressPolicy, url: str) -> bool:
    try:
        addresses.check_url(url)
    except KoiError:
        return False
    return True
