"""Which nodes to ask for a file: who spoke of it, who gave before, and a few of the others."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dpip.federation.rids import IpnsName, PypiFile
from dpip.koi import KoiError
from dpip.koi.network.address import AddressPolicy
from dpip.koi.protocol.consts import PREFIX
from dpip.koi.protocol.node import NodeType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dpip.koi import RID, Cache, NodeInterface
    from dpip.mirror.catalog import FileRecord


class GraphDirectory:
    """The full nodes of a KOI node's graph. `node` returns it once it runs."""

    def __init__(
        self, node: Callable[[], NodeInterface | None], networks: Sequence[str] = ()
    ) -> None:
        self._node = node
        self._networks = tuple(networks)
        self._order = random.Random()

    def near(self, record: FileRecord) -> list[str]:
        """Return base URLs of nodes, the one that told of the file first."""
        try:
            return self.around(PypiFile(record.project, record.filename))
        except ValueError:
            return self.around(None)

    def tellers(self, names: Sequence[str]) -> list[str]:
        """Return base URLs of nodes, those first that told of heads of these IPNS names."""
        found = [url for name in names for url in self.around(IpnsName(name))[:1]]
        return list(dict.fromkeys([*found, *self.around(None)]))

    def around(self, rid: RID | None) -> list[str]:
        """Return base URLs of nodes, the one that told of `rid` first, the others by chance."""
        node = self._node()
        if node is None:
            return []
        addresses = AddressPolicy.for_node(
            node.identity.profile.base_url,
            allowed=self._networks,
            named=() if node.network.contact is None else (node.network.contact.url,),
        )
        teller = None if rid is None else _teller(node, rid)
        found: list[tuple[bool, float, str]] = []
        for peer, profile in node.graph.profiles():
            url = profile.base_url
            if peer == node.identity.rid or profile.node_type != NodeType.FULL or not url:
                continue
            if _callable(addresses, url):
                rank = (str(peer) != teller, self._order.random())
                found.append((*rank, url.removesuffix(PREFIX)))
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
