"""A KOI node of ours beside koi-net 2.1.2: ingest, listings, fan-out, start, memory.

Both are coordinators in processes of their own on loopback, driven by the same client with
the same signed bytes; the peer's logging is off. Run it with `make bench-koi`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.koi_load import Crowd, ingest, signed_bodies
from benchmarks.koi_node import FILLER, PEER, TYPE, Node, fresh
from benchmarks.report import Row, print_rows
from tests.koi import raw
from tests.koi.interop.child import OURS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (1_000, 10_000, 50_000)
EVENTS = {"type": "events_payload"}
ASK = {"type": "poll_events", "limit": 0}
ROUNDS = 40  # of polls, signed beforehand
QUIET = 1.5  # seconds after a start: what a node does once is no part of a rate
IDLE = 5.0


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
    introduction = node.signed(
        newcomer, raw.BROADCAST, EVENTS | {"events": newcomer.introduction()}
    )
    rounds = []
    if kind == "POLL":
        for peer in crowd.peers:
            peer.poll(node.url, node.rid)
        rounds = [[node.signed(one, raw.POLL, ASK) for one in crowd.peers] for _ in range(ROUNDS)]
    crowd.heard.clear()
    crowd.wanted = newcomer.rid.encode()
    started = time.monotonic()
    node.connection.send(introduction)
    if kind == "POLL":
        taken = poll_all(node, rounds, newcomer.rid.encode(), started)
    else:
        taken = crowd.wait(crowd.wanted, started)
    settle(node)
    return taken


def poll_all(node: Node, rounds: list[list[bytes]], rid: bytes, started: float) -> float:
    """Poll round robin, over one connection, until everybody has heard; all was signed before."""
    waiting = set(range(len(rounds[0])))
    for requests in rounds:
        for number in sorted(waiting):
            if rid in node.connection.send(requests[number]):
                waiting.discard(number)
        if not waiting:
            return time.monotonic() - started
    raise AssertionError(f"{len(waiting)} did not hear in {len(rounds)} rounds")


def unsubscribe(node: Node, peers: list[raw.Peer]) -> None:
    for peer in peers:
        rid = raw.edge_rid(node.rid, peer.rid)
        peer.broadcast(node.url, node.rid, [raw.event("FORGET", rid)])


def bench_start(rounds: int) -> list[Row]:
    """Process start to first answer, and what an idle node takes."""
    taken: dict[str, list[tuple[float, ...]]] = {OURS: [], PEER: []}
    for _ in range(rounds):
        for release, seen in taken.items():
            node = fresh(release)
            first = node.memory()
            time.sleep(QUIET)
            before = node.processor_time()
            time.sleep(IDLE)
            spent = (node.processor_time() - before) / IDLE * 1000
            seen.append((node.started, first, node.memory(), spent))
            node.stop()
    ours, peer = ([statistics.median(column) for column in zip(*taken[r], strict=True)]
                  for r in (OURS, PEER))  # fmt: skip
    names = {
        "start to first answer": "s",
        "memory after the first answer": "MB",
        "memory when idle": "MB",
        "processor time when idle": "ms/s",
    }
    return [
        row(what, mine, theirs, unit)
        for (what, unit), mine, theirs in zip(names.items(), ours, peer, strict=True)
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
                time.sleep(QUIET)
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
