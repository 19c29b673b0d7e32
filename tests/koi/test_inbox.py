"""The queue, through crashes: every accepted object once, in order, wherever it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.koi import raw

from dpip.koi import RID, EventType, KnowledgeObject, KoiNetNode
from dpip.koi.errors import QueueFull
from dpip.koi.processor import inbox as module
from dpip.koi.processor.inbox import Inbox
from dpip.koi.processor.records import knowledge
from dpip.koi.protocol import wire
from dpip.koi.protocol.api_models import EventsPayload
from dpip.koi.seen import Seen
from dpip.koi.store import Store

if TYPE_CHECKING:
    from pathlib import Path


class Queue:
    """An inbox with its store, as a node has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        self.store = Store(self.path / "koi.sqlite3")
        self.seen = Seen(self.store)
        self.inbox = Inbox(self.store, self.seen)

    def broadcast(self, *names: str, skipped: int = 0, sequence: str = "") -> None:
        events = [raw.event("NEW", f"orn:test.a:{name}", {"name": name}) for name in names]
        body = raw.compact({"events": events})
        kobjs = knowledge(wire.read(body, EventsPayload).payload.events, None)
        self.inbox.accept(body, kobjs[skipped:], skipped=skipped, sequence=sequence)

    def add(self, name: str) -> None:
        self.inbox.add([KnowledgeObject(RID.from_string(f"orn:test.a:{name}"))])

    def commit(self) -> None:
        with self.store.change() as connection:
            self.inbox.checkpoint(connection)
        self.inbox.settled()

    def take(self) -> Any:
        return self.inbox.take()

    def finish(self, item: Any) -> None:
        self.inbox.finish(item, sender=item.kobj.sender)

    def rest(self) -> list[str]:
        found = []
        while item := self.take():
            found.append(item.kobj.rid.reference)
            self.finish(item)
        return found

    def crash(self) -> None:
        self.store.abandon()
        self.open()


@pytest.fixture
def queue(tmp_path: Path) -> Any:
    queue = Queue(tmp_path)
    yield queue
    queue.store.close()


def test_rows_and_bodies_are_one_queue(queue: Queue) -> None:
    queue.broadcast("a", "b")
    queue.add("c")
    queue.broadcast("d")
    assert queue.inbox.size == 4
    queue.crash()
    assert queue.inbox.size == 4
    assert queue.rest() == ["a", "b", "c", "d"]
    assert queue.inbox.size == 0


def test_what_is_committed_does_not_come_again(queue: Queue) -> None:
    queue.broadcast("a", "b", "c")
    queue.finish(queue.take())
    queue.commit()
    queue.finish(queue.take())  # processed, but nothing says so when the node dies
    queue.crash()
    assert queue.rest() == ["b", "c"]
    queue.commit()
    queue.crash()
    assert (queue.inbox.size, queue.rest()) == (0, [])


def test_an_object_that_others_overtake_is_not_lost(queue: Queue) -> None:
    queue.broadcast("slow", "b", "c")
    slow = queue.take()
    queue.finish(queue.take())
    queue.commit()
    queue.crash()
    assert queue.rest() == ["slow", "c"]
    assert not slow.spooled  # it became a row


def test_the_place_never_goes_back(queue: Queue) -> None:
    queue.add("a")
    queue.broadcast("b", "c")
    assert [queue.take() is not None for _ in range(2)] == [True, True]
    queue.commit()  # "b" is a row now, and passed
    queue.crash()
    queue.take()
    queue.commit()
    queue.crash()
    assert (queue.inbox.size, queue.rest()) == (3, ["a", "b", "c"])


def test_an_object_whose_cache_action_is_done_comes_back_as_that(queue: Queue) -> None:
    queue.broadcast("a", "b")
    item = queue.take()
    item.kobj.normalized_event_type = EventType.NEW
    with queue.store.change() as connection:
        queue.inbox.update(item, connection=connection)
    queue.crash()
    again = queue.take()
    assert (again.stored, again.kobj.normalized_event_type) == (True, EventType.NEW)
    queue.finish(again)
    queue.commit()
    queue.crash()
    assert queue.rest() == ["b"]


