"""Asking neighbours now and then: each new one soon, then one at a time."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from dpip.federation import upkeep
from dpip.koi import Bundle, EventType, KoiNetNode, NodeInterface
from dpip.koi.protocol.edge import EdgeStatus
from dpip.koi.testing import Ring

if TYPE_CHECKING:
    from pathlib import Path

A, B = KoiNetNode("a", "1" * 64), KoiNetNode("b", "2" * 64)


def test_a_new_provider_is_asked_soon_and_the_others_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[KoiNetNode] = []
    questions: asyncio.Queue[KoiNetNode] = asyncio.Queue()
    readable: list[tuple[KoiNetNode, Any]] = [(A, [])]
    network = SimpleNamespace(catch_up=lambda node, kinds: questions.put_nowait(node))
    node = cast("NodeInterface", SimpleNamespace(network=network))
    monkeypatch.setattr(upkeep, "SOON", 0.001)
    monkeypatch.setattr(upkeep, "BEATS", 5)
    monkeypatch.setattr(upkeep, "journals", lambda node: readable)
    monkeypatch.setattr(upkeep, "strangers", lambda node: [])

    async def hear(count: int) -> None:
        asked.extend([await asyncio.wait_for(questions.get(), 10) for _ in range(count)])

    async def story() -> None:
        work = asyncio.create_task(upkeep.keep_up(node))
        await hear(1)
        readable.append((B, []))
        await hear(20)
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    asyncio.run(story())
    assert asked[0] == A
    # The new one comes at the next beat: at most one turn of the old one is before it.
    assert B in asked[1:3]
    assert set(asked[3:]) == {A, B}


def test_who_does_not_tell_is_asked_ever_more_seldom() -> None:
    silent = upkeep.Silent()
    asked = [look for look in range(1, 40) if silent.due([A])]
    assert asked == [2, 4, 8, 16, 32]
    assert not silent.due([])
    assert not silent.due([A]), "it told, and has just fallen silent"
    assert silent.due([A, B]) == [A]


@pytest.mark.parametrize("loser", [1, 2])
def test_a_subscription_that_was_lost_is_made_again(tmp_path: Path, loser: int) -> None:
    with Ring(3, tmp_path) as ring:
        one, other = ring[1], ring[2]
        edge = one.graph.edge_between(other.identity.rid, one.identity.rid)
        assert edge is not None
        assert not upkeep.strangers(one)
        ring[loser].processor.handle(rid=edge, event_type=EventType.FORGET)
        ring.settle()
        assert upkeep.strangers(one) == [other.identity.rid]
        upkeep.ask_to_tell(one, other.identity.rid)
        ring.settle()
        assert not upkeep.strangers(one)
        assert one.identity.rid in other.graph.get_neighbors("out", EdgeStatus.APPROVED)


def test_a_proposal_that_was_not_answered_is_made_again(tmp_path: Path) -> None:
    with Ring(3, tmp_path) as ring:
        one, other = ring[1], ring[2]
        edge = one.graph.edge_between(other.identity.rid, one.identity.rid)
        assert edge is not None
        held = one.cache.read(edge)
        assert held is not None
        one.processor.handle(rid=edge, event_type=EventType.FORGET)
        ring.settle()
        proposal = {**held.contents, "status": "PROPOSED"}
        one.cache.write(Bundle.generate(edge, proposal, now=held.manifest.timestamp))
        one.graph.generate()
        assert upkeep.strangers(one) == [other.identity.rid]
        upkeep.ask_to_tell(one, other.identity.rid)
        ring.settle()
        assert not upkeep.strangers(one)
