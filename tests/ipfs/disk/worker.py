"""A process that works on a store until it is killed; prints what is promised to be kept."""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

from tests.ipfs.archive import made

from dpip.ipfs.disk import hot, limit
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.collect import collect
from dpip.ipfs.disk.compact import compact
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.disk.store import DiskBlockstore


def main(folder: str, seed: str) -> None:
    """Import, unpin, collect, trim and compact in a random order, for ever."""
    choice = random.Random(int(seed))
    store = DiskBlockstore(Path(folder), pack_size=200_000)
    archives = Archives(store)
    print("ready", flush=True)
    while True:
        what = choice.choice(("add", "add", "add", "unpin", "collect", "trim", "compact", "limit"))
        if what == "add":
            data = archive(choice.randrange(10**9))
            source = Path(folder).with_name("incoming")
            source.write_bytes(data)
            sha256 = hashlib.sha256(data).hexdigest()
            archives.add(source, sha256, "demo.whl")
            print("kept", sha256, flush=True)
        elif what == "unpin":
            known = list(archives.listing())
            if known:
                gone = choice.choice(known)
                print("gone", gone.sha256, flush=True)
                Pins(store).remove(gone.root)
        elif what == "collect":
            collect(archives, grace=-60)
        elif what == "trim":
            hot.trim(archives, 0, keep=-60)
        elif what == "limit":
            room = limit.size(archives) * 3 // 4
            for one in limit.plan(archives, room, keep=-60).archives:
                print("gone", one.sha256, flush=True)
            limit.enforce(archives, room, keep=-60, settled=-60, grace=-60)
        else:
            compact(store, dead=0.05)


def archive(seed: int) -> bytes:
    """Return a wheel or an sdist, much of it the same for every seed."""
    files = {**made.PACKAGE, "demo/version.py": b"%d" % seed, "demo/own.txt": made.text(seed, 9000)}
    return made.wheel(files) if seed % 2 else made.sdist(files)


if __name__ == "__main__":
    main(*sys.argv[1:])
