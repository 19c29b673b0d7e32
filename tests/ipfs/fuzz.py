"""Bytes of strangers, mutated from good ones, for everything in `ipfs/` that reads bytes.

Each reader gets samples with bits flipped, pieces cut, doubled, moved and spliced, and numbers
replaced by extreme ones. It must answer or raise an IpfsError, within a second or so and
without taking memory that the input does not warrant. `test_fuzz.py` runs a short part;
`python -m tests.ipfs.fuzz --minutes 60 [READER …]` runs for as long as one likes and prints
what to repeat: `--seed N --reader NAME`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.ipfs.archive import made

from dpip.ipfs import car, dag, dagcbor, dagpb, ipns, multibase, unixfs, varint
from dpip.ipfs.archive import gzips, importer, plan, rebuild, tars, zips
from dpip.ipfs.archive.inflate import Budget
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, DAG_PB
from dpip.ipfs.directory import Directory
from dpip.ipfs.disk import frames
from dpip.ipfs.errors import IpfsError
from dpip.ipfs.importer import FileHasher
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.profiles import profile

SLOW = 20.0
"""Seconds of its own processor that one input may take."""
ROOM = 512 * 2**20
"""Bytes of memory that the whole run may grow by."""
EXTREME = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


@dataclass(frozen=True)
class Reader:
    """What is fuzzed: good inputs, and the call that reads one."""

    name: str
    samples: list[bytes]
    read: Callable[[bytes], object]


def readers() -> list[Reader]:
    """Return every reader with samples of what it reads."""
    store = MemoryBlockstore()
    hasher = FileHasher(profile(chunker="size-100", max_links=3), lambda block: store.put([block]))
    hasher.update(bytes(range(256)) * 8)
    hasher.finish()
    directory = Directory(store, profile(chunker="size-100"))
    for number in range(40):
        directory.set(f"entry-{number}", CID.of(b"%d" % number), 5)
    directory.write()
    blocks = [store.get(CID.v1(DAG_PB, one)) for one in store.multihashes()]
    nodes = [block for block in blocks if _is_node(block)]
    value = {"a": [1, -2, None, True], "b": {"c": b"bytes", "d": CID.of(b"x")}, "e": "text"}
    cbor = dagcbor.encode(value)
    some = [Block(CID.of(data), data) for data in (b"one", b"two" * 500, b"")]
    cars = b"".join(car.write([some[0].cid], some))
    key = PrivateKey.from_seed(bytes(32))
    record = ipns.create(key, "/ipfs/bafkqaaa", sequence=3, expires=2**62).raw
    small = {"demo/a.py": b"a = 1\n" * 60, "demo/b.txt": made.text(3, 3000)}
    wheel, sdist = made.wheel(small), made.sdist(small)
    tar = bytes(gzips.read(memoryview(sdist), Budget.of_archive(len(sdist))).content)
    apart: list[Block] = []
    imported = importer.take_apart(memoryview(wheel), apart.append)
    return [
        Reader(
            "varint", [varint.encode(n) for n in (0, 300, 2**63)], lambda b: varint.decode(b, 0)
        ),
        Reader("cid", [some[0].cid.raw, CID.parse("bafkqaaa").raw], CID.from_bytes),
        Reader("multibase", [b"bafkqaaa", b"zabc", b"k51q", b"uAQID"], _multibase),
        Reader("dag-pb", nodes, dagpb.decode),
        Reader("dag-pb sizes", nodes, lambda b: list(dagpb.measured(b))),
        Reader("unixfs", nodes, lambda b: unixfs.read(CID.of(b, DAG_PB), b)),
        Reader("dag-cbor", [cbor], dagcbor.decode),
        Reader("dag-json", [b'{"a":[1,{"/":"bafkqaaa"}],"b":null}'], dag.read_json),
        Reader("car", [cars], lambda b: list(car.read(io.BytesIO(b)))),
        Reader("ipns", [record], lambda b: ipns.verify(b, key.name, 0)),
        Reader("key", [key.to_protobuf()], PrivateKey.from_protobuf),
        Reader("frame", [frames.encode(some)], frames.blocks),
        Reader("pack", [frames.encode(some) * 3], lambda b: list(frames.scan(memoryview(b)))),
        Reader(
            "plan",
            [plan.encode(plan.Row(b"head" * 9, 1, 0, b"", 1)) * 3],
            lambda b: list(plan.decode(b)),
        ),
        Reader("zip layout", [wheel], lambda b: zips.read(memoryview(b))),
        Reader("tar layout", [tar], lambda b: tars.read(memoryview(b))),
        Reader("gzip", [sdist], lambda b: gzips.read(memoryview(b), Budget.of_archive(len(b)))),
        Reader("wheel", [wheel], _there_and_back),
        Reader("sdist", [sdist], _there_and_back),
        Reader("recipe", [block.data for block in apart[-6:]], _recipe(apart, imported.cid)),
    ]


def _is_node(block: bytes) -> bool:
    try:
        dagpb.decode(block)
    except IpfsError:
        return False
    return True


def _multibase(data: bytes) -> bytes:
    return multibase.decode(data.decode("latin-1"))


def _there_and_back(data: bytes) -> None:
    """Take an archive apart; what comes of it must be the archive again."""
    store = MemoryBlockstore()
    found = importer.take_apart(memoryview(data), lambda block: store.put([block]))
    out = bytearray()
    rebuild.rebuild(store.get, found.cid, out.extend)
    assert out == data


def _recipe(apart: list[Block], root: CID) -> Callable[[bytes], object]:
    """Return what puts an archive together with one block of its recipe replaced."""

    def read(data: bytes) -> None:
        for victim in apart[-6:]:
            store = MemoryBlockstore([*apart, Block(victim.cid, data)])
            with contextlib.suppress(IpfsError):
                rebuild.rebuild(store.get, root, len)

    return read


def mutated(samples: list[bytes], chance: random.Random) -> bytes:
    """Return a sample with some things done to it."""
    data = bytearray(chance.choice(samples))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                data[at : at + size] = chance.randbytes(size)
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[at : at + size] * chance.choice((1, 2, 100))
            case 4:
                number = chance.choice(EXTREME)
                order: Literal["little", "big"] = chance.choice(("little", "big"))
                width = chance.choice((2, 4, 8))
                data[at : at + width] = (number & (1 << 8 * width) - 1).to_bytes(width, order)
            case 5:
                other = chance.choice(samples)
                start = chance.randrange(len(other) + 1)
                data[at : at + size] = other[start : start + chance.choice((size, 512))]
            case _:
                del data[at:]
    return bytes(data)


def once(reader: Reader, seed: int) -> None:
    """Give a reader one input. Raises what it should not raise, or AssertionError if slow."""
    data = mutated(reader.samples, random.Random(seed))
    begin = time.thread_time()
    with contextlib.suppress(IpfsError):
        reader.read(data)
    took = time.thread_time() - begin
    assert took < SLOW, f"{took:.1f} s"


def memory() -> int:
    """Return the most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(chosen: list[Reader], until: float, seed: int) -> tuple[int, list[str]]:
    """Fuzz until that moment of `time.monotonic`; return how many inputs, and what was wrong."""
    count, wrong, before = 0, [], memory()
    while time.monotonic() < until:
        for reader in chosen:
            try:
                once(reader, seed + count)
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                again = f"--seed {seed + count} --reader {reader.name!r}"
                wrong.append(f"{again}: {type(error).__name__}: {error}")
        count += 1
    if memory() - before > ROOM:
        wrong.append(f"memory grew by {(memory() - before) >> 20} MiB")
    return count * len(chosen), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--reader", action="append")
    args = parser.parse_args()
    chosen = [one for one in readers() if not args.reader or one.name in args.reader]
    if args.seed is not None:
        for reader in chosen:
            once(reader, args.seed)
        return 0
    seed = random.randrange(10**12)
    count, wrong = run(chosen, time.monotonic() + 60 * args.minutes, seed)
    print(f"{count} inputs from seed {seed} on; {len(wrong)} wrong", *wrong[:50], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
