"""Neighbours that give files over real sockets, and all the ways in which they may not."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dpip.federation import offers
from dpip.federation.around import Around
from dpip.federation.assembly import Assembly
from dpip.federation.leaves import Leaves
from dpip.federation.neighbours import MOST_ASKED, Neighbours
from dpip.federation.savings import Savings, Totals
from dpip.federation.whole import WholeFiles
from dpip.ipfs import car
from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.dag import Resolved
from dpip.ipfs.errors import Unavailable
from dpip.ipfs.importer import FileHasher
from dpip.ipfs.selection import ByteRange, select
from dpip.mirror.catalog import FileRecord
from dpip.mirror.hedge import Gift, Progress

DATA = b"".join(number.to_bytes(4, "big") * 256 for number in range(4096))
DATA += DATA[: 2**20]
"""Five megabytes of which the last leaf is the first one again."""
OTHER = DATA[:-1] + b"x"
RECORD = FileRecord(
    hashlib.sha256(DATA).hexdigest(),
    "demo-1.0.tar.gz",
    "demo",
    "http://index.invalid/demo-1.0.tar.gz",
    hashlib.sha256(DATA).hexdigest(),
    len(DATA),
)


def published(data: bytes) -> tuple[CID, MemoryBlockstore]:
    store = MemoryBlockstore()
    hasher = FileHasher(sink=lambda block: store.put([block]))
    hasher.update(data)
    return hasher.finish().cid, store


@dataclass
class Node:
    """A neighbour that answers with `body`, or with less, later, or not at all.

    With `leaves` it offers them too. `cut` is how many bytes of an answer never come: it then
    breaks off, or says nothing more if `stalls`.
    """

    body: bytes | None = DATA
    cut: int = 0
    pause: float = 0.0
    stalls: bool = False
    leaves: bool = False
    sent: bytes | None = None
    """What comes in place of the body that was offered."""
    asked: list[str] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def gets(self) -> list[str]:
        return [line for line in self.asked if line.startswith("GET")]

    def car_of(self, target: str) -> bytes:
        """Return the answer of its gateway."""
        root, store = published((self.body if self.sent is None else self.sent) or b"")
        query = parse_qs(urlsplit(target).query)
        part = query.get("entity-bytes")
        wanted = None if part is None else ByteRange.parse(part[0])
        blocks = select(store, Resolved(root, ()), "entity", wanted, duplicates=False)
        return b"".join(car.write([root], blocks))


class Handler(BaseHTTPRequestHandler):
    node: Node

    def log_message(self, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.node.asked.append("HEAD")
        time.sleep(self.node.pause)
        self._begin(len(self.node.body or b""))

    def do_GET(self) -> None:
        node = self.node
        node.asked.append(f"GET {self.path}")
        body = (node.body if node.sent is None else node.sent) or b""
        if self.path.startswith("/ipfs/"):
            body = node.car_of(self.path)
        self._begin(len(body))
        self.wfile.write(body[: len(body) - node.cut])
        if node.stalls:
            self.wfile.flush()
            node.over.wait(20)

    def _begin(self, length: int) -> None:
        node = self.node
        self.send_response(504 if node.body is None else 200)
        self.send_header("Content-Length", str(length))
        if node.leaves:
            self.send_header("dpip-root", str(published(node.body or b"")[0]))
        self.send_header("Connection", "close")
        self.end_headers()


class Server(ThreadingHTTPServer):
    def handle_error(self, *args: Any) -> None:
        """A client that gives up in the middle is part of the play."""


@contextmanager
def serving(node: Node) -> Iterator[Node]:
    class Its(Handler):
        pass

    Its.node = node
    server = Server(("127.0.0.1", 0), Its)
    node.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield node
    finally:
        node.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Listed:
    urls: list[str]

    def near(self, record: FileRecord) -> list[str]:
        return self.urls


@dataclass
class Asking:
    """Neighbours to ask, a place to write to, and a clock that a test moves."""

    place: Path
    urls: list[str] = field(default_factory=list)
    savings: Savings = field(default_factory=Savings)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.neighbours = Neighbours(
            Listed(self.urls),
            means=[Leaves()],
            whole=WholeFiles(),
            savings=self.savings,
            clock=lambda: self.now,
        )

    async def obtain(self, *urls: str, insistent: bool = True) -> Gift | None:
        # Insistent: the patience of a tenth of a second is too short for a loaded machine.
        self.urls[:] = urls
        progress = Progress()
        try:
            gift = await self.neighbours.obtain(RECORD, self.place, progress, insistent=insistent)
            self.neighbours.settle(gift, progress, 0)
        finally:
            # Of this loop; the threads live on for the next question.
            await self.neighbours._whole.aclose()
        return gift

    def run(self, *urls: str, insistent: bool = True) -> Gift | None:
        return asyncio.run(self.obtain(*urls, insistent=insistent))

    @property
    def counted(self) -> Totals:
        return self.savings.since_start


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    for module in ("leaves", "whole", "neighbours"):
        monkeypatch.setattr(f"dpip.federation.{module}.STALL", 1.0)
    assert offers.STALL == 2.0
    made = Asking(tmp_path / "place")
    yield made
    asyncio.run(made.neighbours.aclose())


def test_a_file_comes_from_the_neighbour_that_holds_it(asking: Asking) -> None:
    with serving(Node(body=None)) as empty, serving(Node()) as holder:
        gift = asking.run(empty.url, holder.url)
    assert gift == Gift(len(DATA), "whole")
    assert asking.place.read_bytes() == DATA
    assert empty.asked == ["HEAD"]
    assert asking.counted.size == asking.counted.moved == len(DATA)


def test_leaves_come_in_one_stream_and_none_of_them_twice(asking: Asking) -> None:
    with serving(Node(leaves=True)) as holder:
        assert asking.run(holder.url) == Gift(len(DATA), "leaves")
    assert asking.place.read_bytes() == DATA
    assert len(holder.gets) == 1
    assert asking.counted.moved < len(DATA) - 2**20 + 2000


WRONG = {
    "other bytes": Node(body=OTHER),
    "truncated": Node(cut=1000),
    "too long": Node(body=DATA * 2),
    "empty": Node(body=b""),
    "stalls midway": Node(cut=1000, stalls=True),
    "stalls at once": Node(cut=len(DATA), stalls=True),
    "other leaves": Node(body=OTHER, leaves=True),
    "leaves of another root": Node(sent=OTHER, leaves=True),
    "truncated leaves": Node(cut=1000, leaves=True),
    "too many leaves": Node(body=DATA * 2, leaves=True),
    "leaves that stall": Node(cut=1000, leaves=True, stalls=True),
    "no leaves at all": Node(cut=10**9, leaves=True),
}


@pytest.mark.parametrize("how", WRONG)
def test_one_that_fails_costs_only_time(asking: Asking, how: str) -> None:
    with serving(WRONG[how]) as wrong:
        assert asking.run(wrong.url) is None
        assert asking.counted.files == 0
        asking.now += 1000
        with serving(Node(pause=0.3)) as right:
            assert asking.run(wrong.url, right.url) is not None
    assert asking.place.read_bytes() == DATA


def test_what_a_dying_neighbour_gave_is_gone_on_from(asking: Asking) -> None:
    with (
        serving(Node(cut=2_000_000, leaves=True)) as dying,
        serving(Node(leaves=True, pause=0.3)) as second,
    ):
        assert asking.run(dying.url, second.url) == Gift(len(DATA), "leaves")
        assert "entity-bytes=2097152:*" in second.gets[0]
    assert asking.place.read_bytes() == DATA
    assert asking.counted.moved < 1.3 * len(DATA)


def test_a_beginning_by_a_liar_spoils_nothing(asking: Asking) -> None:
    with (
        serving(Node(body=OTHER, cut=2_000_000, leaves=True)) as liar,
        serving(Node(leaves=True, pause=0.3)) as honest,
    ):
        assert asking.run(liar.url, honest.url) is not None
    assert asking.place.read_bytes() == DATA


def test_one_that_failed_is_left_alone_for_a_while(asking: Asking) -> None:
    with serving(Node(body=OTHER)) as liar:
        assert asking.run(liar.url) is None
        assert asking.counted.refused == 1
        asked = len(liar.asked)
        assert asking.run(liar.url, insistent=False) is None
        assert len(liar.asked) == asked, "not even asked"
        with serving(Node(pause=0.2)) as honest:
            assert asking.run(liar.url, honest.url) is not None
        assert asking.counted.refused <= 2


def test_nobody_is_waited_for_while_there_is_an_upstream(asking: Asking) -> None:
    with serving(Node(pause=3.0)) as slow:
        begun = time.monotonic()
        assert asking.run(slow.url, "http://127.0.0.1:9", insistent=False) is None
        assert time.monotonic() - begun < 2.5
    assert slow.gets == []


def test_no_more_than_three_are_asked_while_there_is_an_upstream(asking: Asking) -> None:
    with serving(Node(body=None)) as empty, serving(Node()) as holder:
        urls = [empty.url] * MOST_ASKED + [holder.url]
        assert asking.run(*urls, insistent=False) is None
        assert holder.asked == []
        assert asking.run(*urls) is not None


METADATA = b"Metadata-Version: 2.4\nName: demo\n"
WHEEL = replace(RECORD, metadata_sha256=hashlib.sha256(METADATA).hexdigest())


@pytest.mark.parametrize("record", [WHEEL, RECORD], ids=["listed", "not listed"])
def test_metadata_comes_from_who_has_the_right_one(asking: Asking, record: FileRecord) -> None:
    async def story() -> bytes | None:
        try:
            return await asking.neighbours.metadata(record)
        finally:
            await asking.neighbours.aclose()

    with (
        serving(Node(body=METADATA + b"lie")) as liar,
        serving(Node(body=None)) as empty,
        serving(Node(body=METADATA)) as right,
    ):
        asking.urls[:] = [liar.url, empty.url, right.url]
        asking.neighbours._insistent = True
        found = asyncio.run(story())
    assert found == (METADATA if record is WHEEL else None)
    assert (right.gets != []) is (record is WHEEL)


def test_neighbours_that_stall_leave_threads_to_others(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpip.federation.leaves.STALL", 20.0)

    async def story() -> None:
        asking.urls[:] = [slow.url]
        all_progress = [Progress() for _ in range(40)]
        obtaining = [
            asyncio.create_task(
                asking.neighbours.obtain(
                    RECORD, asking.place.with_name(f"{n}"), progress, insistent=True
                )
            )
            for n, progress in enumerate(all_progress)
        ]
        while not any(progress.came for progress in all_progress):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(lambda: "at once") == "at once"
        assert not any(task.done() for task in obtaining)
        for progress in all_progress:
            progress.stopped = True
        slow.over.set()
        await asyncio.gather(*obtaining)
        await asking.neighbours.aclose()

    with serving(Node(cut=1000, stalls=True, leaves=True)) as slow:
        asyncio.run(asyncio.wait_for(story(), 60))


def test_an_attempt_that_is_stopped_leaves_off(asking: Asking) -> None:
    async def story() -> None:
        progress = Progress()
        asking.urls[:] = [slow.url]
        obtaining = asyncio.create_task(
            asking.neighbours.obtain(RECORD, asking.place, progress, insistent=True)
        )
        while not progress.came:  # noqa: ASYNC110 - written by another thread
            await asyncio.sleep(0.01)
        progress.stopped = True
        obtaining.cancel()
        await asyncio.gather(obtaining, return_exceptions=True)
        await asking.neighbours.aclose()

    with serving(Node(cut=1000, stalls=True)) as slow:
        asyncio.run(asyncio.wait_for(story(), 20))


def test_nothing_is_asked_of_a_name_that_has_come_to_lead_elsewhere(tmp_path: Path) -> None:
    """What is offered at an address that is allowed is not fetched from one that is not."""

    def refuse(host: str, port: int, seconds: float) -> socket.socket:
        raise PermissionError(f"{host} is inside this node's own network")

    with serving(Node(leaves=True)) as holder:
        root = str(published(DATA)[0])
        attempt = offers.Attempt(RECORD, tmp_path / "place", Progress())
        for means in (Leaves(refuse), Assembly(MemoryBlockstore(), refuse)):
            offer = offers.Offer(holder.url, recipe=root, root=root)
            with pytest.raises(offers.NeighbourFailed, match="own network"):
                asyncio.run(means.bring(offer, attempt))
            means.close()
        with pytest.raises(Unavailable):
            Around(lambda: [holder.url], refuse).get(CID.of(b"a block"))
        assert holder.asked == []
