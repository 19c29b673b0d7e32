"""The neighbours of a home for a process that is no node: read from what its node knew last."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING

from dpip.federation.directory import Likeliest
from dpip.federation.inspection import Inspection, NoNetworkState, NotHeld
from dpip.federation.orders import contact_url
from dpip.federation.rids import PypiFile
from dpip.koi.network.address import AddressPolicy
from dpip.koi.network.contact import Contact
from dpip.koi.protocol.node import NodeType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dpip.koi.network.address import Address
    from dpip.mirror.catalog import FileRecord

LOOK_AGAIN = 10.0
"""Seconds for which the same nodes are asked."""


class Acquaintances:
    """A `neighbours.Directory` over the KOI state in `directory`, a home's `koi/`.

    Empty where the home never took part in a network. `networks` and `contacts` are those of the
    settings: what a node would not call is not called here either.
    """

    def __init__(
        self, directory: Path, networks: Sequence[str] = (), contacts: Sequence[str] = ()
    ) -> None:
        self._inspection = Inspection(directory)
        named = [Contact.parse(contact_url(contact)).url for contact in contacts]
        self._addresses = AddressPolicy.for_node(
            _own_url(directory), allowed=tuple(networks), named=tuple(named)
        )
        self._order = random.Random()
        self._looked = float("-inf")
        self._nodes: list[tuple[str, str]] = []

    def near(self, record: FileRecord) -> list[str]:
        """Return base URLs of nodes, the one that told of the file first."""
        if time.monotonic() - self._looked > LOOK_AGAIN:
            self._looked, self._nodes = time.monotonic(), self._look()
        likeliest = Likeliest(self._teller(record), self._order)
        return likeliest.of(self._nodes, self._addresses) if self._nodes else []

    def check_address(self, address: Address, host: str, port: int) -> None:
        """Raise ForbiddenAddress for what this home's node does not call."""
        self._addresses.check_address(address, host, port)

    def _look(self) -> list[tuple[str, str]]:
        try:
            peers = self._inspection.peers()
        except NoNetworkState:
            return []
        full = [one for one in peers if one["type"] == NodeType.FULL and one["url"]]
        return [(str(one["rid"]), str(one["url"])) for one in full]

    def _teller(self, record: FileRecord) -> str | None:
        try:
            found = self._inspection.get(str(PypiFile(record.project, record.filename)))
        except (NoNetworkState, NotHeld, ValueError):
            return None
        source: str | None = found["source"]
        return source


def _own_url(directory: Path) -> str | None:
    try:
        url = json.loads((directory / "identity.json").read_bytes())["profile"].get("base_url")
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return url if isinstance(url, str) else None
