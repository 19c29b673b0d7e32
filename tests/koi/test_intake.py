"""Groups of broadcasts: answered on the loop while that is short, by a thread otherwise."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi import raw
from tests.koi.nodes import make

from dpip.koi.intake import SMALL_BODY, Intake
from dpip.koi.responder import Broadcast, Reply, Responder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Recorder(Responder):
    """A responder that notes which thread accepted how many bodies."""

    def __init__(self, node: Any) -> None:
        super().__init__(node)
        self.groups: list[tuple[int, int]] = []

    def broadcast(self, broadcasts: Sequence[Broadcast]) -> list[Reply]:
        self.groups.append((threading.get_ident(), len(broadcasts)))
        return super().broadcast(broadcasts)


@pytest.fixture
def responder(tmp_path: Path) -> Any:
    node = make(tmp_path / "node", base_url="http://127.0.0.1:9/koi-net")
    yield Recorder(node)
    node.store.close()


def body(rid: str, filler: int = 0) -> Broadcast:
    event = raw.event("NEW", rid, {"rid": rid, "filler": "x" * filler})
    return Broadcast(raw.compact({"events": [event]}))


async def submitted(responder: Responder, *bodies: Broadcast) -> list[int]:
    intake = Intake(responder)
    replies = await asyncio.gather(*map(intake.submit, bodies))
    await asyncio.to_thread(intake.close)
    return [reply.status for reply in replies]


def queued(responder: Any) -> int:
    return int(responder._node.inbox.size)


def test_small_bodies_are_accepted_on_the_loop(responder: Any) -> None:
    statuses = asyncio.run(submitted(responder, *(body(f"orn:test.a:{n}") for n in range(5))))
    assert statuses == [200] * 5
    assert responder.groups == [(threading.get_ident(), 1)] * 5
    assert queued(responder) == 5


def test_what_comes_behind_a_long_body_keeps_its_place(responder: Any) -> None:
    bodies = body("orn:test.a:1", SMALL_BODY), body("orn:test.a:2"), body("orn:test.a:3")
    assert asyncio.run(submitted(responder, *bodies)) == [200] * 3
    assert threading.get_ident() not in {thread for thread, _ in responder.groups}
    taken = [responder._node.inbox.take() for _ in bodies]
    assert [item.kobj.rid.reference for item in taken] == ["1", "2", "3"]


def test_a_long_body_goes_to_the_thread(responder: Any) -> None:
    assert asyncio.run(submitted(responder, body("orn:test.a:1", SMALL_BODY))) == [200]
    ((thread, count),) = responder.groups
    assert thread != threading.get_ident()
    assert count == 1


def test_the_loop_does_not_wait_for_the_database(responder: Any) -> None:
    with responder._node.store.change() as connection:
        connection.execute("DELETE FROM meta WHERE key='nothing'")
        with ThreadPoolExecutor(1) as other:
            asked = other.submit(asyncio.run, submitted(responder, body("orn:test.a:1")))
            assert asked.result(20) == [200]


def test_where_accepting_waits_for_the_disk_a_thread_does(responder: Any) -> None:
    responder._node.store.sync = True
    assert asyncio.run(submitted(responder, body("orn:test.a:1"))) == [200]
    assert responder.groups[-1][0] != threading.get_ident()


def test_a_failure_is_answered(responder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(responder, "broadcast", fail)
    assert asyncio.run(submitted(responder, body("orn:test.a:1"))) == [500]


def test_rows_of_a_long_batch_keep_their_order(responder: Any) -> None:
    rids = [f"orn:test.a:{n}" for n in range(250)]
    events = [raw.event("NEW", rid, {}) for rid in rids]
    one = Broadcast(raw.compact({"events": events}))
    assert [reply.status for reply in responder.broadcast([one])] == [200]
    inbox = responder._node.inbox
    items = [inbox.take() for _ in rids]
    assert [str(item.kobj.rid) for item in items] == rids
    numbers = [item.id for item in items]
    assert numbers == sorted(set(numbers))
