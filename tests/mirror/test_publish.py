from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpip.ipfs import files, ipns
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.dag import resolve
from dpip.ipfs.directory import Directory
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.walk import walk
from dpip.mirror import publish
from dpip.mirror.publish import LIFETIME, Change, Publisher
from dpip.mirror.tree import Held, put_file
from dpip.simple.model import File, Project

NOW = 1_800_000_000 * ipns.SECOND


class Counting(MemoryBlockstore):
    """Counts the bytes and the blocks that are put and were not there."""

    written = 0
    blocks = 0

    def put(self, blocks: object) -> None:
        for block in blocks:  # type: ignore[attr-defined]
            self.blocks += not self.has(block.cid)
            self.written += len(block.data)
            super().put([block])


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def publisher(tmp_path: Path, store: Counting) -> Iterator[Publisher]:
    opened = Publisher(tmp_path / "state", store, PrivateKey.from_seed(bytes(32)))
    yield opened
    opened.close()


def change(store: MemoryBlockstore, name: str, version: str = "1") -> Change:
    filename = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    link = put_file(store, f"{name} {version}".encode())
    page = Project(name, (File(filename, f"https://elsewhere/{filename}"),), (version,))
    return Change(name, version, page, {filename: Held(link.cid, link.tsize)})


def read(store: MemoryBlockstore, root: CID, path: str) -> bytes:
    found = resolve(store, root, path.split("/"))
    return b"".join(files.read(store, found.cid))


def test_what_is_published_can_be_read_from_the_head(store: Counting, publisher: Publisher) -> None:
    assert publisher.head() is None
    head = publisher.publish([change(store, "flask"), change(store, "click")], NOW)
    assert head.record.value == f"/ipfs/{head.root}"
    assert ipns.verify(head.record.raw, publisher.name, NOW).sequence == 1
    assert read(store, head.root, "flask/flask-1-py3-none-any.whl") == b"flask 1"
    assert b"click-1-py3-none-any.whl" in read(store, head.root, "click/index.html")
    listing = read(store, head.root, "index.html")
    assert listing.index(b"click/") < listing.index(b"flask/")
    assert publisher.head() == head
    assert list(publisher.names()) == ["click", "flask"]


def test_a_project_is_updated_and_taken_out(store: Counting, publisher: Publisher) -> None:
    publisher.publish([change(store, "flask"), change(store, "click")], NOW)
    head = publisher.publish([change(store, "flask", "2")], NOW)
    assert publisher.source_of("flask") == "2"
    assert b"flask-2-" in read(store, head.root, "flask/index.html")
    assert head.record.sequence == 2
    head = publisher.publish([Change("flask", "", None, {}), Change("never", "", None, {})], NOW)
    assert b"flask" not in read(store, head.root, "index.html")
    assert list(publisher.names()) == ["click"]


def test_the_same_content_has_the_same_root_whatever_the_order(
    tmp_path: Path, store: Counting
) -> None:
    names = [f"{letter}{n}" for n in range(40) for letter in "abc"]
    roots = set()
    for number, order in enumerate((names, list(reversed(names)))):
        publisher = Publisher(tmp_path / str(number), store, PrivateKey.generate())
        for name in order[:60]:
            publisher.publish([change(store, name)], NOW)
        roots.add(publisher.publish([change(store, name) for name in order[60:]], NOW).root)
        publisher.close()
    assert len(roots) == 1


def test_a_change_costs_what_it_touches(store: Counting, publisher: Publisher) -> None:
    names = [f"{a}{b}-{n}" for a in "abcdefgh" for b in "abcdefgh" for n in range(100)]
    publisher.publish([change(store, name) for name in names], NOW)
    everything = store.written
    store.written = 0
    publisher.publish([change(store, "aa-7", "2")], NOW)
    updated, store.written = store.written, 0
    head = publisher.publish([change(store, "aa-new")], NOW)
    assert updated < everything / 100
    assert store.written < everything / 100
    assert sum(1 for _ in walk(store, head.root)) > len(names)


@pytest.mark.parametrize("projects", [300, 3000])
def test_a_change_writes_its_path_and_nothing_else(
    store: Counting, publisher: Publisher, projects: int
) -> None:
    names = [f"python-thing-{number}" for number in range(projects)]
    publisher.publish([change(store, name) for name in names], NOW)
    depth = 1 if projects == 300 else 3

    def blocks(*changes: Change) -> int:
        before = store.blocks
        publisher.publish(changes, NOW)
        return store.blocks - before

    # Two pages and the directory of the project; the path to it from the root.
    newer = change(store, names[7], "2")
    assert 3 + 1 <= blocks(newer) <= 3 + depth
    assert blocks(newer) == 0, "what is published already is not published again"
    # And a leaf of the page of all projects, or two, with the node above them.
    added = change(store, "python-thing-new")
    assert 3 + 1 + 2 <= blocks(added) <= 3 + depth + 3
    assert blocks(Change("python-thing-new", "", None, {})) <= depth + 3


