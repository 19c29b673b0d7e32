"""A mirror of a whole index, simulated: what grows with its size, and what does not.

    make simulate                                   10,000 and 100,000 projects
    make simulate SIZES="10000 100000 1000000"      and a million, with ten million files

For each size a synthetic catalog is made (a page, ten files and their archives' rows for each
project; about 7 kB a project). Then each phase runs in a process of its own: a node's start to
its ready line and its memory, pages by HTTP, a sync of 14,000 changed projects against an
upstream in memory whose root list has all of them, catch-up over those changes, and a
publication of 1,000 of them on top of a published index (up to 100,000 projects, because its
blocks are held in memory). Numbers are this machine's; how they grow is the result.
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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.keys import PrivateKey
from dpip.mirror import schema
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.ingest import Ingest
from dpip.mirror.publish import Change, Publisher
from dpip.mirror.scope import Scope
from dpip.mirror.selection import read_selection
from dpip.mirror.sync import RULES, Sync
from dpip.mirror.tree import Held
from dpip.mirror.worklist import Worklist
from dpip.simple.model import File, Project, ProjectEntry
from dpip.simple.render import render
from dpip.simple.upstream import Fetched, Validators

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Iterator

FILES = 10
SERIAL = 1_000_000
CHANGES = 14_000
PUBLISHED = 1_000
MOST_PUBLISHED = 100_000
CHUNK = 20_000
ROUNDS = 200


def name_of(number: int) -> str:
    return f"project-{number:07d}"


def project_of(number: int, serial: int = SERIAL) -> Project:
    name = name_of(number)
    files = tuple(
        File(
            f"{name.replace('-', '_')}-{version}.0-py3-none-any.whl",
            f"http://upstream.invalid/{name}/{version}",
            {"sha256": f"{number * FILES + version:064x}"},
            size=100_000,
            upload_time="2026-01-02T03:04:05Z",
            core_metadata={},
        )
        for version in range(FILES)
    )
    return Project(name, files, last_serial=serial)


def make(home: Path, projects: int) -> None:
    """Fill the catalog of a home with rows as a finished sync leaves them."""
    database, _ = schema.open_database(home / "catalog.sqlite3")
    database.execute("PRAGMA synchronous=OFF")
    page = render(project_of(0))
    for start in range(0, projects, CHUNK):
        numbers = range(start, min(start + CHUNK, projects))
        database.execute("BEGIN")
        _fill(database, numbers, page.html_gzip, page.json_gzip)
        database.execute("COMMIT")
    database.close()


def _fill(database: sqlite3.Connection, numbers: range, html: bytes, body: bytes) -> None:
    database.executemany(
        "INSERT INTO projects VALUES (?,0,1,'\"e\"',NULL,?,'active','upstream')",
        ((name_of(n), SERIAL) for n in numbers),
    )
    database.executemany(
        "INSERT INTO pages VALUES (?,?,?,?,?)",
        ((name_of(n), f'"{n}"', SERIAL, html, body) for n in numbers),
    )
    database.executemany(
        "INSERT INTO followed VALUES (?,?,1,1,NULL,0,'')", ((name_of(n), SERIAL) for n in numbers)
    )
    files = [(n, file) for n in numbers for file in project_of(n).files]
    database.executemany(
        "INSERT INTO files (key, filename, project, sha256, size, url, sidecar, listed)"
        " VALUES (?,?,?,?,?,?,1,1)",
        ((f.sha256, f.filename, name_of(n), f.sha256, f.size, f.url) for n, f in files),
    )
    database.executemany(
        "INSERT INTO archives VALUES (?,?,?,'cid','upstream',1)",
        ((f.sha256, f.filename, f.size) for _, f in files),
    )


class MemoryUpstream:
    """An index whose pages are computed; `changed` numbers have a newer serial and a yank."""

    def __init__(self, projects: int, changed: frozenset[int]) -> None:
        self._projects = projects
        self._changed = changed

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        del known
        page = project_of(int(name.rpartition("-")[2]), SERIAL + 1)
        files = (replace(page.files[0], yanked="broken"), *page.files[1:])
        return Fetched(replace(page, files=files), Validators('"n"'))

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        for number in range(self._projects):
            yield ProjectEntry(name_of(number), SERIAL + (number in self._changed))


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
    catalog.close()
    return {
        "changes": count,
        "plan s": planned - began,
        "work s": done - planned,
        "changes/s": count / (done - planned),
        "catch-up s": caught_up,
        "sync MiB over base": memory() - before,
    }


def publish(home: Path, projects: int) -> dict[str, float]:
    """Publish everything, then some changes on top."""
    if projects > MOST_PUBLISHED:
        return {}
    store = MemoryBlockstore()
    publisher = Publisher(home / "published.sqlite3", store, PrivateKey.generate())
    held = CID.of(b"an archive")

    def changes(numbers: range, source: str) -> Iterator[Change]:
        for number in numbers:
            page = project_of(number)
            page = replace(page, files=page.files[:1])
            files = {file.filename: Held(held, 100) for file in page.files}
            yield Change(page.name, source, page, files)

    began = time.perf_counter()
    publisher.publish(changes(range(projects), "1"), time.time_ns())
    first = time.perf_counter()
    some = range(0, projects, max(1, projects // PUBLISHED))[:PUBLISHED]
    publisher.publish(changes(some, "2"), time.time_ns())
    return {
        "publish all s": first - began,
        f"publish {PUBLISHED} s": time.perf_counter() - first,
    }


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
