"""Routes of one's own on both wires, as the example shows them, behind FastAPI."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi import raw
from tests.koi.interop.child import NODE, SIGNED, Child, eventually
from tests.koi.nodes import served, until
from tests.peers import ROOT

from dpip.koi import RID, Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTE = "orn:test.note:1"


class Served:
    """The example, served: its node, its URL and its RID."""

    def __init__(self, node: Any, port: int) -> None:
        self.node, self.rid = node, str(node.identity.rid)
        self.url = f"http://127.0.0.1:{port}/koi-net"

    def holds(self, rid: str) -> bool:
        return bool(self.node.cache.exists(RID.from_string(rid)))


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    template = importlib.import_module("examples.signed_node_template")
    with served(template.app) as port:
        found = Served(template.node, port)
        found.node.identity.profile.base_url = found.url
        until(lambda: found.holds(found.rid))
        found.node.processor.handle(bundle=found.node.identity.bundle)
        found.node.processor.flush_kobj_queue()
        yield found
    template.node.store.close()
    del sys.modules["examples.signed_node_template"]


@pytest.mark.parametrize("kind", [raw.Peer, raw.PlainPeer])
def test_both_wires_are_answered_in_kind(example: Served, kind: type[raw.Peer]) -> None:
    peer = kind()
    said = peer.broadcast(example.url, example.rid, peer.introduction())
    assert (said.status, said.body) == (200, b"null")
    until(lambda: example.holds(peer.rid))
    example.node.processor.handle(bundle=Bundle.generate(RID.from_string(NOTE), {"v": 1}))
    example.node.processor.flush_kobj_queue()
    assert NOTE in peer.rids(example.url, example.rid)
    assert peer.held(example.url, example.rid, NOTE) == {"v": 1}
    answer = peer.send(example.url, example.rid, raw.MANIFESTS, {"rids": [NOTE]})
    assert [m["rid"] for m in peer.open(answer, example.rid)["manifests"]] == [NOTE]
    heard = {event["rid"] for event in peer.poll(example.url, example.rid)}
    assert example.rid in heard, "the node introduces itself"
    assert "payload" in answer.json if kind is raw.Peer else "payload" not in answer.json


def test_what_is_wrong_is_refused_as_the_server_refuses_it(example: Served) -> None:
    stranger = raw.Peer()
    answer = stranger.send(example.url, example.rid, raw.RIDS, {"type": "fetch_rids"})
    assert (answer.status, answer.json["error"]) == (400, "unknown_node")
    broken = raw.post(example.url, raw.RIDS, b"{")
    assert (broken.status, "detail" in broken.json) == (422, True)
    known = raw.Peer()
    known.broadcast(example.url, example.rid, known.introduction())
    until(lambda: example.holds(known.rid))
    elsewhere = known.send(example.url, f"{NODE}:other+1", raw.RIDS, {"type": "fetch_rids"})
    assert (elsewhere.status, elsewhere.json["error"]) == (400, "invalid_target")
    poll = raw.post(example.url, raw.POLL, {"rid": known.rid})
    assert (poll.status, poll.json["error"]) == (400, "invalid_signature")


def test_a_copy_of_a_message_brings_nothing(example: Served) -> None:
    peer = raw.Peer()
    peer.broadcast(example.url, example.rid, peer.introduction())
    until(lambda: example.holds(peer.rid))
    payload = {"type": "events_payload", "events": [raw.event("NEW", NOTE, {"v": 1})]}
    body = raw.compact(peer.envelope(payload, example.rid))
    assert raw.post(example.url, raw.BROADCAST, body).status == 200
    until(lambda: example.holds(NOTE))
    seen = example.node.cache.record(RID.from_string(NOTE))
    assert seen.source == peer.rid, "the sender is known, so nobody else may change it"
    example.node.cache.delete(RID.from_string(NOTE))
    assert raw.post(example.url, raw.BROADCAST, body).status == 200
    example.node.processor.flush_kobj_queue()
    assert not example.holds(NOTE)


def test_it_says_who_it_is(example: Served) -> None:
    import urllib.request

    with urllib.request.urlopen(f"{example.url}/node", timeout=10) as answer:
        assert json.loads(answer.read())["manifest"]["rid"] == example.rid


@pytest.mark.slow
@pytest.mark.parametrize("release", SIGNED)
def test_a_real_signed_node_joins_it(example: Served, tmp_path: Path, release: str) -> None:
    contact = f"{example.rid}@{example.url}"
    with Child(release, "full", tmp_path / "peer", first_contact=contact) as child:
        eventually(lambda: example.holds(child.rid), "we know it")
        eventually(lambda: example.rid in child.rids(), "it knows us")
        example.node.processor.handle(bundle=Bundle.generate(RID.from_string(NOTE), {"v": 1}))
        answer = child.do("ask", call="fetch_rids", node=example.rid, request={})
        assert NOTE in answer.get("payload", answer)["rids"]
        child.do("push", event_type="NEW", rid=f"{NOTE}-theirs", contents={"v": 2}, to=example.rid)
        eventually(lambda: example.holds(f"{NOTE}-theirs"), "its events arrive")
