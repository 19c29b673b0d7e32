"""Which nodes to ask for a file: who spoke of it, who gave before, and a few of the others."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dpip.federation.rids import PypiFile
from dpip.koi import KoiError
from dpip.koi.network.address import AddressPolicy
from dpip.koi.protocol.consts import PREFIX
from dpip.koi.protocol.node import NodeType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dpip.koi import Cache, NodeInterface
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
        node = self._node()
        if node is None:
            return []
        addresses = AddressPolicy.for_node(
            node.identity.profile.base_url,
            allowed=self._networks,
            named=() if node.network.contact is None else (node.network.contact.url,),
        )
        teller = _teller(node, record)
        found: list[tuple[bool, float, str]] = []
        for rid, profile in node.graph.profiles():
            url = profile.base_url
            if rid == node.identity.rid or profile.node_type != NodeType.FULL or not url:
                continue
            if _callable(addresses, url):
                rank = (str(rid) != teller, self._order.random())
                found.append((*rank, url.removesuffix(PREFIX)))
        return [url for _, _, url in sorted(found)]


def _teller(node: NodeInterface, record: FileRecord) -> str | None:
    cache: Cache = node.cache  # type: ignore[assignment]
    try:
        held = cache.record(PypiFile(record.project, record.filename))
    except ValueError:
        return None
    return None if held is None else held.source


def _callable(addresses: AddressPolicy, url: str) -> bool:
    try:
        addresses.check_url(url)
    except KoiError:
        return False
    return True
