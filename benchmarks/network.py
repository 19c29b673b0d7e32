"""Nodes beside each other: how fast news is, what an upgrade moves, what a peer is good for.

    make bench-network [NODES=20] [PARTS="news absences installs upgrades"]

All nodes are real processes on loopback. News is timed from the moment at which the first
node shows a page to the moment at which the last one does. Releases are real ones
(`benchmarks.releases`). Installs are pip's, of twenty small projects, through a node with a
peer that has them beside a node without one; both have the same upstream, so many
milliseconds away, which the first is free to turn to.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.releases import SPANS, Release, fetch
from benchmarks.report import Row, print_rows
from tests.app.nodes import node
from tests.federation.processes import fetch as get
from tests.federation.processes import filenames, network, rid, until
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.koi import RID, Bundle, EventType, RIDType
from dpip.koi.testing import Ring
from dpip.mirror.store import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.federation.processes import Network

    from dpip.koi import Cache

NODES = int(os.environ.get("NODES", "20"))
PARTS = os.environ.get("PARTS", "news absences installs upgrades").split()
NOTE = RIDType.from_string("orn:bench.note")
ROUNDS = 5
PROJECTS = 20
BUDGETS = {("django", "wheel"): 0.06, ("numpy", "sdist"): 0.04, ("setuptools", "wheel"): 0.17}


def news(net: Network) -> tuple[float, float]:
    """Return the medians of seconds until a release is everywhere, and a quarantine."""
    releases, hidings = [], []
    for number in range(ROUNDS):
        name = f"demo-{number}"
        net.index.add(name, wheel(name, "1.0"))
        assert filenames(net.nodes[0].url, name)
        releases.append(net.spread(lambda url, name=name: bool(filenames(url, name))))  # type: ignore[misc]
        net.index.status[name] = ("quarantined", None)
        assert not filenames(net.nodes[0].url, name)
        hidings.append(net.spread(lambda url, name=name: not filenames(url, name)))  # type: ignore[misc]
    return statistics.median(releases), statistics.median(hidings)


def upgrade(old: Release, new: Release) -> float:
    """Return the share of the newer archive's bytes that moves between two nodes."""
    archives = [Archive(r.path.name, r.path.read_bytes()) for r in (old, new)]
    with tempfile.TemporaryDirectory() as folder, FixtureIndex() as index:
        one, two = Path(folder, "one"), Path(folder, "two")
        index.add(old.project, *archives)
        with node(one, "--index-url", index.url) as a, node(two, "--index-url", index.url) as b:
            for archive in archives:
                download(a.url, old.project, archive)
                take_apart(one, archive)
            download(b.url, old.project, archives[0])
            take_apart(two, archives[0])
        with (
            node(one, "--offline") as a,
            node(two, "--offline", "--first-contact", a.url) as b,
        ):
            until(lambda: json.loads(get(f"{b.url}/healthz"))["peers"])
            download(b.url, old.project, archives[1])
            health = json.loads(get(f"{b.url}/healthz"))
    assert health["bytes_from_peers"] == len(archives[1].content)
    return float(health["bytes_moved_for_them"] / health["bytes_from_peers"])


def download(url: str, project: str, archive: Archive) -> None:
    assert archive.filename in filenames(url, project)
    assert get(f"{url}/files/{archive.sha256}/{archive.filename}") == archive.content


def take_apart(home: Path, archive: Archive) -> None:
    """Do now what a node does in its idle time."""
    with opened(home) as archives:
        place = archives.place(archive.sha256, archive.filename)
        archives.add(place, archive.sha256, archive.filename)


def install(url: str, folder: Path) -> float:
    """Return the seconds that pip takes to install all projects."""
    names = [f"small-{number}" for number in range(PROJECTS)]
    begun = time.perf_counter()
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", "--no-deps"]
    quiet = ["--no-compile", "--disable-pip-version-check"]
    where = ["--index-url", f"{url}/simple/", "--target", str(folder)]
    subprocess.run([*pip, *quiet, *where, *names], check=True)
    return time.perf_counter() - begun