def test_a_failed_publication_leaves_the_last_head(
    store: Counting, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = publisher.publish([change(store, "flask")], NOW)

    def full(blocks: list[Block]) -> None:
        raise OSError(28, "No space left on device")

    bad = change(store, "click")
    with monkeypatch.context() as patched:
        patched.setattr(store, "put", full)
        with pytest.raises(OSError, match="space"):
            publisher.publish([bad], NOW)
    assert publisher.head() == head
    assert publisher.source_of("click") is None
    assert publisher.publish([bad], NOW).record.sequence == 2


def test_a_killed_publication_goes_on_where_it_was(
    tmp_path: Path, store: Counting, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "STEP", 10)
    monkeypatch.setattr(publish, "LOADED", 16)
    names = [f"project-{number}" for number in range(45)]
    first = publisher.publish([change(store, name) for name in names[:20]], NOW)
    read_up_to: list[str] = []
    kept: list[CID] = []

    def changes(start: int) -> Iterator[Change]:
        for name in names[start:]:
            if start == 0 and name == "project-37":
                raise KeyboardInterrupt
            read_up_to.append(name)
            yield change(store, name, "2")

    dying = Publisher(tmp_path / "state", store, PrivateKey.from_seed(bytes(32)), keep=kept.append)
    with pytest.raises(KeyboardInterrupt):
        dying.publish(changes(0), NOW, cursor=lambda: str(len(read_up_to)))
    dying.close()
    assert len(kept) == 3
    assert publisher.head() == first
    assert publisher.cursor() == "30"
    renewed = publisher.renew(NOW + LIFETIME)
    assert renewed is not None
    assert renewed.root == first.root, "a renewal publishes nothing that is half done"
    assert {entry.name for cid in kept for entry in Directory.load(store, cid).entries()} == {
        *names[:30]
    }
    head = publisher.publish(changes(30), NOW)
    assert read_up_to[-15:] == names[30:]
    fresh = Publisher(tmp_path / "fresh", store, PrivateKey.generate())
    assert fresh.publish([change(store, name, "2") for name in names], NOW).root == head.root
    fresh.close()


def test_state_of_an_earlier_layout_is_brought_along(tmp_path: Path, store: Counting) -> None:
    key = PrivateKey.from_seed(bytes(32))
    names = [f"p{number}" for number in range(600)]
    publisher = Publisher(tmp_path / "state", store, key)
    root = publisher.publish([change(store, name) for name in names], NOW).root
    publisher.close()
    with sqlite3.connect(tmp_path / "state") as database:
        database.executescript(
            "DROP TABLE leaves; DROP TABLE pending;"
            "CREATE TABLE buckets (prefix TEXT PRIMARY KEY, cid BLOB, length INTEGER)"
        )
    publisher = Publisher(tmp_path / "state", store, key)
    publisher.publish([change(store, "p-new")], NOW)
    head = publisher.publish([Change("p-new", "", None, {})], NOW)
    publisher.close()
    assert head.root == root


def test_heads_survive_and_are_renewed_before_they_expire(
    tmp_path: Path, store: Counting, publisher: Publisher
) -> None:
    assert publisher.renew(NOW) is None
    first = publisher.publish([change(store, "flask")], NOW)
    assert publisher.renew(NOW + LIFETIME // 4) is None
    renewed = publisher.renew(NOW + 3 * LIFETIME // 4)
    assert renewed is not None
    assert renewed.root == first.root
    assert renewed.record.sequence == 2
    again = Publisher(tmp_path / "state", store, PrivateKey.from_seed(bytes(32)))
    assert again.head() == renewed
    again.close()


def test_two_homes_with_one_key_publish_one_root_one_after_the_other(tmp_path: Path) -> None:
    key, stores = PrivateKey.from_seed(bytes(32)), (Counting(), Counting())
    homes = [Publisher(tmp_path / f"state{n}", store, key) for n, store in enumerate(stores)]
    known, roots = 0, set()
    for _ in range(2):
        for home, store in zip(homes, stores, strict=True):
            head = home.publish([change(store, "demo"), change(store, "other")], NOW, above=known)
            assert head.record.sequence == known + 1
            known = head.record.sequence
            roots.add(head.root)
    assert len(roots) == 1
    for home in homes:
        home.close()
