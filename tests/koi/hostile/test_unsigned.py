"""A node that takes both wires: whoever has a key is not spoken for without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.interop.child import OURS, Child
from tests.koi.interop.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTE = "orn:test.note"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """Return a coordinator that takes plain and signed messages."""
    home = tmp_path_factory.mktemp("both")
    with Child(OURS, "coordinator", home, allow_unsigned=True) as child:
        yield child


def test_nobody_polls_for_a_node_with_a_key(both: Child) -> None:
    subject = Subject(both, "signed")
    peer = subject.meet(name="keyed")
    stolen = raw.post(subject.url, raw.POLL, {"rid": peer.rid})
    assert stolen.status in {400, 422}
    subject.polled(peer, lambda e: e["rid"] == both.rid)


def test_nobody_without_a_key_changes_what_came_with_one(both: Child) -> None:
    signed, plain = Subject(both, "signed"), Subject(both, "plain")
    owner, thief = signed.meet(name="owner"), plain.meet(name="thief")
    rid = f"{NOTE}:{owner.rid[-8:]}"
    signed.tell(owner, raw.event("NEW", rid, {"owner": True}))
    signed.settles(owner, rid, {"owner": True})
    plain.tell(thief, raw.event("UPDATE", rid, {"owner": False}))
    plain.tell(thief, raw.event("FORGET", rid))
    plain.tell(thief, raw.event("FORGET", owner.rid))
    plain.tell(thief, raw.event("NEW", owner.rid, owner.profile | {"public_key": None}))
    plain.stays(thief, rid, {"owner": True})
    assert owner.held(signed.url, signed.rid, owner.rid) == owner.profile


def test_nobody_without_a_key_introduces_a_node_with_one(both: Child) -> None:
    """The name of a node with a key ends in the hash of that key."""
    plain, absent = Subject(both, "plain"), raw.Peer(name="absent")
    thief = plain.meet(name="impostor")
    plain.tell(thief, raw.event("NEW", absent.rid, absent.profile | {"public_key": thief.rid}))
    plain.stays(thief, absent.rid, None)
