"""Blocks from trustless gateways: asked in turn, hedged, and believed only by hash.

Source: Trustless Gateway specification (`format=raw`, `format=car`, `format=ipns-record`).
A gateway is transport: it can be slow, lie, or break off in the middle, and the worst it
does is to cost time. `Gateways` is a blockstore that cannot be written to; it asks the first
gateway, and the next one too when no answer came within `hedge_after` seconds or an answer
was no good. `fetch` copies a whole DAG: as one CAR stream, of which every block is verified
as it comes; what a stream lacks (gateways end one early when a block is missing) is then
fetched block by block from all of them.
"""

from __future__ import annotations

import contextlib
import http.client
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from .. import car, dag
from ..blockstore import Block
from ..cid import CID, inline, verify
from ..connections import Connections, Request
from ..errors import (
    HashMismatch,
    InvalidArgument,
    InvalidCar,
    IpfsError,
    LimitExceeded,
    NotFound,
    Unavailable,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ..blockstore import Blockstore
    from ..connections import Dial

MAX_BLOCK = 4 * 2**20
MAX_RECORD = 10 * 2**10
BATCH = 64
"""Blocks that are put, or asked for, at a time."""
NOT_HERE = {404, 410, 412, 451}

T = TypeVar("T")


class Gateway:
    """One trustless gateway at `url`, such as http://127.0.0.1:4747. Thread-safe.

    `headers` returns those that a request for a path, such as /ipfs/<cid>, has besides.
    Every method raises NotFound, Unavailable, or where bytes are wrong HashMismatch.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 20,
        tls: ssl.SSLContext | None = None,
        dial: Dial | None = None,
        headers: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self.url = url
        self._headers = headers
        self._connections = Connections(url, timeout=timeout, tls=tls, dial=dial)

    def close(self) -> None:
        """Close the kept connections."""
        self._connections.close()

    def block(self, cid: CID) -> bytes:
        """Return a block's bytes, verified."""
        return verify(cid, self._get(f"/ipfs/{cid}?format=raw", "vnd.ipld.raw", MAX_BLOCK))

    def size(self, cid: CID) -> int:
        """Return a block's length as the gateway states it, without its bytes."""
        request = self._request("HEAD", f"/ipfs/{cid}?format=raw", "vnd.ipld.raw")
        with self._mapped(), self._connections.exchange(request) as response:
            response.read()
            _check(response.status, request.target)
            return int(response.headers.get("Content-Length") or 0)

    def record(self, name: str) -> bytes:
        """Return the signed IPNS record that the gateway has for a name, unverified."""
        target = f"/ipns/{quote(name)}?format=ipns-record"
        return self._get(target, "vnd.ipfs.ipns-record", MAX_RECORD)

    def car(
        self, root: CID, path: str = "", scope: str = "all", *, start: int = 0
    ) -> Iterator[Block]:
        """Stream the blocks of a CAR, each verified; `scope` is block, entity or all.

        With `start`, of a file only the blocks from that byte on (and those above them). The
        stream may end early without an error: the reader checks that it is complete.
        """
        target = f"/ipfs/{root}{quote(path)}?format=car&dag-scope={scope}&car-order=dfs&car-dups=n"
        target += f"&entity-bytes={start}:*" if start else ""
        request = self._request("GET", target, "vnd.ipld.car")
        with self._mapped(), self._connections.exchange(request) as response:
            _check(response.status, target)
            yield from car.read(response)

    def _get(self, target: str, kind: str, limit: int) -> bytes:
        request = self._request("GET", target, kind)
        with self._mapped(), self._connections.exchange(request) as response:
            data = response.read(limit + 1)
            _check(response.status, target)
            if len(data) > limit:
                raise LimitExceeded(f"{target}: an answer of more than {limit} bytes")
            if not response.isclosed() and response.read(1):
                raise Unavailable(f"{target}: more than was announced")
            return data

    def _request(self, method: str, target: str, kind: str) -> Request:
        headers = {
            "Accept": f"application/{kind}",
            "User-Agent": "dpip",
            "Accept-Encoding": "identity",
        }
        return Request(method, target, {**headers, **self._headers(target.partition("?")[0])})

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise Unavailable(f"{self.url}: {why or type(error).__name__}") from None


class Gateways:
    """Several gateways as one blockstore to read from, in order of preference."""

    def __init__(self, gateways: Sequence[Gateway], *, hedge_after: float = 0.3) -> None:
        if not gateways:
            raise InvalidArgument("no gateways")
        self._gateways = tuple(gateways)
        self._hedge_after = hedge_after
        self._threads = ThreadPoolExecutor(4 * len(gateways) + 8, thread_name_prefix="gateway")

    def close(self) -> None:
        """Give up what is under way and close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for gateway in self._gateways:
            gateway.close()

    def get(self, cid: CID) -> bytes:
        """Return the block from whoever first gives the right bytes."""
        data = inline(cid)
        return data if data is not None else self._first(lambda gateway: gateway.block(cid))

    def has(self, cid: CID) -> bool:
        """Say whether some gateway says that it has the block."""
        try:
            self.size(cid)
        except NotFound:
            return False
        return True

    def size(self, cid: CID) -> int:
        """Return the block's length as the first gateway that has it states it."""
        return self._first(lambda gateway: gateway.size(cid))

    def put(self, blocks: Iterable[Block]) -> None:  # noqa: ARG002 - the protocol's name
        """Refuse: gateways are read-only."""
        raise InvalidArgument("a gateway cannot be written to")

    def delete(self, cids: Iterable[CID]) -> None:  # noqa: ARG002 - the protocol's name
        """Refuse: gateways are read-only."""
        raise InvalidArgument("a gateway cannot be written to")

    def multihashes(self) -> Iterator[bytes]:
        """Refuse: a gateway does not say what it has."""
        raise InvalidArgument("a gateway does not list its blocks")

    def records(self, name: str) -> list[bytes]:
        """Return the IPNS records that the gateways have for a name, unverified."""
        found = []
        for gateway in self._gateways:
            with contextlib.suppress(IpfsError):
                found.append(gateway.record(name))
        return found

    def fetch(self, root: CID, into: Blockstore) -> int:
        """Make `into` hold the whole DAG below `root`; return the bytes that came over.

        Blocks that are there already are asked for only when they come in a CAR stream.
        Raises what the last gateway raised if a block cannot be had from any.
        """
        came = 0
        if not into.has(root):
            for gateway in self._gateways:
                came, complete = self._stream(gateway, root, into)
                if complete:
                    break
        return came + self._complete(root, into)

    def _stream(self, gateway: Gateway, root: CID, into: Blockstore) -> tuple[int, bool]:
        """Take what a CAR stream gives; say how much, and whether it ended well."""
        came, batch = 0, []
        try:
            for block in gateway.car(root):
                came += len(block.data)
                batch.append(block)
                if len(batch) == BATCH:
                    into.put(batch)
                    batch = []
        except (HashMismatch, InvalidCar, NotFound, Unavailable):
            into.put(batch)
            return came, False
        into.put(batch)
        return came, True

    def _complete(self, root: CID, into: Blockstore) -> int:
        """Fetch what is still missing below `root`, level by level."""
        came, level, seen = 0, [root], {root.multihash}
        while level:
            missing = [cid for cid in level if inline(cid) is None and not into.has(cid)]
            for start in range(0, len(missing), BATCH):
                wanted = missing[start : start + BATCH]
                blocks = [Block(*pair) for pair in zip(wanted, self._many(wanted), strict=True)]
                came += sum(len(block.data) for block in blocks)
                into.put(blocks)
            below = (child for cid in level for child in dag.children(cid, dag.get(into, cid)))
            level = [cid for cid in below if _is_new(cid, seen)]
        return came

    def _many(self, cids: Sequence[CID]) -> Iterator[bytes]:
        with ThreadPoolExecutor(8, thread_name_prefix="gateway-many") as threads:
            yield from threads.map(self.get, cids)

    def _first(self, ask: Callable[[Gateway], T]) -> T:
        """Return the first good answer; ask the next gateway whenever one is slow or bad."""
        waiting: set[Future[T]] = set()
        problems: list[IpfsError] = []
        remaining = list(self._gateways)
        while remaining or waiting:
            if remaining:
                waiting.add(self._threads.submit(ask, remaining.pop(0)))
            done, waiting = wait(waiting, self._hedge_after if remaining else None, FIRST_COMPLETED)
            for future in done:
                problem = future.exception()
                if problem is None:
                    return future.result()
                if not isinstance(problem, IpfsError):
                    raise problem
                problems.append(problem)
        raise _worst(problems)


def _worst(problems: Sequence[IpfsError]) -> IpfsError:
    """Choose what to tell: that nobody has it only if nobody failed otherwise."""
    others = [problem for problem in problems if not isinstance(problem, NotFound)]
    return (others or list(problems))[0]


def _check(status: int, target: str) -> None:
    if status in NOT_HERE:
        raise NotFound(f"{target}: not here ({status})")
    if status != 200:
        raise Unavailable(f"{target}: status {status}")


def _is_new(cid: CID, seen: set[bytes]) -> bool:
    if cid.multihash in seen:
        return False
    seen.add(cid.multihash)
    return True
