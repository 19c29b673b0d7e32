"""How fast a published name is known elsewhere, by DHT and by PubSub. `make bench-pubsub`.

Two Kubo daemons in a private swarm of their own, connected by hand, over a line with a round
trip that is given. A DHT of two is the fastest there can be: the public one takes many hops.
Rounds by the DHT alone and by PubSub alternate, each round a record with the next sequence.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import Row, print_rows
from benchmarks.resolve import deliver, take
from tests.ipfs.swarms import pair

from dpip.ipfs import ipns
from dpip.ipfs.errors import IpfsError
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.kubo.rpc import Kubo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 60.0


@contextlib.contextmanager
def line(seconds: float) -> Iterator[Callable[[str], str]]:
    """Give what turns a daemon's address into one that is half a round trip away, both ways."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept(port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection(("127.0.0.1", port))
                opened = time.monotonic()
                for source, target in ((client, server), (server, client)):
                    pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    words = (source, pieces, opened, seconds / 2)
                    threading.Thread(target=take, args=words, daemon=True).start()
                    threading.Thread(target=deliver, args=(target, pieces), daemon=True).start()

    def through(address: str) -> str:
        port = int(address.split("/")[4])
        threading.Thread(target=accept, args=(port,), daemon=True).start()
        return address.replace(f"/tcp/{port}/", f"/tcp/{listening.getsockname()[1]}/")

    try:
        yield through
    finally:
        listening.close()


class Way:
    """One way for a name to travel between two daemons."""

    def __init__(self, first: Kubo, second: Kubo) -> None:
        self._daemons = first, second
        self._key = PrivateKey.generate()
        self._sequence = 0
        self.put: list[float] = []
        self.known: list[float] = []

    def publish(self) -> None:
        """Publish the next record on one daemon, and resolve on the other until it is there."""
        first, second = self._daemons
        self._sequence += 1
        name, value = self._key.name.encode("k"), f"/ipfs/bafkqaaa/{self._sequence}"
        expires = time.time_ns() + ipns.DEFAULT_LIFETIME
        record = ipns.create(self._key, value, sequence=self._sequence, expires=expires)
        begin = time.perf_counter()
        putting = threading.Thread(target=lambda: self._put(first, name, record.raw, begin))
        putting.start()
        while self._resolved(second, name) != value:
            if time.perf_counter() - begin > LIMIT:
                raise SystemExit(f"{name} is not known after {LIMIT:.0f} s")
            time.sleep(0.002)
        self.known.append(time.perf_counter() - begin)
        putting.join()

    def _put(self, first: Kubo, name: str, raw: bytes, begin: float) -> None:
        first.name_put(name, raw)
        self.put.append(time.perf_counter() - begin)

    def _resolved(self, second: Kubo, name: str) -> str:
        try:
            return second.name_resolve(name, cached=False)
        except IpfsError:
            return ""


def measured(seconds: float, rounds: int) -> list[Row]:
    """Measure both ways over a line of that round trip."""
    with contextlib.ExitStack() as stack:
        ways = []
        for routing, pubsub in (("dhtserver", False), ("none", True)):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dpip-bench-")))
            through = stack.enter_context(line(seconds))
            daemons = stack.enter_context(
                pair(folder, pubsub=pubsub, routing=routing, through=through)
            )
            ways.append(Way(*(stack.enter_context(Kubo(one.api)) for one in daemons)))
        # The first round of each also finds the peer, and with PubSub subscribes.
        for _ in range(rounds + 1):
            for way in ways:
                way.publish()
                time.sleep(0.2)
        dht, pubsub_ = ways
        trip = f"{seconds * 1000:.0f} ms round trip"
        return [
            Row(f"{what}, {trip}", median(ours), median(theirs), "ms", "DHT of two")
            for what, ours, theirs in (
                ("new record known to the other daemon", pubsub_.known, dht.known),
                ("publishing call", pubsub_.put, dht.put),
            )
        ]


def median(seconds: list[float]) -> float:
    """Return milliseconds, without the first round."""
    return 1000 * statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rtts", default="0,100", help="milliseconds")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    rows = []
    for rtt in args.rtts.split(","):
        rows += measured(float(rtt) / 1000, args.rounds)
    print_rows(rows)


if __name__ == "__main__":
    main()
