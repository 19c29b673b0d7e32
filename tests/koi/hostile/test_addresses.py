"""A node that can be reached from outside is lured to its own network, and does not go there.

Names are resolved by a table of the test, so that a name of the outside can lead inside. Each
lure is also laid before a node that is configured to call there: that one goes, so what the
first did not do is shown by a listener that would have heard it.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.listener import FullPeer
from tests.koi.nodes import make, until

from dpip.koi import RID, Event, KnowledgeSource, KoiNetNode, NodeInterface, RIDType
from dpip.koi.errors import UnreachablePeer
from dpip.koi.model import decode
from dpip.koi.network.address import AddressPolicy
from dpip.koi.network.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS = "https://node.example/koi-net"
NOTE = "orn:test.note"
LURES = [
    "127.0.0.1",
    "lure.example",
    "both.example",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "[::ffff:127.0.0.1]",
]
NAMES = {"lure.example": ["127.0.0.1"], "both.example": ["8.8.8.8", "127.0.0.1"]}


async def look_up(host: str, port: int) -> list[str]:
    """Resolve a few names by a table, and what is an old spelling of an address as it is."""
    try:
        return NAMES.get(host) or [socket.inet_ntoa(socket.inet_aton(host))]
    except OSError:
        return ["127.0.0.1"] if host == "localhost" else []


@contextmanager
def reachable(home: Path, *, allowed: tuple[str, ...] = ()) -> Iterator[NodeInterface]:
    """Return a started node whose base URL is outside."""
    policy = AddressPolicy.for_node(OURS, allowed=allowed)
    kinds = [KoiNetNode, RIDType.from_string(NOTE)]
    node = make(
        home,
        base_url=OURS,
        event=kinds,
        state=kinds,
        rid_types_of_interest=None,
        transport=HttpTransport(policy, look_up),
        use_kobj_processor_thread=True,
    )
    node.start()
    try:
        yield node
    finally:
        node.stop(timeout=0.5)
        node.store.close()


def hear(node: NodeInterface, sender: FullPeer, *events: raw.Json) -> None:
    """Give events to the pipeline as the server does, once their signature is checked."""
    who = RID.from_string(sender.rid)
    assert isinstance(who, KoiNetNode)
    for event in events:
        found = decode(raw.compact(event), Event)
        node.processor.handle(event=found, source=KnowledgeSource.External, sender=who)
    node.processor.flush_kobj_queue(10)


def lay(node: NodeInterface, lure: FullPeer) -> None:
    """Everything by which a peer can have a node call: profile, edge, RID-only news, events."""
    hear(node, lure, *lure.introduction())
    edge = {
        "source": str(node.identity.rid),
        "target": lure.rid,
        "edge_type": "WEBHOOK",
        "status": "PROPOSED",
        "rid_types": [NOTE],
    }
    rid = raw.edge_rid(str(node.identity.rid), lure.rid)
    hear(node, lure, raw.event("NEW", rid, edge))
    hear(node, lure, {"rid": f"{NOTE}:fetch-me", "event_type": "NEW"})
    note = decode(raw.compact(raw.event("NEW", f"{NOTE}:1", {"v": 1})), Event)
    node.processor.handle(event=note)
    node.processor.flush_kobj_queue(10)
    target = RID.from_string(lure.rid)
    assert isinstance(target, KoiNetNode)
    node.network.push_event_to(note, target, flush=True)


def called(lure: FullPeer) -> set[str]:
    return {path.removeprefix("/koi-net") for path, _ in lure.listener.received}


@pytest.mark.parametrize("host", LURES)
def test_nothing_that_a_peer_says_leads_inside(tmp_path: Path, host: str) -> None:
    with (
        FullPeer(name="lure", event=(NOTE,), state=(NOTE,)) as lure,
        reachable(tmp_path / "node") as node,
    ):
        lure.base_url = f"http://{host}:{lure.listener.port}/koi-net"
        lay(node, lure)
        target = RID.from_string(lure.rid)
        handler = node.network.request_handler
        with pytest.raises(UnreachablePeer):
            handler.fetch_rids(node=target)
        with pytest.raises(UnreachablePeer):
            handler.broadcast_events(node=target, events=[])
        with pytest.raises(UnreachablePeer):
            handler.fetch_bundles(url=lure.base_url, rids=[])
        assert node.network.poll_neighbors() == []
        assert node.network.fetch_remote_bundle(RID.from_string(f"{NOTE}:2")) is None
        assert called(lure) == set()
        assert node.cache.exists(target), "the peer is known all the same"


@pytest.mark.parametrize("host", ["127.0.0.1", "lure.example", "0x7f000001"])
def test_the_same_lures_are_followed_where_that_is_configured(tmp_path: Path, host: str) -> None:
    with (
        FullPeer(name="lure", event=(NOTE,), state=(NOTE,)) as lure,
        reachable(tmp_path / "node", allowed=("127.0.0.0/8",)) as node,
    ):
        lure.base_url = f"http://{host}:{lure.listener.port}/koi-net"
        lay(node, lure)
        everything = {raw.BROADCAST, raw.MANIFESTS, raw.BUNDLES}
        until(lambda: called(lure) >= everything)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with (
        FullPeer(name="inner") as inner,
        FullPeer(name="outer") as outer,
        reachable(tmp_path / "node") as node,
    ):
        assert isinstance(node.network.transport, HttpTransport)
        node.network.transport.policy = AddressPolicy.for_node(OURS).naming(str(outer.base_url))
        for status in (301, 302, 307, 308):
            target = f"{inner.base_url}/rids/fetch".encode()
            outer.misbehave = lambda _, status=status, target=target: (status, target)  # type: ignore[misc]
            hear(node, outer, *outer.introduction())
            with pytest.raises(Exception, match=str(status)):
                node.network.request_handler.fetch_rids(node=RID.from_string(outer.rid))
        assert called(outer)
        assert called(inner) == set()


def test_the_first_contact_is_called_wherever_it_is(tmp_path: Path) -> None:
    """The operator named it; a name that says the same host at another port is not it."""
    with FullPeer(name="named") as named, FullPeer(name="beside") as beside:
        node = make(tmp_path / "node", base_url=OURS, first_contact=named.base_url)
        node.start()
        until(lambda: called(named))
        hear(node, beside, *beside.introduction())
        with pytest.raises(UnreachablePeer):
            node.network.request_handler.fetch_rids(node=RID.from_string(beside.rid))
        assert called(beside) == set()
        node.close()
