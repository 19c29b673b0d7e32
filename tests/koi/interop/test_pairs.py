"""Whole nodes of four releases and ours in one network: they join us, and we join them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.interop.child import (
    EDGE,
    NODE,
    OURS,
    PLAIN,
    SIGNED,
    Child,
    eventually,
    free_port,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
releases = pytest.mark.parametrize("release", [*PLAIN, *SIGNED])
kinds = pytest.mark.parametrize("kind", ["partial", "full"])
NOTE = "orn:test.note"
B12 = PLAIN[0]


class Pair:
    """A coordinator and a node that joins it by first contact, one of them ours."""

    def __init__(
        self, stack: ExitStack, home: Path, coordinator: str, joiner: str, kind: str
    ) -> None:
        self.stack, self.home = stack, home
        plain = bool({coordinator, joiner} & set(PLAIN))
        self.common = {"allow_unsigned": plain}
        self.coordinator = self.child(coordinator, "coordinator")
        contact = self.coordinator.url if plain else self.coordinator.contact
        self.joiner = self.child(
            joiner, kind, first_contact=contact, event=[NOTE], state=[NOTE], interest=[NODE, NOTE]
        )

    def child(self, release: str, kind: str, **options: object) -> Child:
        home = self.home / f"{len(list(self.home.iterdir()))}-{kind}"
        return self.stack.enter_context(Child(release, kind, home, **(self.common | options)))

    def edges(self, of: Child) -> dict[tuple[str, str], raw.Json]:
        """Return the edges that a node holds, by their ends."""
        held = [of.holds(rid) for rid in of.rids() if rid.startswith(EDGE)]
        return {(e["source"], e["target"]): e for e in held if e is not None}

    def subscribed(self, source: Child, target: Child, at: Child) -> bool:
        """Say whether `at` holds an approved edge from source to target."""
        edge = self.edges(at).get((source.rid, target.rid))
        return edge is not None and edge["status"] == "APPROVED"


@pytest.fixture
def stack() -> ExitStack:
    return ExitStack()


def meets(pair: Pair) -> None:
    """Both learn of each other and agree on an edge in each direction.

    1.0.0b12 forgets each node that it sends an event to, so what *it* holds in the end is
    not looked at; what it says, and what the other makes of it, is.
    """
    one, two = pair.coordinator, pair.joiner
    for at, other in ((two, one), (one, two)):
        if at.release == B12:
            continue
        eventually(lambda a=at, o=other: o.rid in a.rids(), f"{at.kind} knows {other.kind}")  # type: ignore[misc]
        if two.release != B12:
            eventually(lambda a=at: pair.subscribed(two, one, a), f"news to one, at {at.kind}")  # type: ignore[misc]
        if one.release != B12:
            eventually(lambda a=at: pair.subscribed(one, two, a), f"news to two, at {at.kind}")  # type: ignore[misc]
            kind = pair.edges(at)[one.rid, two.rid]["edge_type"]
            assert kind == ("WEBHOOK" if two.kind == "full" else "POLL")


def tells(pair: Pair) -> None:
    """News of a third node reaches the joiner, by webhook or poll.

    Partial nodes of 1.3 and 2.1 poll once for each edge that they share with a node and
    keep the last answer only: with two edges they hear nothing, from real nodes either.
    """
    one, two = pair.coordinator, pair.joiner
    if two.release in SIGNED and two.kind == "partial":
        return
    release = two.release if two.release != OURS else one.release
    contact = one.contact if release in SIGNED else one.url
    third = pair.child(release, "partial", first_contact=contact, name="third")
    if two.release != B12:
        eventually(lambda: third.rid in two.rids(), "the joiner hears of a third node")
        assert (two.holds(third.rid) or {})["node_type"] == "PARTIAL"


def transfers(pair: Pair) -> None:
    """State goes over on request, and what is pushed is kept, changed and forgotten."""
    one, two = pair.coordinator, pair.joiner
    rid = f"{NOTE}:1"
    to = {"url": one.url} if two.release == B12 else {"node": one.rid}
    for contents in ({"v": 1, "text": "é", "none": None}, {"v": 2.5, "list": [1, {}]}):
        if two.release == B12:
            two.do("ask", call="broadcast_events", **to, request=in_one_body("NEW", rid, contents))
        else:
            two.do("push", event_type="NEW", rid=rid, contents=contents, to=one.rid)
        eventually(lambda c=contents: one.holds(rid) == c, f"{contents} arrived")  # type: ignore[misc]
    for call, request, part in (
        ("fetch_rids", {"rid_types": [NOTE]}, "rids"),
        ("fetch_manifests", {"rids": [rid]}, "manifests"),
        ("fetch_bundles", {"rids": [rid]}, "bundles"),
    ):
        answer = two.do("ask", call=call, **to, request=request)
        answer = answer.get("payload", answer)
        assert len(answer[part]) == 1, answer
    absent = two.do("ask", call="fetch_bundles", **to, request={"rids": [f"{NOTE}:2"]})
    assert absent.get("payload", absent)["not_found"] == [f"{NOTE}:2"]
    if two.release == B12:
        two.do("ask", call="broadcast_events", **to, request=in_one_body("FORGET", rid))
    else:
        two.do("push", event_type="FORGET", rid=rid, to=one.rid)
    eventually(lambda: one.holds(rid) is None, "the note is forgotten")


def in_one_body(kind: str, rid: str, contents: raw.Json | None = None) -> raw.Json:
    return {"events": [raw.event(kind, rid, contents)]}


@releases
@kinds
def test_they_join_us(stack: ExitStack, tmp_path: Path, release: str, kind: str) -> None:
    with stack:
        pair = Pair(stack, tmp_path, OURS, release, kind)
        meets(pair)
        tells(pair)
        transfers(pair)
        assert pair.coordinator.alive()
        assert pair.joiner.alive()


@releases
@kinds
def test_we_join_them(stack: ExitStack, tmp_path: Path, release: str, kind: str) -> None:
    with stack:
        pair = Pair(stack, tmp_path, release, OURS, kind)
        meets(pair)
        if release == B12:
            return
        tells(pair)
        transfers(pair)
        assert pair.coordinator.alive()


@pytest.mark.parametrize("release", SIGNED)
@pytest.mark.parametrize("ours", ["provides", "subscribes"])
def test_a_type_of_interest_is_subscribed_at_its_provider(
    stack: ExitStack, tmp_path: Path, release: str, ours: str
) -> None:
    """Two full nodes find each other through a coordinator; one provides what one wants."""
    with stack:
        pair = Pair(stack, tmp_path, OURS, release if ours == "subscribes" else OURS, "full")
        meets(pair)
        provider = pair.joiner
        wanting = OURS if ours == "subscribes" else release
        subscriber = pair.child(
            wanting, "full", first_contact=pair.coordinator.contact, interest=[NODE, NOTE]
        )
        provider.do("know", rid=f"{NOTE}:first", contents={"v": 0})
        eventually(
            lambda: pair.subscribed(provider, subscriber, subscriber), "it subscribes to notes"
        )
        provider.do("know", rid=f"{NOTE}:news", contents={"v": 1})
        eventually(lambda: subscriber.holds(f"{NOTE}:news") == {"v": 1}, "NEW arrives")
        provider.do("know", rid=f"{NOTE}:news", contents={"v": 2})
        eventually(lambda: subscriber.holds(f"{NOTE}:news") == {"v": 2}, "UPDATE arrives")
        provider.do("forget", rid=f"{NOTE}:news")
        eventually(lambda: subscriber.holds(f"{NOTE}:news") is None, "FORGET arrives")
        eventually(lambda: subscriber.holds(f"{NOTE}:first") == {"v": 0}, "and what was before")


@pytest.mark.parametrize("release", SIGNED)
def test_a_node_that_lost_its_cache_is_met_again(
    stack: ExitStack, tmp_path: Path, release: str
) -> None:
    """Our node's coordinator forgets it (unknown_node); it introduces itself once more."""
    with stack:
        pair = Pair(stack, tmp_path, release, OURS, "partial")
        meets(pair)
        pair.coordinator.do("forget", rid=pair.joiner.rid)
        eventually(lambda: pair.joiner.rid not in pair.coordinator.rids(), "it is forgotten", 5)
        eventually(lambda: pair.joiner.rid in pair.coordinator.rids(), "it is met again", 30)


