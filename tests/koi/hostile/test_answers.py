"""A partial node whose coordinator answers nonsense: it polls on, and its program never notices."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.listener import FullPeer
from tests.koi.nodes import partial_node

from dpip.koi import RID, Event, KoiNetNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dpip.koi import NodeInterface

EVENTS = b'{"type":"events_payload","events":[]}'
DEEP = b"[" * 200_000


class Liar(FullPeer):
    """A coordinator whose envelopes may hold what is no JSON."""

    def signed(self, payload: bytes, target: str) -> bytes:
        """Return an envelope around bytes that need not be JSON, with a signature over others."""
        right = raw.compact(self.envelope({"type": "events_payload", "events": []}, target))
        return right.replace(EVENTS, payload)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[NodeInterface, Liar]]:
    liar = Liar(name="liar", event=(raw.NODE,))
    with liar:
        contact = f"{liar.rid}@{liar.base_url}"
        with partial_node(tmp_path / "leaf", first_contact=contact, allow_unsigned=False) as node:
            sender = KoiNetNode(liar.rid.split(":", 2)[2])
            for event in liar.introduction():
                node.processor.handle(event=Event.model_validate(event), sender=sender)
            node.processor.flush_kobj_queue()
            yield node, liar


ANSWERS: dict[str, tuple[int, bytes]] = {
    "bytes that are no text, where nobody looks": (200, EVENTS[:-1] + b',"x":"\xff\xf3"}'),
    "a name that is no text": (200, EVENTS[:-1] + b',"\xc0":1}'),
    "depth, where nobody looks": (200, EVENTS[:-1] + b',"x":' + DEEP + b"}"),
    "closed depth": (200, EVENTS[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "half a surrogate": (200, EVENTS[:-1] + b',"x":"\\ud800"}'),
    "a number beyond all bounds": (200, EVENTS[:-1] + b',"x":' + b"9" * 10_000 + b"}"),
    "not a number": (200, EVENTS[:-1] + b',"x":NaN}'),
    "nothing": (200, b""),
    "an error of endless depth": (400, b'{"error":' + DEEP),
    "an error that is no text": (400, b'{"error":"\xff"}'),
    "an error of another kind": (400, b'{"type":"error_response","error":["unknown_node"]}'),
    "a redirect": (302, b"http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_no_answer_reaches_the_program(
    pair: tuple[NodeInterface, Liar], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    node, liar = pair
    caplog.set_level(logging.ERROR)
    status, payload = ANSWERS[what]
    body = liar.signed(payload, str(node.identity.rid)) if status == 200 and payload else payload
    liar.misbehave = lambda _: (status, body)
    assert node.network.poll_neighbors() == []
    rid = RID.from_string("orn:test.note:1")
    assert node.network.fetch_remote_bundle(rid) is None
    assert node.network.fetch_remote_manifest(rid) is None
    liar.misbehave = lambda _: "behave"
    assert node.network.poll_neighbors() == []
    assert not caplog.records


@pytest.mark.parametrize(
    "value", ["a:1-\u00b2", "a:\u00b3-1", "a:1-", "a", ":1-1", "a:9-1", "x" * 9000]
)
def test_no_header_reaches_the_program(pair: tuple[NodeInterface, Liar], value: str) -> None:
    node, liar = pair
    liar.listener.headers = {"koi-sequence": value}
    assert node.network.poll_neighbors() == []
    assert node.network.poll_neighbors() == []
