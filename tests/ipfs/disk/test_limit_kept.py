"""Whatever comes, is used and is pinned, in whatever order: the limit is kept, the pins too."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ipfs.archive import made
from tests.ipfs.disk.conftest import Clock

from dpip.ipfs.disk import hot, limit
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.fsck import check
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.disk.store import DiskBlockstore

DAY = 86400
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "pin", "spare", "use", "wait", "apart"]), st.integers(0, 5)),
    min_size=4,
    max_size=14,
)
WHEELS = [
    # Neighbours share half of their content.
    made.wheel({"demo/a.txt": made.text(n // 2, 30_000), "demo/b.txt": made.text(90 + n, 30_000)})
    for n in range(6)
]
HASHES = [hashlib.sha256(one).hexdigest() for one in WHEELS]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, share=st.floats(0.05, 1.2))
def test_the_limit_is_kept_and_so_is_what_is_pinned(
    steps: list[tuple[str, int]], share: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        clock = Clock()
        store = DiskBlockstore(Path(name) / "blocks", clock=clock)
        try:
            _story(Archives(store, Path(name)), clock, steps, share)
        finally:
            store.close()


def _story(archives: Archives, clock: Clock, steps: list[tuple[str, int]], share: float) -> None:
    pinned, spared = _played(archives, clock, steps)
    clock.now += DAY
    stored = {one.sha256 for one in archives.listing()}
    told: list[str] = []
    room = max(1, int(limit.size(archives) * share))
    done = limit.enforce(archives, room, spared=spared, forget=told.append)
    left = {one.sha256 for one in archives.listing()}
    assert (pinned | spared) & stored <= left
    assert sorted(told) == sorted(stored - left)
    assert done.size == limit.size(archives)
    assert done.size <= room or left == (pinned | spared) & stored
    for sha256 in left:
        assert hashlib.sha256(archives.open(sha256).read_bytes()).hexdigest() == sha256
    assert not list(check(archives))


def _played(
    archives: Archives, clock: Clock, steps: list[tuple[str, int]]
) -> tuple[set[str], set[str]]:
    """Do what the steps say; return the hashes of what is pinned and of what is spared."""
    pinned, spared = set[str](), set[str]()
    for step, n in [("add", 0), *steps]:
        archive = archives.find(HASHES[n])
        if step == "wait":
            clock.now += DAY
        elif step == "spare":
            spared.add(HASHES[n])
        elif step == "add":
            source = archives.store.folder / "incoming"
            source.write_bytes(WHEELS[n])
            archives.add(source, HASHES[n], f"demo-{n}-py3-none-any.whl")
            source.unlink()
        elif archive is not None and step == "pin":
            Pins(archives.store).add(archive.root, "mine")
            pinned.add(archive.sha256)
        elif archive is not None and step == "use":
            archives.touch([archive.sha256])
        elif step == "apart":
            hot.trim(archives, 0)
    return pinned, spared
