"""A first contact that is down, deaf or rude: the node runs, and tries again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.interop.child import OURS, Child, eventually, free_port
from tests.koi.interop.subjects import Subject
from tests.koi.listener import FullPeer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def joining(home: Path, contact: str) -> Child:
    return Child(OURS, "full", home / "joiner", first_contact=contact)


def test_one_that_is_down_is_found_when_it_comes_up(tmp_path: Path) -> None:
    port = free_port()
    with joining(tmp_path, f"http://127.0.0.1:{port}/koi-net") as node:
        assert Subject(node, "signed").meet()
        with Child(OURS, "coordinator", tmp_path / "late", port=port) as coordinator:
            eventually(lambda: node.rid in coordinator.rids(), "they meet", 60)


@pytest.mark.parametrize("mood", ["refuses", "garbage", "silent", "hangs-up"])
def test_one_that_behaves_badly_stops_nobody(tmp_path: Path, mood: str) -> None:
    refusal = raw.compact({"type": "error_response", "error": "invalid_signature"})
    with FullPeer(name="rude") as rude:
        moods = {
            "refuses": lambda _: (400, refusal),
            "garbage": lambda _: (200, b"\x00{{"),
            "silent": rude.silence,
            "hangs-up": lambda _: None,
        }
        rude.misbehave = moods[mood]
        with joining(tmp_path, f"{rude.rid}@{rude.base_url}") as node:
            eventually(lambda: bool(rude.listener.received), "it is contacted")
            subject = Subject(node, "signed")
            peer = subject.meet()
            subject.tell(peer, raw.event("NEW", "orn:test.note:1", {"v": 1}))
            subject.settles(peer, "orn:test.note:1", {"v": 1})
            if mood in {"silent", "garbage"}:
                return  # nothing tells a garbled 200 from a plain one: it counts as heard
            before = len(rude.listener.received)
            eventually(lambda: len(rude.listener.received) > before, "it tries again", 40)
            rude.misbehave = lambda _: "behave"
            eventually(
                lambda: any(e["rid"] == node.rid and e["event_type"] == "NEW" for e in rude.heard),
                "it introduces itself",
                60,
            )


def test_a_node_that_knows_its_coordinator_does_not_wait_for_it(tmp_path: Path) -> None:
    coordinator = Child(OURS, "coordinator", tmp_path / "first")
    with coordinator, joining(tmp_path, coordinator.contact) as node:
        eventually(lambda: coordinator.rid in node.rids(), "they meet")
    started = time.monotonic()
    with node:
        assert Subject(node, "signed").meet()
    assert time.monotonic() - started < 30
