"""Taking a file in: disk, SHA-256 and CID in one pass, beside `ipfs add` to a running Kubo.

    make bench-ingest           (installs of Kubo: .ci/peers/kubo)

Ours is what a node does with the bytes of a transfer (`mirror.sink`). Each round has a new
file of random bytes, so that neither side finds it stored.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report import Row, alternate, print_rows
from tests import peers
from tests.ipfs import kubo as peer

from dpip.mirror.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 128 * 2**20
PIECE = 2**18


def fresh(folder: Path) -> Path:
    """Write a file that nobody has seen; return it."""
    path = folder / "file.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


def ours(folder: Path) -> tuple[float, str]:
    """Return MB/s of our pass, and the CID."""
    path, part = fresh(folder), folder / "part"

    async def take() -> str:
        sink = Sink(part, lambda _: None)
        with path.open("rb") as file:
            while data := file.read(PIECE):
                await sink.feed(data)
        return (await sink.finish())[1]

    began = time.perf_counter()
    cid = asyncio.run(take())
    taken = time.perf_counter() - began
    part.unlink()
    return SIZE / taken / 1e6, cid


def kubos(daemon: peer.Kubo, folder: Path) -> tuple[float, str]:
    """Return MB/s of `ipfs add`, and the CID."""
    path = fresh(folder)
    began = time.perf_counter()
    cid = daemon.run("add", "-Q", "--pin=false", str(path)).decode().strip()
    return SIZE / (time.perf_counter() - began) / 1e6, cid


@contextmanager
def daemon(folder: Path) -> Iterator[peer.Kubo]:
    """Run a closed Kubo of the profile whose CIDs we compute."""
    kubo = peer.create(peers.require("kubo"), folder)
    try:
        kubo.run("config", "profile", "apply", "unixfs-v1-2025")
        kubo.start()
        yield kubo
    finally:
        kubo.stop()


def main() -> int:
    """Measure in turn; the two must agree on the CID of one file first."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        daemon(Path(scratch) / "repo") as running,
    ):
        folder = Path(scratch)
        cid = ours(folder)[1]
        same = running.run("add", "-Q", "--pin=false", str(folder / "file.bin")).decode().strip()
        if cid != same:
            sys.exit(f"error: ours {cid}, Kubo's {same}")
        a, b = alternate(lambda: ours(folder)[0], lambda: kubos(running, folder)[0])
    print_rows([Row("128 MiB taken in, SHA-256 and CID", a, b, "MB/s", "ipfs add", "≥ 1.5")])
    return 0


if __name__ == "__main__":
    sys.exit(main())
