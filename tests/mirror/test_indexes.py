"""Publishing from a home: killed at any moment, with garbage collected meanwhile."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from tests.simple.fixture_index import Archive, wheel

from dpip.errors import AlreadyRunning, UsageError
from dpip.ipfs import ipns
from dpip.ipfs.directory import Directory
from dpip.ipfs.disk.archives import Archives as Store
from dpip.ipfs.disk.collect import collect
from dpip.ipfs.disk.leaves import WithLeaves
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.records import DiskRecords
from dpip.ipfs.walk import walk
from dpip.mirror import indexes, publish
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import ArchiveRecord, Catalog, PageRecord
from dpip.mirror.changes import changes
from dpip.mirror.indexes import Publication, Subscription, publish_changes, renew_head, state_path
from dpip.mirror.listing import to_records
from dpip.mirror.publish import Change
from dpip.mirror.store import opened
from dpip.simple.model import File, Project
from dpip.simple.render import render

NOW = 1_800_000_000 * ipns.SECOND
KEY = PrivateKey.from_seed(bytes(32))
PROGRAM = """
import sys
from pathlib import Path
from dpip.mirror import publish
from tests.mirror.test_indexes import published

publish.STEP = 20
step, calls = publish.Publisher._step, []

def stopping(self, *given):
    more = step(self, *given)
    calls.append(more)
    if len(calls) == 3:
        print("in the third step", flush=True)
        sys.stdin.read()
    return more

publish.Publisher._step = stopping
published(Path(sys.argv[1]))
"""


def fill(home: Path, count: int) -> None:
    """Store a wheel and a page for each of some projects."""
    catalog, archives = Catalog(home / "catalog.sqlite3"), Archives(home / "archives")
    done = [_project(catalog, archives, wheel(f"p{n}", "1.0")) for n in range(count)]
    for future in done:
        future.result()
    catalog.close()


def _project(catalog: Catalog, archives: Archives, made: Archive) -> Future[None]:
    part = archives.part(made.sha256)
    part.write_bytes(made.content)
    archives.keep(part, made.sha256, made.filename)
    name, size = made.filename.partition("-")[0], len(made.content)
    file = File(made.filename, f"http://x.invalid/{name}", {"sha256": made.sha256}, size=size)
    page = Project(name, (file,))
    catalog.put_page(PageRecord(name, 1.0), render(page), to_records(page))
    record = ArchiveRecord(made.sha256, made.filename, size, None, "upstream", 1.0)
    return catalog.put_archive(record)


def published(home: Path) -> Publication:
    """Publish what changed in a home."""
    catalog = Catalog(home / "catalog.sqlite3")
    try:
        with opened(home) as archives:
            return publish_changes(
                home=home, catalog=catalog, archives=archives,
                records=DiskRecords(home / "ipns"), key=KEY, now=NOW,
            )  # fmt: skip
    finally:
        catalog.close()


def pending(home: Path) -> int:
    """Return how many projects a publication has taken in that no head shows yet."""
    try:
        with sqlite3.connect(f"file:{state_path(home, KEY)}?mode=ro", uri=True) as state:
            found: int = state.execute("SELECT count(*) FROM pending").fetchone()[0]
            return found
    except sqlite3.OperationalError:
        return 0


def names_of_pins(home: Path) -> set[str]:
    with opened(home) as archives:
        return {pin.name for pin in Pins(archives.store)} - {"archive"}


def collected(home: Path) -> None:
    """Collect garbage as if an hour had gone by since anything was put."""
    with opened(home) as archives:
        later = archives.store.clock() + 10
        archives.store.clock = lambda: later
        assert collect(archives, grace=0.0).missing == 0


def assert_whole(home: Path, done: Publication, projects: int) -> None:
    """Check that every block of a published index is here, and every project in it."""
    with opened(home) as archives:
        blocks = list(walk(WithLeaves(archives), done.head.root))
        entries = {link.name for link in Directory.load(archives.store, done.head.root).entries()}
    assert entries == {"index.html", *(f"p{number}" for number in range(projects))}
    assert len(blocks) > 4 * projects


def test_names_that_are_not_from_the_default_source_are_not_published(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    for name, source in (
        ("p1", "private"),
        ("p2", "https://inner.invalid/simple/"),
        ("p3", "network"),
    ):
        record = catalog.record(name)
        assert record is not None
        catalog.put_record(replace(record, source=source)).result()
    catalog.close()
    assert_whole(tmp_path, published(tmp_path), 1)


def test_a_subscription_is_read_in_any_spelling_of_the_name() -> None:
    name = KEY.name.encode("k")
    assert (
        str(Subscription.parse(f" {name}@http://a:1/+https://b ")) == f"{name}@http://a:1+https://b"
    )
    assert Subscription.parse(KEY.name.encode("b")).name == name


@pytest.mark.parametrize(
    "text", ["", "k51bogus", "k51", "http://index/", "bafybeigdyrzt", "@http://a", "Qm", "flask"]
)
def test_what_is_no_index_is_not_followed(text: str) -> None:
    with pytest.raises(UsageError, match="is no index"):
        Subscription.parse(text)


def test_garbage_collection_in_the_middle_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 25)
    monkeypatch.setattr(publish, "STEP", 10)
    monkeypatch.setattr(indexes, "PAGE", 5)

    def dying(catalog: Catalog, archives: Store, names: Iterable[str]) -> Iterator[Change]:
        yield from original(catalog, archives, names)
        if catalog.last_change() and pending(tmp_path) == 20:
            raise KeyboardInterrupt

    original = changes
    with monkeypatch.context() as patched:
        patched.setattr(indexes, "changes", dying)
        with pytest.raises(KeyboardInterrupt):
            published(tmp_path)
    assert pending(tmp_path) == 20
    name = f"index {KEY.name.encode('k')}"
    assert names_of_pins(tmp_path) == {f"{name}, being published"}
    collected(tmp_path)
    done = published(tmp_path)
    assert done.projects == 10, "not those that were taken in, but for a page of them"
    assert names_of_pins(tmp_path) == {name}
    collected(tmp_path)
    assert_whole(tmp_path, done, 25)
    assert published(tmp_path).head.root == done.head.root


def test_a_killed_publication_goes_on_where_it_was(tmp_path: Path) -> None:
    fill(tmp_path, 70)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"in the third step\n"
        running.kill()
    assert pending(tmp_path) == 40
    done = published(tmp_path)
    assert pending(tmp_path) == 0
    assert done.head.record.sequence == 1
    assert_whole(tmp_path, done, 70)


def test_two_publications_at_once_are_one_too_many(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    done = published(tmp_path)
    with FileLock(state_path(tmp_path, KEY).with_suffix(".lock")):
        with pytest.raises(AlreadyRunning):
            published(tmp_path)
        with opened(tmp_path) as archives:
            record = done.head.record
            assert renew_head(tmp_path, archives.store, KEY, record, NOW) is None
    assert published(tmp_path).head.record.sequence == 2
