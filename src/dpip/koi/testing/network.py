"""A network without sockets, which loses, repeats, delays and falls apart on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

from ..errors import UnreachablePeer
from ..network.caller import NODE_PATH
from ..network.transport import Answer
from ..protocol.consts import BROADCAST_EVENTS_PATH, PREFIX
from ..responder import Broadcast, Reply, Responder


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities, 0 to 1, that a request is lost, its answer is lost, it comes twice, or
    it comes late (its sender gives up on it before).
    """

    lost: float = 0.0
    unanswered: float = 0.0
    repeated: float = 0.0
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """The Transport of one node in a FakeNetwork, at `host`."""

    network: FakeNetwork
    host: str

    async def send(
        self, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        """Deliver a request, or not."""
        return await self.network.send(url, body, headers, seconds, caller=self.host)

    async def prepare(self) -> None:
        """There is nothing to load."""

    async def close(self) -> None:
        """Nothing is open."""


class FakeNetwork:
    """A Transport for any number of nodes, each at a URL of its own.

    Nodes that use a `Line` of it can be cut off from each other: see `part`.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.faults = Faults()
        self._random = Random(seed)
        self._responders: dict[str, Responder] = {}
        self._late: list[_Request] = []
        self._sides: dict[str, int] = {}
        self.requests = 0
        self.moved = 0
        """Bytes of questions and answers, of bodies alone."""
        self.paths: Counter[str] = Counter()
        """How often each endpoint was asked."""

    def join(self, host: str, responder: Responder) -> None:
        """Answer requests to a host."""
        self._responders[host] = responder

    def leave(self, host: str) -> None:
        """Answer no more requests to a host."""
        self._responders.pop(host, None)

    def line(self, host: str) -> Line:
        """Return the Transport of the node at a host."""
        return Line(self, host)

    def part(self, *sides: Iterable[str]) -> None:
        """Cut the hosts of each side off from all others; whoever is not named is one more side."""
        self._sides = {host: number for number, side in enumerate(sides, 1) for host in side}

    def heal(self) -> None:
        """Let everybody reach everybody again."""
        self._sides = {}

    async def send(
        self,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        seconds: float,
        *,
        caller: str = "",
    ) -> Answer:
        """Deliver a request, or not, as the faults have it."""
        self.requests += 1
        request = _Request(url, body, headers, caller)
        if self._happens(self.faults.lost):
            raise UnreachablePeer(f"{url}: lost (on purpose)")
        if self._happens(self.faults.late):
            self._late.append(request)
            raise UnreachablePeer(f"{url}: no answer in {seconds} s (on purpose)")
        if self._happens(self.faults.repeated):
            self._deliver(request)
        answer = self._deliver(request)
        if self._happens(self.faults.unanswered):
            raise UnreachablePeer(f"{url}: the answer was lost (on purpose)")
        return answer

    async def prepare(self) -> None:
        """There is nothing to load."""

    async def close(self) -> None:
        """Nothing is open."""

    def deliver_late(self) -> None:
        """Deliver, in any order, the requests that were held back."""
        late, self._late = self._late, []
        self._random.shuffle(late)
        for request in late:
            try:
                self._deliver(request)
            except UnreachablePeer:
                continue

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

    def _deliver(self, request: _Request) -> Answer:
        parts = urlsplit(request.url)
        responder = self._responders.get(parts.netloc)
        if responder is None:
            raise UnreachablePeer(f"{request.url}: nobody listens")
        if self._sides.get(request.caller, 0) != self._sides.get(parts.netloc, 0):
            raise UnreachablePeer(f"{request.url}: cut off (on purpose)")
        path = parts.path.removeprefix(PREFIX)
        reply = _reply(responder, path, request)
        body = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        self.paths[path] += 1
        self.moved += len(request.body or b"") + len(body)
        return Answer(reply.status, body, reply.headers)


def _reply(responder: Responder, path: str, request: _Request) -> Reply:
    if request.body is None:
        return responder.node() if path == NODE_PATH else Reply(404, b"")
    if path == BROADCAST_EVENTS_PATH:
        sequence = request.headers.get("koi-sequence", "")
        return responder.broadcast([Broadcast(request.body, sequence)])[0]
    return responder.answer(path, request.body, request.headers)
