"""`dpip ipfs car import|export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.cli.ipfs.words import action, boolean, group, home, resolved, say

if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

    from dpip.app.content import Content
    from dpip.cli.ipfs.words import Actions
    from dpip.ipfs.cid import CID


def declare(actions: Actions) -> None:
    """Declare the actions."""
    cars = group(actions, "car", "CAR files: blocks in a row")
    parser = action(cars, "import", import_, "store the blocks of CAR files, each verified")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a CAR file, or -")
    parser.add_argument(
        "--pin-roots", type=boolean, nargs="?", const=True, default=True, metavar="BOOL"
    )
    parser = action(cars, "export", export, "write everything below a path as a CAR")
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("-o", "--output", type=Path, help="default: standard output")


def import_(args: argparse.Namespace) -> int:
    """Store CAR files and pin those of their roots that are there."""
    from dpip.app import content

    with content.opened(home()) as store:
        for name in args.files:
            if name == "-":
                roots, count = _read(store, sys.stdin.buffer)
            else:
                with Path(name).open("rb") as file:
                    roots, count = _read(store, file)
            _pin(args, store, roots)
            text = "\n".join(map(str, roots))
            say(args, {"Roots": [str(root) for root in roots], "Blocks": count}, text)
    return 0


def _read(store: Content, source: BinaryIO) -> tuple[tuple[CID, ...], int]:
    from dpip.ipfs import car

    reader = car.read(source)
    count = 0
    batch = []
    for block in reader:
        batch.append(block)
        count += 1
        if len(batch) == 256:
            store.put(batch)
            batch = []
    store.put(batch)
    return reader.roots, count


def _pin(args: argparse.Namespace, store: Content, roots: tuple[CID, ...]) -> None:
    for root in roots:
        if args.pin_roots and store.has(root):
            store.pins.add(root)


def export(args: argparse.Namespace) -> int:
    """Write a CAR of everything below a path."""
    from dpip.app import content
    from dpip.ipfs import car, walk

    with content.opened(home()) as store:
        root = resolved(store, args.path)
        pieces = car.write([root], walk.walk(store, root))
        if args.output is None:
            sys.stdout.buffer.writelines(pieces)
        else:
            with args.output.open("wb") as file:
                file.writelines(pieces)
    return 0