@pytest.mark.parametrize("kind", ["full", "partial"])
def test_ours_goes_on_where_a_plain_release_stopped(tmp_path: Path, kind: str) -> None:
    """A real node's directory: our node starts in it and is that node."""
    peer = raw.PlainPeer()
    options: raw.Json = {"allow_unsigned": True, "name": "moving", "port": free_port()}
    with Child(B12, kind, tmp_path, **options) as old:
        old.do("know", rid=f"{NOTE}:1", contents={"v": 1, "text": "é"})
        eventually(lambda: old.holds(f"{NOTE}:1") is not None, "it is kept")
        if kind == "full":
            assert old.url is not None
            peer.broadcast(old.url, old.rid, peer.introduction())
            eventually(lambda: peer.rid in old.rids(), "the peer is known")
            old.do("push", event_type="FORGET", rid=f"{NOTE}:0", to=peer.rid)
        rids = old.rids()
    with Child(OURS, kind, tmp_path, **options) as new:
        assert new.rid == old.rid
        assert new.rids() == rids
        assert new.holds(f"{NOTE}:1") == {"v": 1, "text": "é"}
        if kind == "full":
            assert new.url is not None
            events = peer.poll(new.url, new.rid)
            notes = [event["rid"] for event in events if event["rid"].startswith(NOTE)]
            assert notes == [f"{NOTE}:0"]
