"""Full peers that subscribe, or are asked for something, and then behave badly."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.interop.child import eventually
from tests.koi.listener import Answer, FullPeer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.koi.interop.subjects import Subject

NOTE = "orn:test.note"


def introduce(victim: Subject, peer: FullPeer) -> None:
    victim.tell(peer, *peer.introduction())
    eventually(lambda: victim.knows(peer), "the node knows the peer")


def subscribe(victim: Subject, peer: FullPeer) -> None:
    """Have the peer ask to be called about nodes."""
    contents = {
        "source": victim.rid,
        "target": peer.rid,
        "edge_type": "WEBHOOK",
        "status": "PROPOSED",
        "rid_types": [raw.NODE],
    }
    rid = raw.edge_rid(victim.rid, peer.rid)
    victim.tell(peer, raw.event("NEW", rid, contents))
    approved = contents | {"status": "APPROVED"}
    eventually(lambda: peer.held(victim.url, victim.rid, rid) == approved, "the edge is approved")


def endless(peer: FullPeer) -> Callable[[str], Answer | str]:
    return lambda _: (200, b'"' + b"x" * 80_000_000)


def slowly(_: str) -> Answer | str:
    time.sleep(3)
    return 200, b"null"


MOODS: dict[str, Callable[[FullPeer], Callable[[str], Answer | str]]] = {
    "silent": lambda peer: peer.silence,
    "hangs-up": lambda _: lambda _: None,
    "error": lambda _: lambda _: (500, b"oh no"),
    "garbage": lambda _: lambda _: (200, b"\x00\xff{{{"),
    "empty": lambda _: lambda _: (200, b""),
    "list": lambda _: lambda _: (200, b"[]"),
    "huge": endless,
    "elsewhere": lambda _: lambda _: (307, b"http://127.0.0.1:1/koi-net/events/broadcast"),
    "slow": lambda _: slowly,
}


@pytest.mark.parametrize("mood", MOODS)
def test_one_bad_subscriber_delays_nobody(victim: Subject, mood: str) -> None:
    with ExitStack() as stack:
        bad = stack.enter_context(FullPeer(name="bad"))
        good = stack.enter_context(FullPeer(name="good"))
        for peer in (bad, good):
            introduce(victim, peer)
            subscribe(victim, peer)
        bad.misbehave = MOODS[mood](bad)
        started = time.monotonic()
        for n in range(5):
            newcomer = victim.meet(name=f"newcomer{n}")
            eventually(lambda: newcomer.rid in {e["rid"] for e in good.heard}, "the news", 4)  # noqa: B023
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("mood", MOODS)
def test_a_provider_that_does_not_provide(victim: Subject, mood: str) -> None:
    """A RID-only event makes the node ask for the rest, of a peer that fails to answer."""
    with FullPeer(name="provider", state=(NOTE,)) as bad:
        introduce(victim, bad)
        bad.misbehave = MOODS[mood](bad)
        victim.tell(bad, raw.event("NEW", f"{NOTE}:missing-{bad.rid[-8:]}"))
        eventually(lambda: bool(bad.asked(raw.MANIFESTS) or bad.asked(raw.BUNDLES)), "it asks")
        peer = victim.meet()
        rid = f"{NOTE}:meanwhile-{peer.rid[-8:]}"
        started = time.monotonic()
        victim.tell(peer, raw.event("NEW", rid, {"v": 1}))
        victim.settles(peer, rid, {"v": 1})
        assert time.monotonic() - started < 5, "one provider held everybody up"


def test_a_rid_only_event_is_completed_from_its_sender(victim: Subject) -> None:
    with FullPeer(name="provider", state=(NOTE,)) as peer:
        introduce(victim, peer)
        rid = f"{NOTE}:fetched-{peer.rid[-8:]}"
        peer.holds[rid] = raw.bundle(rid, {"v": 1})
        victim.tell(peer, raw.event("NEW", rid))
        victim.settles(peer, rid, {"v": 1})


def asked_with(victim: Subject, liar: FullPeer, rid: str, answer: bytes) -> None:
    """Make the node ask about a RID, and have it answered so."""
    liar.misbehave = lambda _: (200, answer)
    before = len(liar.listener.received)
    victim.tell(liar, raw.event("NEW", rid))
    eventually(lambda: len(liar.listener.received) > before, "it asks")


def test_what_a_provider_answers_is_checked(victim: Subject) -> None:
    """Answers for another, by another, or about another RID are not taken."""
    with FullPeer(name="liar", state=(NOTE,)) as liar:
        introduce(victim, liar)
        wrong = raw.Peer(name="wrong")
        rid, other = f"{NOTE}:asked-{liar.rid[-8:]}", f"{NOTE}:other-{liar.rid[-8:]}"
        manifests = {"type": "manifests_payload", "not_found": []}
        honest = manifests | {"manifests": [raw.manifest(rid, {"v": 1})]}
        answers = {
            "of-another-key": wrong.envelope(honest, victim.rid),
            "for-another": liar.envelope(honest, wrong.rid),
            "of-another-rid": liar.envelope(
                manifests | {"manifests": [raw.manifest(other, {"v": 1})]}, victim.rid
            ),
            "nothing": liar.envelope(
                {"type": "manifests_payload", "manifests": [], "not_found": [rid]}, victim.rid
            ),
            "unsigned": honest,
        }
        for answer in answers.values():
            asked_with(victim, liar, rid, raw.compact(answer))
        liar.misbehave = lambda _: "behave"
        peer = victim.meet()
        assert peer.held(victim.url, victim.rid, rid) is None
        assert peer.held(victim.url, victim.rid, other) is None


def test_a_subscriber_that_was_away_hears_what_it_missed(victim: Subject) -> None:
    with FullPeer(name="away") as peer:
        introduce(victim, peer)
        subscribe(victim, peer)
        peer.misbehave = lambda _: (503, b"")
        missed = [victim.meet(name=f"missed{n}").rid for n in range(6)]
        time.sleep(1)
        peer.misbehave = lambda _: "behave"
        eventually(lambda: set(missed) <= {e["rid"] for e in peer.heard}, "all it missed", 40)
        assert victim.knows(peer), "who was away is not forgotten"