def installs() -> Iterator[Row]:
    """Compare a peer that has everything with an upstream at 0, 20 and 100 ms."""
    with tempfile.TemporaryDirectory() as folder, FixtureIndex() as index:
        for number in range(PROJECTS):
            name = f"small-{number}"
            index.add(name, wheel(name.replace("-", "_"), "1.0", size=100_000))
        root = Path(folder)
        with node(root / "a", "--index-url", index.url) as a:
            install(a.url, root / "warm")
            for milliseconds in (0, 20, 100):
                index.switches.delay = 0
                flags = ("--index-url", index.url, "--first-contact", a.url)
                with node(root / f"b{milliseconds}", *flags, DPIP_TRUSTED_NODES=rid(a.url)) as near:
                    until(lambda url=near.url: known(url) >= PROJECTS)  # type: ignore[misc]
                    index.switches.delay = milliseconds / 1000
                    ours = install(near.url, root / f"ours{milliseconds}")
                    given = json.loads(get(f"{near.url}/healthz"))["files_from_peers"]
                with node(root / f"c{milliseconds}", "--index-url", index.url) as far:
                    theirs = install(far.url, root / f"theirs{milliseconds}")
                what = f"{PROJECTS} projects installed, {given} from a peer"
                yield Row(what, ours, theirs, "s", f"upstream at {milliseconds} ms")


def known(url: str) -> int:
    """Return how many project pages a node has, without asking it for one."""
    metrics = get(f"{url}/metrics").decode()
    [line] = [line for line in metrics.splitlines() if line.startswith("dpip_pages ")]
    return int(float(line.split()[1]))


def upgrades() -> Iterator[Row]:
    """Take the last two releases of each project that has a budget."""
    for span in SPANS:
        wanted = [kind for project, kind in BUDGETS if project == span.project]
        if not wanted:
            continue
        found = sorted(fetch(span, last=2), key=lambda release: release.version)
        for kind in wanted:
            old, new = [release for release in found if release.kind == kind][-2:]
            what = f"{span.project} {old.version} → {new.version}, {kind}: bytes moved"
            budget = f"≤ {BUDGETS[span.project, kind]}"
            yield Row(what, upgrade(old, new), 1.0, "share", "the archive", budget)


def spreads() -> Iterator[Row]:
    """Tell how long news takes to be everywhere."""
    with tempfile.TemporaryDirectory() as folder, network(Path(folder), NODES) as net:
        until(lambda: json.loads(get(f"{net.nodes[-1].url}/healthz"))["peers"] == NODES - 1, 120)
        known, hidden = news(net)
    yield Row(f"a release known at all of {NODES} nodes", known, 1.0, "s", "bound", "≤ 1.0")
    yield Row(f"a quarantine hides it at all {NODES}", hidden, 1.0, "s", "bound", "≤ 1.0")


def catch_up(*, journal: bool) -> tuple[int, float]:
    """Return bytes and seconds by which a node learns 7 changes of 10,000, after an absence."""
    with tempfile.TemporaryDirectory() as folder, Ring(2, folder, rid_types=[NOTE]) as ring:
        rids = [RID.from_string(f"{NOTE}:{number}") for number in range(10_000)]
        held = [Bundle.generate(rid, {"text": "old"}, now=ring.clock()) for rid in rids]
        cache: Cache = ring[0].cache  # type: ignore[assignment]
        cache.put_many([(bundle, None, True) for bundle in held])
        ring.kill(1)
        ring.restart(1)
        ring.settle()
        ring.kill(1)
        for rid in rids[:5]:
            changed = Bundle.generate(rid, {"text": "new"}, now=ring.clock())
            ring[0].processor.handle(bundle=changed)
        for rid in rids[-2:]:
            ring[0].processor.handle(rid=rid, event_type=EventType.FORGET)
        ring[0].processor.flush_kobj_queue()
        ring[0].network.outbox.drop(ring[1].identity.rid)
        if not journal:
            ring[0].network.response_handler.journal = None
        ring.network.moved, begun = 0, time.perf_counter()
        ring.restart(1)
        ring.settle()
        return ring.network.moved, time.perf_counter() - begun


def absences() -> Iterator[Row]:
    """Compare reading a provider's journal with listing and comparing all that it has."""
    ours, theirs = catch_up(journal=True), catch_up(journal=False)
    what = "7 changes of 10,000 learned after an absence"
    yield Row(f"{what}: bytes", ours[0], theirs[0], "B", "listing the type")
    yield Row(what, ours[1] * 1000, theirs[1] * 1000, "ms", "listing the type")


def main() -> None:
    """Measure the parts asked for and print one table."""
    parts = {"news": spreads, "absences": absences, "installs": installs, "upgrades": upgrades}
    print_rows([row for part in PARTS for row in parts[part]()])


if __name__ == "__main__":
    main()
