"""kill -9 at any instant: nothing accepted is lost, nothing visible is handled again."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.koi import raw
from tests.koi.interop.child import OURS, Child, eventually
from tests.koi.interop.subjects import Subject
from tests.koi.listener import FullPeer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
NOTE = "orn:test.note"


class Killable:
    """A coordinator of ours that is killed and started again, always on one address."""

    def __init__(self, home: Path) -> None:
        self.handled = home / "handled.log"
        self.child = Child(OURS, "coordinator", home, handled=str(self.handled))
        self.subject = Subject(self.child.start(), "signed")
        self.peer = self.subject.meet()

    def restart(self) -> None:
        """Kill the process and start another in its place."""
        self.child.kill()
        self.child.stop()
        self.child.start()

    def handled_count(self) -> Counter[str]:
        """Return how often each RID went through the last handler as NEW."""
        lines = self.handled.read_text().splitlines() if self.handled.exists() else []
        return Counter(line.rpartition(" ")[0] for line in lines if line.endswith(" NEW"))


@pytest.fixture
def killable(tmp_path: Path) -> Killable:
    return Killable(tmp_path / "home")


@pytest.mark.parametrize("size", [1, 50])
@pytest.mark.parametrize("after", [0.05, 0.3, 0.9])
def test_no_accepted_event_is_lost(killable: Killable, size: int, after: float) -> None:
    """A body that was answered with 200 is there after the kill, whenever that came."""
    subject, peer = killable.subject, killable.peer
    accepted: list[str] = []
    stop = threading.Event()

    def send() -> None:
        batch = 0
        while not stop.is_set():
            batch += 1
            rids = [f"{NOTE}:{size}-{batch}-{n}" for n in range(size)]
            events = [raw.event("NEW", rid, {"rid": rid}) for rid in rids]
            try:
                answer = peer.broadcast(subject.url, subject.rid, events)
            except OSError:
                return
            if answer.status == 200:
                accepted.extend(rids)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(after)
    killable.child.kill()
    stop.set()
    sender.join()
    killable.child.stop()
    killable.child.start()
    assert accepted
    eventually(
        lambda: set(accepted) <= set(peer.rids(subject.url, subject.rid, (NOTE,))),
        f"all {len(accepted)} accepted events are there",
    )
    killable.child.stop()


def test_what_was_visible_is_not_handled_again(killable: Killable) -> None:
    subject, peer = killable.subject, killable.peer
    with ExitStack() as stack:
        stack.callback(killable.child.stop)
        shown: set[str] = set()
        handled: dict[str, int] = {}  # how often, when the node died that had shown it
        for round_ in range(4):
            rids = [f"{NOTE}:r{round_}-{n}" for n in range(30)]
            for rid in rids:
                subject.tell(peer, raw.event("NEW", rid, {"rid": rid}))
            more_than(subject, peer, len(shown))
            shown = set(peer.rids(subject.url, subject.rid, (NOTE,)))
            killable.child.kill()
            before = killable.handled_count()
            handled = {rid: max(before[rid], 1) for rid in shown} | handled
            killable.restart()
        eventually(
            lambda: len(peer.rids(subject.url, subject.rid, (NOTE,))) == 120, "all are there"
        )
        time.sleep(0.5)
        counts = killable.handled_count()
        again = {rid for rid, times in handled.items() if counts[rid] > times}
        assert not again, f"{len(again)} of {len(handled)}"
        assert all(counts[f"{NOTE}:r{n}-{m}"] >= 1 for n in range(4) for m in range(30))


def more_than(subject: Subject, peer: raw.Peer, count: int) -> None:
    """Wait until more notes are held than `count`."""
    eventually(
        lambda: len(peer.rids(subject.url, subject.rid, (NOTE,))) > count, f"more than {count}"
    )


def test_a_copy_of_a_message_is_not_handled_again_after_a_kill(killable: Killable) -> None:
    subject, peer = killable.subject, killable.peer
    with ExitStack() as stack:
        stack.callback(killable.child.stop)
        rid = f"{NOTE}:once"
        new = raw.event("NEW", rid, {"v": 1})
        body = raw.compact(peer.envelope({"type": "events_payload", "events": [new]}, subject.rid))
        for _ in range(3):
            assert raw.post(subject.url, raw.BROADCAST, body).status in {200, 400}
            subject.settles(peer, rid, {"v": 1})
            killable.restart()
        marker = raw.event("NEW", f"{NOTE}:end", {"v": 1})
        subject.tell(peer, marker)
        subject.settles(peer, f"{NOTE}:end", {"v": 1})
        assert killable.handled_count()[rid] == 1


def test_what_waits_for_a_poll_survives(killable: Killable) -> None:
    subject, peer = killable.subject, killable.peer
    with ExitStack() as stack:
        stack.callback(killable.child.stop)
        subscribe(subject, peer, "POLL")
        others = [subject.meet(name=f"other{n}").rid for n in range(5)]
        killable.restart()
        heard: list[str] = []

        def collect() -> bool:
            heard.extend(e["rid"] for e in peer.poll(subject.url, subject.rid, limit=2))
            return set(others) <= set(heard)

        eventually(collect, "all that waited is polled")
        counts = Counter(rid for rid in heard if rid in others)
        assert set(counts.values()) == {1}, "and nothing twice"


def test_a_poll_whose_answer_was_lost_is_answered_again(killable: Killable) -> None:
    subject, peer = killable.subject, killable.peer
    with ExitStack() as stack:
        stack.callback(killable.child.stop)
        subscribe(subject, peer, "POLL")
        other = subject.meet(name="other").rid
        time.sleep(0.3)
        unread_poll(subject, peer)
        killable.restart()
        subject.polled(peer, lambda e: e["rid"] == other)


def unread_poll(subject: Subject, peer: raw.Peer) -> None:
    """Poll, and be gone before the answer is read."""
    parts = urlsplit(subject.url)
    assert parts.port
    body = raw.compact(peer.envelope({"type": "poll_events", "limit": 0}, subject.rid))
    head = f"POST /koi-net/events/poll HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", parts.port)) as sock:
        sock.sendall(head.encode() + body)
        sock.recv(1)


def test_what_waits_for_a_webhook_survives_and_comes_once(killable: Killable) -> None:
    subject = killable.subject
    with ExitStack() as stack:
        stack.callback(killable.child.stop)
        peer = stack.enter_context(FullPeer(name="hook"))
        subject.tell(peer, *peer.introduction())
        eventually(lambda: subject.knows(peer), "the node knows the peer")
        subscribe(subject, peer, "WEBHOOK")
        first = subject.meet(name="first").rid
        eventually(lambda: first in {e["rid"] for e in peer.heard}, "webhooks arrive")
        peer.misbehave = lambda _: (503, b"")
        missed = [subject.meet(name=f"missed{n}").rid for n in range(5)]
        killable.restart()
        time.sleep(0.5)
        peer.misbehave = lambda _: "behave"
        eventually(lambda: set(missed) <= {e["rid"] for e in peer.heard}, "what it missed", 60)
        killable.restart()
        last = subject.meet(name="last").rid
        eventually(lambda: last in {e["rid"] for e in peer.heard}, "and what came later")
        # A batch that may have arrived is sent again in the very same bytes, which a
        # receiver recognises; in different bytes nothing comes twice.
        bodies = {json.dumps(body): body for body in peer.asked(raw.BROADCAST)}
        told = [e["rid"] for body in bodies.values() for e in body["payload"]["events"]]
        assert {Counter(told)[rid] for rid in [first, *missed, last]} == {1}


def test_it_starts_again_after_many_kills_while_starting(tmp_path: Path) -> None:
    child = Child(OURS, "coordinator", tmp_path / "home")
    child.start()
    rid = child.rid
    child.kill()
    child.stop()
    for n in range(6):
        killer = threading.Timer(0.03 * n, kill_if_alive, [child])
        killer.start()
        try:
            child.start()
        except AssertionError:
            pass
        finally:
            # A killer that came late would end the next child.
            killer.join()
            child.kill()
            child.stop()
    with child:
        assert child.rid == rid
        assert Subject(child, "signed").meet()


def kill_if_alive(child: Child) -> None:
    if child.alive():
        child.kill()


def subscribe(subject: Subject, peer: raw.Peer, kind: str) -> None:
    """Have the peer ask for news of nodes, and wait until it is granted."""
    rid = raw.edge_rid(subject.rid, peer.rid)
    contents = {
        "source": subject.rid,
        "target": peer.rid,
        "edge_type": kind,
        "status": "PROPOSED",
        "rid_types": [raw.NODE],
    }
    subject.tell(peer, raw.event("NEW", rid, contents))
    subject.settles(peer, rid, contents | {"status": "APPROVED"})
    if kind == "POLL":
        subject.polled(peer, lambda e: e["rid"] == rid)
