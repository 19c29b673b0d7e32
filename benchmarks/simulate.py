"""A mirror of a whole index, simulated: what grows with its size, and what does not.

    make simulate                         up to a million projects, with ten million files
    make simulate SIZES="10000 100000"    two minutes in place of half an hour (and 10 GB)

For each size a synthetic catalog is made (a page, ten files and their archives' rows for each
project; about 7 kB a project). Then each phase runs in a process of its own: a node's start to
its ready line and its memory, pages by HTTP, a sync of 14,000 changed projects against an
upstream in memory whose root list has all of them, catch-up over those changes, the report
of completeness; and a first publication of everything into a store on disk, then one of 14,000
and one of a single project on top. Numbers are this machine's; how they grow is the result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.simulated import MemoryUpstream, make, name_of, project_of

from dpip.ipfs.cid import CID
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.wrappers import Passing
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.coverage import coverage
from dpip.mirror.ingest import Ingest
from dpip.mirror.judging import Judging, sidecars
from dpip.mirror.planning import RULES
from dpip.mirror.publish import Change, Publisher
from dpip.mirror.scope import Scope
from dpip.mirror.selection import read_selection
from dpip.mirror.sync import Sync
from dpip.mirror.tree import Held
from dpip.mirror.worklist import Worklist

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dpip.ipfs.blockstore import Block

CHANGES = 14_000
ROUNDS = 200


def start(home: Path, projects: int) -> dict[str, float]:
    """Start a node, ask it for pages at random places and for the root list."""
    command = [sys.executable, "-m", "dpip", "node", "run", "--offline", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--home", str(home)], stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        url = node.stdout.readline().split()[1]
        found = {"start s": time.perf_counter() - began, "idle MiB": resident(node.pid)}
        chance, taken = random.Random(1), []
        for _ in range(ROUNDS):
            page = f"{url}/simple/{name_of(chance.randrange(projects))}/"
            taken.append(_get(page)[0])
        found["page ms"] = statistics.median(taken) * 1000
        found["pages MiB"] = resident(node.pid)
        found["root list s"], size = _get(f"{url}/simple/")
        found["root list MB"] = size / 1e6
        found["after list MiB"] = resident(node.pid)
        found["numbers ms"] = _get(f"{url}/")[0] * 1000
        node.terminate()
        node.wait(30)
    return found


def _get(url: str) -> tuple[float, int]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began, size = time.perf_counter(), 0
    with opener.open(url, timeout=300) as answer:
        while data := answer.read(2**20):
            size += len(data)
    return time.perf_counter() - began, size


def resident(pid: int) -> float:
    """Return a process's resident memory in MiB, as /proc tells it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def sync(home: Path, projects: int) -> dict[str, float]:
    """Follow an upstream in which some projects changed, then read the changes."""
    catalog = Catalog(home / "catalog.sqlite3")
    worklist = Worklist(catalog)
    worklist.set_mark(RULES, "none").result()
    count = min(CHANGES, projects // 2)
    changed = frozenset(random.Random(2).sample(range(projects), count))
    upstream: Any = MemoryUpstream(projects, changed)
    archives = Archives(home / "archives")
    work = Sync(
        judging=Judging(catalog, sidecars(upstream)),
        upstream=upstream,
        scope=Scope(read_selection({}, lambda _: "")),
        rules="none",
        own=lambda _: True,
        catalog=catalog,
        worklist=worklist,
        archives=archives,
        ingest=Ingest(
            upstream=upstream, archives=archives, catalog=catalog, now=time.time, max_size=2**30
        ),
        now=time.time,
    )
    before = memory()
    began = time.perf_counter()
    asyncio.run(work.plan())
    planned = time.perf_counter()
    asyncio.run(work.work())
    done = time.perf_counter()
    assert work.round.done == count, work.round
    seen, cursor = 0, 0
    while rows := catalog.changed_since(cursor, 1000):
        seen, cursor = seen + len(rows), rows[-1][0]
    caught_up = time.perf_counter() - done
    assert seen == count
    used, began_counting = memory() - before, time.perf_counter()
    assert coverage(catalog).projects == projects
    counted = time.perf_counter() - began_counting
    catalog.close()
    return {
        "changes": count,
        "plan s": planned - began,
        "work s": done - planned,
        "changes/s": count / (done - planned),
        "catch-up s": caught_up,
        "sync MiB over base": used,
        "completeness s": counted,
    }


class Counted(Passing):
    """A store that counts what is put."""

    blocks = 0

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks."""
        given = list(blocks)
        self.blocks += len(given)
        super().put(given)


def publish(home: Path, projects: int) -> dict[str, float]:
    """Publish everything, then some changes on top, then one."""
    disk = DiskBlockstore(home / "blocks")
    store = Counted(disk)
    publisher = Publisher(home / "published.sqlite3", store, PrivateKey.generate())
    before, found = memory(), {}
    count = min(CHANGES, projects // 2)
    some = random.Random(3).sample(range(projects), count)
    for what, numbers in (("all", range(projects)), ("changes", some), ("one", some[:1])):
        store.blocks, began = 0, time.perf_counter()
        publisher.publish(_changes(numbers, what), time.time_ns())
        found[f"publish {what} s"] = time.perf_counter() - began
        found[f"publish {what} blocks"] = float(store.blocks)
        found[f"publish {what} MiB over base"] = memory() - before
    publisher.close()
    disk.close()
    found["blocks MB"] = sum(f.stat().st_size for f in (home / "blocks").rglob("*.*")) / 1e6
    return found


def _changes(numbers: Iterable[int], source: str) -> Iterator[Change]:
    """Yield projects whose pages differ by `source`; their archives have one CID, not written."""
    held = Held(CID.of(b"an archive"), 100)
    for number in numbers:
        page = project_of(number, serial=1_000_000 + len(source))
        yield Change(page.name, source, page, {file.filename: held for file in page.files})


def memory() -> float:
    """Return the most MiB that this process has held, as /proc tells it."""
    status = Path("/proc/self/status").read_text()
    [peak] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak.split()[1]) / 1024


PHASES = {"start": start, "sync": sync, "publish": publish}


def measure(projects: int, directory: Path) -> dict[str, float]:
    """Make a catalog and run every phase over it, each in its own process."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        home = Path(folder)
        began = time.perf_counter()
        make(home, projects)
        found = {"made s": time.perf_counter() - began}
        found["catalog MB"] = (home / "catalog.sqlite3").stat().st_size / 1e6
        for phase in PHASES:
            print(f"{projects:,}: {phase}", file=sys.stderr, flush=True)
            words = ["--phase", phase, "--home", folder, "--sizes", str(projects)]
            command = [sys.executable, "-m", "benchmarks.simulate", *words]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            found |= json.loads(done.stdout)
        return found


def main() -> int:
    """Print a table: one column for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--phase", choices=list(PHASES))
    parser.add_argument("--home", type=Path)
    args = parser.parse_args()
    if args.phase:
        print(json.dumps(PHASES[args.phase](args.home, args.sizes[0])))
        return 0
    columns = [measure(size, args.directory) for size in args.sizes]
    print("| what |" + "".join(f" {size:,} |" for size in args.sizes))
    print("|---|" + "---|" * len(columns))
    for what in dict.fromkeys(key for column in columns for key in column):
        values = (f" {column[what]:,.4g} |" if what in column else " - |" for column in columns)
        print(f"| {what} |" + "".join(values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
