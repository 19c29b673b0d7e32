"""Content beside Kubo: imports, directories, the gateway, names. `make bench-ipfs`.

Needs the peers kubo and wrk. Runs of ours and of Kubo alternate on the same data; Kubo is a
daemon that is closed to the world, our gateway a node process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import Row, alternate, print_rows
from tests.ipfs import kubo as scratch
from tests.peers import directory as peers_directory

from dpip.ipfs import car, ipns, walk
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.importer import FileHasher
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.keystore import Keystore
from dpip.ipfs.records import DiskRecords
from dpip.ipfs.tree import Importer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MiB = 1 << 20
FILE = 128 * MiB
FILES = 20_000
SECONDS = 2
ADD = ["add", "-Q", "--pin=false", "--cid-version=1", "--raw-leaves"]


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds the work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def random_file(path: Path, size: int) -> None:
    path.write_bytes(os.urandom(size))


def hashed(path: Path, *, cid: bool) -> None:
    """Read a file once: its sha256, and its CID where that is asked for."""
    whole, hasher = hashlib.sha256(), FileHasher()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(MiB):
            if cid:
                hasher.update(piece)
            whole.update(piece)
    if cid:
        hasher.finish()
    whole.hexdigest()


def imports(kubo: scratch.Kubo, work: Path) -> list[Row]:
    path = work / "file"
    flags = ["--chunker=size-1048576", "--max-file-links=1024"]

    def ours() -> float:
        random_file(path, FILE)
        return FILE / MiB / timed(lambda: hashed(path, cid=True))

    def kubos() -> float:
        random_file(path, FILE)
        return FILE / MiB / timed(lambda: kubo.run(*ADD, *flags, str(path)))

    def alone() -> float:
        return FILE / MiB / timed(lambda: hashed(path, cid=False))

    def stored() -> float:
        random_file(path, FILE)
        store = DiskBlockstore(work / "stored")
        speed = FILE / MiB / timed(lambda: list(Importer(store).add(path)))
        store.close()
        shutil.rmtree(work / "stored")
        return speed

    mine, theirs = alternate(ours, kubos, 3)
    sha, kept = alternate(alone, stored, 3)
    return [
        Row("import: CID and sha256 in one pass", mine, theirs, "MiB/s", "ipfs add", "≥ 1.5"),
        Row("the same", mine, sha, "MiB/s", "sha256 alone"),
        Row("import into the block store", kept, theirs, "MiB/s", "ipfs add"),
    ]


def directories(kubo: scratch.Kubo, work: Path) -> list[Row]:
    tree = work / "tree"
    tree.mkdir()
    for number in range(FILES):
        (tree / f"file-{number:05}.txt").write_bytes(os.urandom(200))
    store = DiskBlockstore(work / "tree-store")
    roots = []

    def ours() -> float:
        store.delete([])
        seconds = timed(lambda: roots.extend(list(Importer(store).add(tree))[-1:]))
        return FILES / seconds

    mine = ours()
    theirs = FILES / timed(lambda: kubo.run(*ADD, "-r", str(tree)))
    root = roots[0].link
    numbers = iter(range(0, FILES, 50))

    def change(number: int, *, remove: bool) -> float:
        name = f"file-{number:05}.txt"

        def work_() -> None:
            directory = Directory.load(store, root.cid, tsize=root.tsize)
            if remove:
                directory.remove(name)
            else:
                directory.set(name, CID.of(name.encode()), 200)
            directory.write()

        return timed(work_) * 1000

    replaced, removed = alternate(
        lambda: change(next(numbers), remove=False), lambda: change(next(numbers), remove=True), 15
    )
    store.close()
    return [
        Row(f"{FILES:,} files of 200 B added", mine, theirs, "files/s", "ipfs add -r", "≥ 1.0"),
        Row("one entry of them replaced, on disk", replaced, 10, "ms", "allowed", "≤ 1"),
        Row("one entry of them removed, on disk", removed, 10, "ms", "allowed", "≤ 1"),
    ]


def wrk(url: str, connections: int = 16, accept: str = "") -> float:
    """Return requests per second."""
    header = ["-H", f"Accept: {accept}"] if accept else []
    words = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", *header, url]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    if found is None or "Non-2xx" in out:
        raise SystemExit(f"wrk {url}: {out}")
    return float(found[1])


@contextlib.contextmanager
def node(home: Path) -> Iterator[str]:
    """Run a node over a home and give its URL."""
    words = [sys.executable, "-m", "dpip", "node", "run", "--offline", "--port", "0"]
    environ = {**os.environ, "DPIP_HOME": str(home)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


def gateway(kubo: scratch.Kubo, work: Path) -> list[Row]:
    home = work / "home"
    store = DiskBlockstore(home / "blocks")
    cids = {}
    for name, size in (("small", 2000), ("large", 64 * MiB)):
        random_file(work / name, size)
        cids[name] = str([*Importer(store).add(work / name)][-1].link.cid)
        blocks = walk.walk(store, CID.parse(cids[name]))
        stream = b"".join(car.write([CID.parse(cids[name])], blocks))
        kubo.rpc("dag/import", body=stream, pin_roots=False)
    key = Keystore(home / "keys").get("self")
    expires = time.time_ns() + ipns.DEFAULT_LIFETIME
    record = ipns.create(key, f"/ipfs/{cids['small']}", sequence=1, expires=expires)
    DiskRecords(home / "ipns").put(key.name, record.raw, time.time_ns())
    kubo.rpc("name/put", key.name.encode("k"), body=record.raw, allow_offline=True)
    store.close()
    rows = []
    with node(home) as url:
        for what, path, connections, budget in (
            ("2 kB file", f"/ipfs/{cids['small']}", 16, "≥ 2"),
            ("raw block of 2 kB", f"/ipfs/{cids['small']}?format=raw", 16, "≥ 2"),
            ("IPNS record", f"/ipns/{key.name.encode('k')}?format=ipns-record", 16, ""),
            ("64 MiB file", f"/ipfs/{cids['large']}", 4, "≥ 1.0"),
            ("64 MiB file as CAR", f"/ipfs/{cids['large']}?format=car", 4, "≥ 1.0"),
        ):
            scale, unit = (64, "MiB/s") if "64" in what else (1, "requests/s")
            mine, theirs = alternate(
                lambda p=path, c=connections: wrk(url + p, c),  # type: ignore[misc]
                lambda p=path, c=connections: wrk(kubo.gateway + p, c),  # type: ignore[misc]
                2,
            )
            rows.append(Row(f"gateway: {what}", mine * scale, theirs * scale, unit, "Kubo", budget))
    return rows


def names(kubo: scratch.Kubo, work: Path) -> list[Row]:
    key, records = PrivateKey.generate(), DiskRecords(work / "records")
    sequence = iter(range(1, 10_000))
    cid = kubo.add(b"named", cid_version=1)

    def ours() -> float:
        def publish() -> None:
            now = time.time_ns()
            expires = now + ipns.DEFAULT_LIFETIME
            record = ipns.create(key, f"/ipfs/{cid}", sequence=next(sequence), expires=expires)
            records.put(key.name, record.raw, now)

        return timed(publish) * 1000

    def kubos() -> float:
        return timed(lambda: kubo.rpc("name/publish", f"/ipfs/{cid}", allow_offline=True)) * 1000

    mine, theirs = alternate(ours, kubos, 15)
    return [
        Row("IPNS record signed and stored", mine, theirs, "ms", "name publish"),
        Row("the same", mine, 5, "ms", "allowed", "≤ 1"),
    ]


def main() -> None:
    program = peers_directory() / "kubo/bin/kubo"
    parts = {"imports": imports, "directories": directories, "gateway": gateway, "names": names}
    chosen = sys.argv[1:] or list(parts)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-ipfs-") as scratch_directory:
        work = Path(scratch_directory)
        kubo = scratch.create(program, work / "kubo")
        kubo.start()
        try:
            for name in chosen:
                rows += parts[name](kubo, work)
        finally:
            kubo.stop()
    print_rows(rows)


if __name__ == "__main__":
    main()
