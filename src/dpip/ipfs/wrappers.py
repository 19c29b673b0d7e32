"""Blockstores around blockstores, one feature each; nesting them is the configuration.

SingleFlight(Failover([disk, Verified(remote)]))
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING

from .blockstore import Block, Located
from .cid import CID, inline, verify
from .errors import IpfsError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .blockstore import Blockstore, Location


class Passing:
    """Hands every call on; wrappers change what they are about."""

    def __init__(self, inner: Blockstore) -> None:
        self.inner = inner

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes."""
        return self.inner.get(cid)

    def has(self, cid: CID) -> bool:
        """Say whether the block is here."""
        return self.inner.has(cid)

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes."""
        return self.inner.size(cid)

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks."""
        self.inner.put(blocks)

    def delete(self, cids: Iterable[CID]) -> None:
        """Forget the blocks."""
        self.inner.delete(cids)

    def multihashes(self) -> Iterator[bytes]:
        """Iterate over the multihashes of all blocks."""
        return self.inner.multihashes()

    def location(self, cid: CID) -> Location | None:
        """Return where the bytes lie, if the store below knows."""
        return self.inner.location(cid) if isinstance(self.inner, Located) else None


class Verified(Passing):
    """Lets no bytes through, in or out, that do not hash to their CID.

    A CID that carries its block is answered without asking.
    """

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes. Raises HashMismatch if the store gave others."""
        data = inline(cid)
        return verify(cid, self.inner.get(cid)) if data is None else data

    def has(self, cid: CID) -> bool:
        """Say whether the block is here."""
        return inline(cid) is not None or self.inner.has(cid)

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes."""
        data = inline(cid)
        return self.inner.size(cid) if data is None else len(data)

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks. Raises HashMismatch at the first that is not what it says."""
        self.inner.put(Block(block.cid, verify(block.cid, block.data)) for block in blocks)

    def location(self, cid: CID) -> Location | None:  # noqa: ARG002 - bytes not seen are not verified
        """Return None."""
        return None


class Cached(Passing):
    """Keeps recently read blocks in memory, up to `capacity` bytes in all."""

    def __init__(self, inner: Blockstore, capacity: int) -> None:
        super().__init__(inner)
        self._capacity = capacity
        self._held: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes, from memory if they are there."""
        key = cid.multihash
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        data = self.inner.get(cid)
        with self._lock:
            self._keep(key, data)
        return data

    def delete(self, cids: Iterable[CID]) -> None:
        """Forget the blocks."""
        gone = list(cids)
        self.inner.delete(gone)
        with self._lock:
            for cid in gone:
                self._size -= len(self._held.pop(cid.multihash, b""))

    def _keep(self, key: bytes, data: bytes) -> None:
        if key in self._held or len(data) > self._capacity:
            return
        self._held[key] = data
        self._size += len(data)
        while self._size > self._capacity:
            _, oldest = self._held.popitem(last=False)
            self._size -= len(oldest)


class Failover(Passing):
    """Reads from the first store that has a block; writes to, lists and deletes from the first.

    A store that fails, or lies, is passed over; if none can answer, the gravest error is raised:
    what an honest NotFound says weighs least.
    """

    def __init__(self, stores: Sequence[Blockstore]) -> None:
        super().__init__(stores[0])
        self._stores = tuple(stores)

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes from the first store that has it."""
        failure: IpfsError = NotFound(f"no block {cid}")
        for store in self._stores:
            try:
                return verify(cid, store.get(cid)) if store is not self.inner else store.get(cid)
            except NotFound:
                continue
            except IpfsError as error:
                failure = error
        raise failure

    def has(self, cid: CID) -> bool:
        """Say whether any store has the block."""
        return any(store.has(cid) for store in self._stores)

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes."""
        failure: IpfsError = NotFound(f"no block {cid}")
        for store in self._stores:
            try:
                return store.size(cid)
            except NotFound:
                continue
            except IpfsError as error:
                failure = error
        raise failure


class SingleFlight(Passing):
    """Asks the store below once for what several threads want at the same time."""

    def __init__(self, inner: Blockstore) -> None:
        super().__init__(inner)
        self._flights: dict[bytes, Future[bytes]] = {}
        self._lock = threading.Lock()

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes; everyone in one flight gets one answer or one error."""
        with self._lock:
            flight = self._flights.get(cid.multihash)
            mine = flight is None
            if flight is None:
                flight = self._flights[cid.multihash] = Future()
        return self._fly(cid, flight) if mine else flight.result()

    def _fly(self, cid: CID, flight: Future[bytes]) -> bytes:
        try:
            flight.set_result(self.inner.get(cid))
        except BaseException as error:  # noqa: BLE001 - handed to everyone who waits
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._flights[cid.multihash]
        return flight.result()
