"""Who a wire test is held against: real releases (slow) and ours, by the same assertions.

That a real node passes shows that the test is right; that ours passes shows the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.koi import raw
from tests.koi.interop.child import OURS, PLAIN, SIGNED, Child, eventually

if TYPE_CHECKING:
    from collections.abc import Callable


def _subjects(wire: str, releases: tuple[str, ...]) -> list[Any]:
    real = (pytest.param((v, wire), id=f"{v}", marks=pytest.mark.slow) for v in releases)
    return [*real, pytest.param((OURS, wire), id=f"{OURS}-{wire}")]


PLAIN_SUBJECTS = _subjects("plain", PLAIN)
SIGNED_SUBJECTS = _subjects("signed", SIGNED)
# 1.0.0b12 forgets each node that it sends an event to, so it cannot coordinate anybody.
COORDINATORS = [*_subjects("plain", PLAIN[1:]), *SIGNED_SUBJECTS]


class Subject:
    """A running node and the means to speak to it as a stranger of one of the wires."""

    def __init__(self, child: Child, wire: str) -> None:
        assert child.url is not None
        self.child, self.release, self.wire = child, child.release, wire
        self.url, self.rid = child.url, child.rid

    def meet(self, **peer: Any) -> raw.Peer:
        """Return a new peer that has introduced itself and that the node now knows."""
        met = raw.PlainPeer(**peer) if self.wire == "plain" else raw.Peer(**peer)
        answer = met.broadcast(self.url, self.rid, met.introduction())
        assert (answer.status, answer.body) == (200, b"null")
        eventually(lambda: self.knows(met), "the node knows the peer")
        return met

    def knows(self, peer: raw.Peer) -> bool:
        """Say whether the node has the peer's profile and talks to it."""
        payload = {"type": "fetch_bundles", "rids": [peer.rid]}
        answer = peer.send(self.url, self.rid, raw.BUNDLES, payload)
        return answer.status == 200 and bool(peer.open(answer, self.rid)["bundles"])

    def tell(self, peer: raw.Peer, *events: raw.Json) -> None:
        """Have the peer broadcast events, which must be accepted."""
        answer = peer.broadcast(self.url, self.rid, list(events))
        assert (answer.status, answer.body) == (200, b"null")

    def settles(self, peer: raw.Peer, rid: str, contents: raw.Json | None) -> None:
        """Wait until the node holds `contents` for `rid` (None: holds nothing)."""
        eventually(lambda: self._holds(peer, rid, contents), f"{rid} is {contents}")

    def _holds(self, peer: raw.Peer, rid: str, contents: raw.Json | None) -> bool:
        try:
            return peer.held(self.url, self.rid, rid) == contents
        except AssertionError:
            # A release that reads its cache's file while it writes it answers 500. Ours must not.
            if self.release == OURS:
                raise
            return False

    def stays(self, peer: raw.Peer, rid: str, contents: raw.Json | None) -> None:
        """Check that what was sent before did not change `rid`.

        Nodes work first in, first out: once a later event shows, earlier ones are done.
        """
        marker = f"orn:test.marker:{raw.timestamp()}"
        self.tell(peer, raw.event("NEW", marker, {"seen": True}))
        self.settles(peer, marker, {"seen": True})
        assert peer.held(self.url, self.rid, rid) == contents

    def polled(self, peer: raw.Peer, wanted: Callable[[raw.Json], bool]) -> raw.Json:
        """Poll until an event is as wanted, and return it without the nulls of 1.0."""
        return self.polled_all(peer, wanted)[0]

    def polled_all(self, peer: raw.Peer, *wanted: Callable[[raw.Json], bool]) -> list[raw.Json]:
        """Poll until there is an event for each of `wanted`; return them in that order."""
        heard: list[raw.Json] = []

        def look() -> bool:
            heard.extend(peer.poll(self.url, self.rid))
            return all(any(map(want, heard)) for want in wanted)

        eventually(look, f"{len(wanted)} events to be polled")
        first = [next(filter(want, heard)) for want in wanted]
        return [{key: e[key] for key in e if e[key] is not None} for e in first]
