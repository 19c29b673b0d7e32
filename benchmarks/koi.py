"""A KOI node of ours beside koi-net 2.1.2: ingest, listings, fan-out, start, memory.

Both are coordinators in processes of their own on loopback, driven by the same client with
the same signed bytes; the peer's logging is off. Run it with `make bench-koi`.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.koi_load import Connection, Crowd, ingest, signed_bodies
from benchmarks.report import Row, print_rows
from tests.koi import raw
from tests.koi.interop.child import OURS, Child, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEER = "2.1.2"
TYPE = "orn:test.file"
SIZES = (1_000, 10_000, 50_000)
FILLER = {"text": "x" * 280}


class Node:
    """A coordinator under load, with one stranger that it knows."""

    def __init__(self, release: str, home: Path) -> None:
        self.child = Child(release, "coordinator", home, wait=1.0)  # the peer's default
        started = time.monotonic()
        self.child.start()
        assert self.child.url is not None
        self.url, self.rid = self.child.url, self.child.rid
        self.client = raw.Peer(name="client")
        self.client.broadcast(self.url, self.rid, self.client.introduction())
        self.started = time.monotonic() - started
        eventually(lambda: self.answers(self.client), "the client is known")
        self.connection = Connection(self.url)

    def answers(self, peer: raw.Peer) -> bool:
        payload = {"type": "fetch_rids", "rid_types": ["orn:test.none"]}
        return peer.send(self.url, self.rid, raw.RIDS, payload).status == 200

    def prepared(self, path: str, payload: raw.Json) -> bytes:
        envelope = self.client.envelope(payload, self.rid)
        return self.connection.request(path, raw.compact(envelope))

    def holds(self, rid: str) -> bool:
        payload = {"type": "fetch_bundles", "rids": [rid]}
        answer = self.connection.send(self.prepared(raw.BUNDLES, payload))
        return bool(json.loads(answer)["payload"]["bundles"])

    def memory(self) -> float:
        """Return the resident memory in MB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def processor_time(self) -> float:
        """Return the seconds that the process has spent on a processor, all threads together."""
        threads = Path(f"/proc/{self.child.pid}/task").iterdir()
        return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9

    def stop(self) -> None:
        self.connection.close()
        self.child.stop()


@dataclass(frozen=True, slots=True)
class Ingested:
    """One load: events a second until all were answered, and until all were readable.

    `cost` is the node's processor time for one event in microseconds, `client` the generator's.
    """

    answered: float
    readable: float
    cost: float
    client: float


def ingested(node: Node, events: int, size: int, connections: int = 1) -> Ingested:
    """Send signed bodies made beforehand; the clock starts with the first byte of the first."""
    kind = f"orn:test.in{time.monotonic_ns()}"
    rids = [f"{kind}:{n}" for n in range(events)]
    batches = [
        [raw.event("NEW", rid, FILLER | {"rid": rid}) for rid in rids[n : n + size]]
        for n in range(0, events, size)
    ]
    bodies = signed_bodies(node.client, node.rid, batches)
    before = node.processor_time()
    sent = ingest(node.url, raw.BROADCAST, bodies, connections)
    listing = {"type": "fetch_rids", "rid_types": [kind]}
    while not node.holds(rids[-1]):
        time.sleep(0.002)
    spent = node.processor_time() - before
    while True:
        ended = time.monotonic()
        answer = node.connection.send(node.prepared(raw.RIDS, listing))
        if len(json.loads(answer)["payload"]["rids"]) == events:
            break
    return Ingested(
        answered=events / (sent.ended - sent.started),
        readable=events / (max(ended, sent.ended) - sent.started),
        cost=spent / events * 1e6,
        client=sent.processor / events * 1e6,
    )


def latency(node: Node, path: str, payload: raw.Json, times: int) -> float:
    """Return the median milliseconds of a request."""
    taken = []
    for _ in range(times):
        request = node.prepared(path, payload)
        started = time.monotonic()
        node.connection.send(request)
        taken.append((time.monotonic() - started) * 1000)
    return statistics.median(taken)


def fill_files(home: Path, count: int) -> None:
    """Write the cache of koi-net before it starts: one file for each bundle."""
    directory = home / ".rid_cache"
    directory.mkdir(parents=True)
    for n in range(count):
        rid = f"{TYPE}:{n}"
        name = base64.urlsafe_b64encode(rid.encode()).decode().rstrip("=")
        text = json.dumps(raw.bundle(rid, FILLER | {"n": n}), indent=2)
        (directory / f"{name}.json").write_text(text)


