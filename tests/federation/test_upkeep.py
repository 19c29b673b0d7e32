"""Asking neighbours now and then: each new one soon, then one at a time."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from dpip.federation import upkeep
from dpip.koi import KoiNetNode, NodeInterface

if TYPE_CHECKING:
    import pytest

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
