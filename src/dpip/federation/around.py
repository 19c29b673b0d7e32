"""The blocks of neighbours: a blockstore to read from, over whoever is around at the moment."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NoReturn

from dpip.ipfs.errors import InvalidArgument, NotFound
from dpip.ipfs.gateway.client import Gateway, Gateways

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dpip.ipfs.blockstore import Block
    from dpip.ipfs.cid import CID
    from dpip.ipfs.connections import Dial

MOST_ASKED = 5
TIMEOUT = 5.0
LOOK_AGAIN = 2.0
"""Seconds for which the same neighbours are asked."""


class Around:
    """Asks the nodes that `urls` names, likeliest first; believes bytes by their hash alone.

    `dial` connects to them (default: by their names).
    """

    def __init__(self, urls: Callable[[], Sequence[str]], dial: Dial | None = None) -> None:
        self._urls = urls
        self._dial = dial
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._asked: tuple[str, ...] = ()
        self._gateways: Gateways | None = None

    def close(self) -> None:
        """Give up what is under way."""
        with self._lock:
            if self._gateways is not None:
                self._gateways.close()
                self._gateways = None
            self._asked = ()

    def get(self, cid: CID) -> bytes:
        """Return the block from the first neighbour that has it; NotFound where none is."""
        return self._near(cid).get(cid)

    def has(self, cid: CID) -> bool:
        """Say whether a neighbour says that it has the block."""
        try:
            return self._near(cid).has(cid)
        except NotFound:
            return False

    def size(self, cid: CID) -> int:
        """Return the block's length as a neighbour states it."""
        return self._near(cid).size(cid)

    def put(self, blocks: Iterable[Block]) -> NoReturn:  # noqa: ARG002 - the protocol's name
        """Refuse: neighbours are read-only."""
        raise InvalidArgument("neighbours cannot be written to")

    def delete(self, cids: Iterable[CID]) -> NoReturn:  # noqa: ARG002 - the protocol's name
        """Refuse: neighbours are read-only."""
        raise InvalidArgument("neighbours cannot be written to")

    def multihashes(self) -> Iterator[bytes]:
        """Refuse: neighbours do not say all that they have."""
        raise InvalidArgument("neighbours do not list their blocks")

    def _near(self, cid: CID) -> Gateways:
        with self._lock:
            if time.monotonic() - self._looked > LOOK_AGAIN:
                self._looked = time.monotonic()
                self._turn_to(tuple(self._urls()[:MOST_ASKED]))
            if self._gateways is None:
                raise NotFound(f"no block {cid}, and no neighbours")
            return self._gateways

    def _turn_to(self, urls: tuple[str, ...]) -> None:
        if set(urls) == set(self._asked):
            return
        # Whoever still waits for the old ones is answered: only their threads end afterwards.
        self._asked = urls
        gateways = [Gateway(url, timeout=TIMEOUT, dial=self._dial) for url in urls]
        self._gateways = Gateways(gateways) if gateways else None