def listings(node: Node) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield the requests whose time depends on how much is held, or should not."""
    some = [f"{TYPE}:{n}" for n in range(100)]
    asks: dict[str, tuple[str, raw.Json, int]] = {
        "bundles/fetch, 1 RID": (raw.BUNDLES, {"type": "fetch_bundles", "rids": some[:1]}, 20),
        "bundles/fetch, 100 RIDs": (raw.BUNDLES, {"type": "fetch_bundles", "rids": some}, 10),
        "rids/fetch, a type without members": (
            raw.RIDS,
            {"type": "fetch_rids", "rid_types": ["orn:test.none"]},
            7,
        ),
        "rids/fetch, everything": (raw.RIDS, {"type": "fetch_rids", "rid_types": []}, 5),
        "manifests/fetch, a whole type": (
            raw.MANIFESTS,
            {"type": "fetch_manifests", "rid_types": [TYPE], "rids": []},
            3,
        ),
    }
    for what, (path, payload, times) in asks.items():
        yield what, partial(latency, node, path, payload, times)


def fan_out(node: Node, count: int, kind: str) -> float:
    """Return the seconds until `count` subscribers have heard of a new node."""
    crowd = Crowd(count)
    if kind == "POLL":
        crowd.peers = [raw.Peer(name=f"p{n}") for n in range(count)]
    try:
        subscribe(node, crowd.peers, kind)
        taken = [one_fan_out(node, crowd, kind) for _ in range(3)]
    finally:
        unsubscribe(node, crowd.peers)
        crowd.close()
    return statistics.median(taken)


def subscribe(node: Node, peers: list[raw.Peer], kind: str) -> None:
    """Introduce everybody first, so that nobody is told of the others; then ask for nodes."""
    for peer in peers:
        peer.broadcast(node.url, node.rid, peer.introduction())
    for peer in peers:
        eventually(lambda p=peer: node.answers(p), "the subscriber is known", 60)  # type: ignore[misc]
        rid = raw.edge_rid(node.rid, peer.rid)
        contents = {
            "source": node.rid,
            "target": peer.rid,
            "edge_type": kind,
            "status": "PROPOSED",
            "rid_types": [raw.NODE],
        }
        peer.broadcast(node.url, node.rid, [raw.event("NEW", rid, contents)])
    last = raw.edge_rid(node.rid, peers[-1].rid)
    approved = lambda: (peers[-1].held(node.url, node.rid, last) or {}).get("status") == "APPROVED"  # noqa: E731
    eventually(approved, "the last subscription is approved", 120)
    settle(node)


def settle(node: Node) -> None:
    """Wait until the node has nothing more to send about what happened before."""
    time.sleep(6 if node.child.release == PEER else 2)


def one_fan_out(node: Node, crowd: Crowd, kind: str) -> float:
    newcomer = raw.Peer(name="newcomer")
    if kind == "POLL":
        for peer in crowd.peers:
            peer.poll(node.url, node.rid)
    crowd.heard.clear()
    crowd.wanted = newcomer.rid.encode()
    started = time.monotonic()
    newcomer.broadcast(node.url, node.rid, newcomer.introduction())
    if kind == "POLL":
        taken = poll_all(node, crowd.peers, newcomer.rid, started)
    else:
        taken = crowd.wait(crowd.wanted, started)
    settle(node)
    return taken


def poll_all(node: Node, peers: list[raw.Peer], rid: str, started: float) -> float:
    """Poll round robin, over one connection, until everybody has heard."""
    waiting = list(peers)
    while waiting:
        for peer in list(waiting):
            envelope = peer.envelope({"type": "poll_events", "limit": 0}, node.rid)
            request = node.connection.request(raw.POLL, raw.compact(envelope))
            if rid.encode() in node.connection.send(request):
                waiting.remove(peer)
        assert time.monotonic() - started < 60
    return time.monotonic() - started


def unsubscribe(node: Node, peers: list[raw.Peer]) -> None:
    for peer in peers:
        rid = raw.edge_rid(node.rid, peer.rid)
        peer.broadcast(node.url, node.rid, [raw.event("FORGET", rid)])


def fresh(release: str, prefill: int = 0) -> Node:
    """Start a node of a release in a directory of its own, with a cache of a size."""
    home = Path(tempfile.mkdtemp(prefix="bench-koi-"))
    if prefill:
        fill_files(home, prefill) if release == PEER else fill_ours(home, prefill)
    return Node(release, home)


def fill_ours(home: Path, count: int) -> None:
    """Write our cache before the node starts."""
    from dpip.koi import Bundle, Cache
    from dpip.koi.rid import RID

    cache = Cache(home / "rid_cache")
    for n in range(count):
        bundle = Bundle.generate(RID.from_string(f"{TYPE}:{n}"), FILLER | {"n": n})
        cache.put(bundle, source=None, verified=True, later=n % 10_000 != 0)
    cache.store.close()


def bench_start(rounds: int) -> list[Row]:
    """Process start to first answer, and resident memory when idle."""
    taken: dict[str, list[tuple[float, float]]] = {OURS: [], PEER: []}
    for _ in range(rounds):
        for release, seen in taken.items():
            node = fresh(release)
            seen.append((node.started, node.memory()))
            node.stop()
    ours, peer = ([statistics.median(column) for column in zip(*taken[r], strict=True)]
                  for r in (OURS, PEER))  # fmt: skip
    return [
        row("start to first answer", ours[0], peer[0], "s"),
        row("memory when idle", ours[1], peer[1], "MB"),
    ]


CASES = {
    "1 event per body": (500, 1, 1),
    "1 event per body, 8 connections": (500, 1, 8),
    "50 events per body": (2_000, 50, 1),
}


def bench_ingest(rounds: int) -> list[Row]:
    """Events per second: accepted, processed and readable, in turns with the peer."""
    rows = []
    for what, (events, size, connections) in CASES.items():
        seen: dict[str, list[Ingested]] = {OURS: [], PEER: []}
        for _ in range(rounds):
            for release, found in seen.items():
                node = fresh(release)
                scale = 4 if release == OURS else 1
                found.append(ingested(node, events * scale, size, connections))
                node.stop()
        rows += ingest_rows(what, seen[OURS], seen[PEER], "" if connections > 1 else "≥ 10")
    return rows


def ingest_rows(what: str, ours: list[Ingested], peer: list[Ingested], budget: str) -> list[Row]:
    """Return the medians: the rate that counts, and what stands behind it."""
    named = {
        f"ingest, {what}": ("readable", "events/s", budget),
        f"answered, {what}": ("answered", "events/s", ""),
        f"the node's processor time, {what}": ("cost", "µs/event", ""),
        f"the client's processor time, {what}": ("client", "µs/event", ""),
    }
    rows = []
    for name, (key, unit, bound) in named.items():
        mine, theirs = (statistics.median(getattr(one, key) for one in s) for s in (ours, peer))
        rows.append(row(name, mine, theirs, unit, bound))
    return rows


BUDGETS = {
    "rids/fetch, a type without members, 50,000 held": "≤ 0.05",
    "manifests/fetch, a whole type, 50,000 held": "≤ 0.05",
}


def bench_listings(sizes: tuple[int, ...]) -> list[Row]:
    """Milliseconds of one request, by how many RIDs are held."""
    rows = []
    for size in sizes:
        ours, peer = fresh(OURS, size), fresh(PEER, size)
        theirs = dict(listings(peer))
        for what, measure in listings(ours):
            name = f"{what}, {size:,} held"
            rows.append(row(name, measure(), theirs[what](), "ms", BUDGETS.get(name, "")))
        rows.append(row(f"memory, {size:,} held and listed", ours.memory(), peer.memory(), "MB"))
        ours.stop()
        peer.stop()
    return rows


def bench_million(count: int) -> None:
    """Print our listings at a size that the peer cannot hold."""
    node = fresh(OURS, count)
    print(f"\nOurs alone, {count:,} held (start {node.started:.2f} s):\n")
    print("| request | ms |\n|---|---|")
    for what, measure in listings(node):
        print(f"| {what} | {measure():,.1f} |")
    print(f"\nmemory {node.memory():.0f} MB")
    node.stop()


def bench_fan_out(counts: tuple[int, ...]) -> list[Row]:
    """Milliseconds until every subscriber has heard of one new node."""
    rows = []
    for kind in ("POLL", "WEBHOOK"):
        for count in counts:
            taken = {}
            for release in (OURS, PEER):
                node = fresh(release)
                taken[release] = fan_out(node, count, kind) * 1000
                node.stop()
            budget = "≤ 0.1" if (kind, count) == ("WEBHOOK", 50) else ""
            what = f"fan-out to {count} {kind} subscribers"
            rows.append(row(what, taken[OURS], taken[PEER], "ms", budget))
    return rows


def row(what: str, ours: float, peer: float, unit: str, budget: str = "") -> Row:
    return Row(what, ours, peer, unit, f"koi-net {PEER}", budget)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=[], help="start ingest listings fan-out million"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--million", type=int, default=1_000_000)
    given = parser.parse_args()
    parts = given.parts or ["start", "ingest", "listings", "fan-out", "million"]
    rows: list[Row] = []
    if "start" in parts:
        rows += bench_start(given.rounds)
    if "ingest" in parts:
        rows += bench_ingest(given.rounds)
    if "listings" in parts:
        rows += bench_listings(tuple(given.sizes))
    if "fan-out" in parts:
        rows += bench_fan_out((10, 50))
    print_rows(rows)
    if "million" in parts:
        bench_million(given.million)


if __name__ == "__main__":
    main()
