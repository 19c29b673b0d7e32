"""Handing over to a real daemon: imports, mounts, a daemon that is down in between."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import peers
from tests.ipfs import kubo as scratch

from dpip.ipfs import car
from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.ipfs.errors import NotFound
from dpip.ipfs.importer import FileHasher
from dpip.ipfs.kubo.engine import CarOf, Engine
from dpip.ipfs.kubo.jobs import Jobs
from dpip.ipfs.kubo.rpc import Kubo
from dpip.ipfs.profiles import UNIXFS_V1_2025
from dpip.ipfs.walk import difference, walk


def cars(store: MemoryBlockstore) -> CarOf:
    def car_of(root: CID, held: CID | None) -> Iterator[bytes]:
        blocks = walk(store, root) if held is None else difference(store, root, held)
        return car.write([root], blocks)

    return car_of


def add(store: MemoryBlockstore, data: bytes) -> CID:
    hasher = FileHasher(UNIXFS_V1_2025, lambda block: store.put([block]))
    hasher.update(data)
    return hasher.finish().cid


@pytest.fixture
def rpc(kubo: scratch.Kubo) -> Iterator[Kubo]:
    with Kubo(kubo.api) as client:
        yield client


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    queue = Jobs(tmp_path / "jobs")
    yield queue
    queue.close()


def test_what_we_import_the_daemon_gets_and_keeps(rpc: Kubo, jobs: Jobs) -> None:
    store = MemoryBlockstore()
    root = add(store, os.urandom(3_000_000))
    engine = Engine(rpc, jobs, cars(store))
    engine.hand_over(root)
    assert engine.status().waiting == 1
    assert engine.step()
    assert not engine.step()
    assert rpc.is_pinned(root)
    held = {cid.multihash for cid in rpc.refs_local()}
    assert {block.cid.multihash for block in walk(store, root)} <= held
    engine.drop(root)
    assert engine.step()
    assert not rpc.is_pinned(root)


def test_heads_of_an_index_follow_each_other(rpc: Kubo, jobs: Jobs) -> None:
    store = MemoryBlockstore()
    directory = Directory(store)
    for n in range(20):
        data = os.urandom(100)
        directory.set(f"f{n}", add(store, data), len(data))
    old = directory.write().cid
    directory.set("new", add(store, b"new"), 3)
    new = directory.write().cid
    engine = Engine(rpc, jobs, cars(store))
    for head in (old, new, new):
        engine.mount("test", head)
        assert engine.step()
        assert engine.status().waiting == 0, engine.status().oldest_problem
        assert rpc.files_stat("/dpip/test").cid == head
        assert rpc.is_pinned(head)
    assert not rpc.is_pinned(old)
    rpc.files_rm("/dpip")


def test_a_daemon_that_is_down_gets_it_all_later(rpc: Kubo, tmp_path: Path) -> None:
    store = MemoryBlockstore()
    root = add(store, os.urandom(100_000))
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = Kubo(f"http://127.0.0.1:{free.getsockname()[1]}")
    before = Jobs(tmp_path / "jobs")
    engine = Engine(dead, before, cars(store))
    engine.hand_over(root)
    assert engine.step()
    assert "cannot ask Kubo" in (engine.status().oldest_problem or "")
    before.close()
    after = Jobs(tmp_path / "jobs")
    resumed = Engine(rpc, after, cars(store))
    resumed.start()
    try:
        for _ in range(200):
            if resumed.status().waiting == 0:
                break
            import time

            time.sleep(0.02)
    finally:
        resumed.stop()
    assert rpc.is_pinned(root)
    after.close()


def test_a_dag_with_a_hole_waits_and_hurts_nobody(rpc: Kubo, jobs: Jobs) -> None:
    store = MemoryBlockstore()
    holed, whole = add(store, os.urandom(3_000_000)), add(store, b"whole")
    leaf = next(block.cid for block in walk(store, holed) if block.cid != holed)
    lost = store.get(leaf)
    store.delete([leaf])
    now = 100.0
    engine = Engine(rpc, jobs, cars(store), clock=lambda: now)
    engine.hand_over(holed)
    engine.hand_over(whole)
    assert engine.step()
    assert engine.step()
    assert rpc.is_pinned(whole)
    assert engine.status().waiting == 1
    with pytest.raises(NotFound):
        store.get(leaf)
    from dpip.ipfs.blockstore import Block

    store.put([Block(leaf, lost)])
    now += 10
    assert engine.step()
    assert rpc.is_pinned(holed)


@pytest.mark.slow
def test_a_daemon_that_is_killed_in_the_middle_gets_it_all_after_its_restart(
    tmp_path: Path,
) -> None:
    """Killed while a CAR streams in: the engine keeps the job and does it again."""
    store = MemoryBlockstore()
    root, other = add(store, os.urandom(20_000_000)), add(store, b"another")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    daemon = scratch.create(peers.require("kubo"), tmp_path / "kubo")
    address = f"/ip4/127.0.0.1/tcp/{port}"
    daemon.configure({"Addresses": {"API": address, "Swarm": ["/ip4/127.0.0.1/tcp/0"]}})
    streamed = 0

    def killing(cid: CID, held: CID | None) -> Iterator[bytes]:
        nonlocal streamed
        for number, piece in enumerate(cars(store)(cid, held)):
            if number == 5 and streamed == 0 and cid == root:
                streamed = number
                kill(daemon)
            yield piece

    daemon.start()
    now, queue = 0.0, Jobs(tmp_path / "jobs")
    with Kubo(daemon.api) as client:
        engine = Engine(client, queue, killing, clock=lambda: now)
        engine.hand_over(root)
        engine.hand_over(other)
        try:
            assert engine.step()
            assert streamed == 5
            assert engine.step()
            assert engine.status().waiting == 2
            assert "Kubo" in (engine.status().oldest_problem or "")
            (daemon.repo / "api").unlink(missing_ok=True)
            (daemon.repo / "gateway").unlink(missing_ok=True)
            daemon.start()
            now += 60
            while engine.step():
                assert not (engine.status().oldest_problem or "") or engine.status().waiting
            assert engine.status().waiting == 0
            assert client.is_pinned(root)
            assert client.is_pinned(other)
            assert sum(1 for _ in client.refs_local()) >= 20
        finally:
            queue.close()
            daemon.stop()


def kill(daemon: scratch.Kubo) -> None:
    """Kill the daemon itself, which nobody else started, and wait for its end."""
    assert daemon.keeper is not None
    listed = Path(f"/proc/{daemon.keeper.pid}/task/{daemon.keeper.pid}/children").read_text()
    (child,) = map(int, listed.split())
    os.kill(child, signal.SIGKILL)
    daemon.stop()