def test_a_long_queue_is_left_on_the_disk(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RESIDENT", 8)
    names = [str(n) for n in range(60)]
    for n in range(0, 60, 3):
        queue.broadcast(*names[n : n + 2])
        queue.add(names[n + 2])
    assert len(queue.inbox._ready) < 12
    assert queue.inbox.size == 60
    taken = [queue.take() for _ in range(20)]
    for item in taken:
        queue.finish(item)
    queue.broadcast("60")
    queue.commit()
    queue.crash()
    assert [item.kobj.rid.reference for item in taken] + queue.rest() == [*names, "60"]


def test_the_spool_is_renewed_when_nothing_waits(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONG_SPOOL", 100)
    queue.broadcast("a")
    generation = queue.store.spool.generation
    item = queue.take()
    queue.commit()
    assert queue.store.spool.generation == generation + 1  # the object is a row now
    queue.broadcast("b")
    queue.finish(item)
    queue.crash()
    assert queue.rest() == ["a", "b"]  # finishing it was not committed
    queue.commit()
    queue.crash()
    assert queue.rest() == []


def test_signatures_and_lanes_are_remembered_through_a_crash(queue: Queue) -> None:
    assert queue.inbox.accept_token(b"t" * 16)
    assert not queue.inbox.accept_token(b"t" * 16)
    queue.broadcast("a", "b", skipped=1, sequence="lane:4-5")
    queue.crash()
    assert not queue.inbox.accept_token(b"t" * 16)
    assert queue.seen.mark("lane") == 5
    assert queue.rest() == ["b"]
    queue.commit()
    queue.crash()
    assert queue.seen.knows(b"t" * 16)
    assert queue.seen.mark("lane") == 5


def test_a_spool_without_its_database_is_not_read(queue: Queue) -> None:
    queue.broadcast("old")
    queue.store.abandon()
    for path in queue.path.glob("koi.sqlite3*"):
        path.unlink()
    queue.open()
    assert queue.inbox.size == 0
    queue.broadcast("new")
    queue.crash()
    assert queue.rest() == ["new"]


def test_a_database_without_its_spool_goes_on(queue: Queue) -> None:
    queue.broadcast("lost")
    queue.add("kept")
    queue.rest()
    queue.commit()
    queue.add("row")
    queue.store.abandon()
    (queue.path / "koi.spool").unlink()
    queue.open()
    queue.broadcast("new")
    queue.crash()
    assert queue.rest() == ["row", "new"]


def test_one_sender_cannot_fill_the_queue(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE_SENDER", 2)
    sender = KoiNetNode("x", "1")
    queue.inbox.add([KnowledgeObject(RID.from_string("orn:a.b:c"), sender=sender)] * 2)
    with pytest.raises(QueueFull):
        queue.inbox.check_room(sender, 1)
    queue.broadcast("of somebody else")


class Crashes(RuleBasedStateMachine):
    """Model: the names accepted and not committed as finished, in order."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile
        from pathlib import Path

        self._directory = tempfile.TemporaryDirectory()
        self._saved = module.MOST_RESIDENT, module.LONG_SPOOL
        module.MOST_RESIDENT, module.LONG_SPOOL = 6, 600
        self.queue = Queue(Path(self._directory.name))
        self.names = 0
        self.waiting: list[str] = []  # nobody took them
        self.taken: dict[str, Any] = {}
        self.finished: list[str] = []  # since the last commit

    def _name(self) -> str:
        self.names += 1
        return f"{self.names:05}"

    @rule(count=st.integers(1, 5))
    def broadcast(self, count: int) -> None:
        names = [self._name() for _ in range(count)]
        self.queue.broadcast(*names)
        self.waiting += names

    @rule()
    def add(self) -> None:
        name = self._name()
        self.queue.add(name)  # commits, but no checkpoint
        self.waiting.append(name)

    @rule()
    def token(self) -> None:
        assert self.queue.inbox.accept_token(self._name().encode().ljust(16))

    @rule(count=st.integers(1, 8))
    def take(self, count: int) -> None:
        for _ in range(count):
            item = self.queue.take()
            assert (item is None) == (not self.waiting)
            if item is not None:
                name = self.waiting.pop(0)
                assert item.kobj.rid.reference == name
                self.taken[name] = item

    @rule(which=st.randoms(use_true_random=False), count=st.integers(1, 8))
    def finish(self, which: Any, count: int) -> None:
        for _ in range(min(count, len(self.taken))):
            name = which.choice(sorted(self.taken))
            self.queue.finish(self.taken.pop(name))
            self.finished.append(name)

    @rule()
    def commit(self) -> None:
        self.queue.commit()
        self.finished.clear()

    @rule()
    def crash(self) -> None:
        self.queue.crash()
        self.waiting = sorted([*self.waiting, *self.taken, *self.finished])
        self.taken.clear()
        self.finished.clear()

    @invariant()
    def counts(self) -> None:
        assert self.queue.inbox.size == len(self.waiting) + len(self.taken)

    def teardown(self) -> None:
        self.crash()
        assert self.queue.rest() == self.waiting
        module.MOST_RESIDENT, module.LONG_SPOOL = self._saved
        self.queue.store.close()
        self._directory.cleanup()


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
