"""`dpip ipfs cat|get|ls|stat|block|verify`: what is in the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.cli.ipfs.words import action, group, home, resolved, say

if TYPE_CHECKING:
    import argparse

    from dpip.cli.ipfs.words import Actions
    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.cid import CID


def declare(actions: Actions) -> None:
    """Declare the actions."""
    for name, act, summary in (
        ("cat", cat, "write a file to standard output"),
        ("get", get, "write a file or directory to the disk"),
        ("ls", ls, "list a directory, or the pieces of a file"),
        ("stat", stat, "show what a path is"),
        ("verify", verify, "check that all blocks below a CID, or of a local file, are here"),
    ):
        parser = action(actions, name, act, summary)
        parser.add_argument("path", metavar="PATH", help="<cid>[/…], /ipfs/… or /ipns/…")
        if name == "cat":
            parser.add_argument("-o", "--offset", type=int, default=0)
            parser.add_argument("-l", "--length", type=int)
        if name == "get":
            parser.add_argument("-o", "--output", type=Path)
    blocks = group(actions, "block", "single blocks")
    action(blocks, "get", block_get, "write a block to standard output").add_argument("cid")
    action(blocks, "stat", block_stat, "show a block's size").add_argument("cid")
    action(blocks, "rm", block_rm, "forget blocks").add_argument("cid", nargs="+")
    put = action(blocks, "put", block_put, "store files as blocks")
    put.add_argument("files", nargs="+", metavar="FILE", help="a file, or -")
    put.add_argument("--cid-codec", default="raw", choices=("raw", "dag-pb", "dag-cbor"))


def cat(args: argparse.Namespace) -> int:
    """Write a file, or a part of it."""
    from dpip.app import content
    from dpip.ipfs import files

    with content.opened(home()) as store:
        stop = None if args.length is None else args.offset + args.length
        for piece in files.read(store, resolved(store, args.path), args.offset, stop):
            sys.stdout.buffer.write(piece)
    return 0


def get(args: argparse.Namespace) -> int:
    """Write what a path means below the current directory."""
    from dpip.app import content
    from dpip.ipfs import tree

    target = args.output or Path(args.path.rstrip("/").rpartition("/")[2])
    with content.opened(home()) as store:
        tree.write(store, resolved(store, args.path), target)
    say(args, {"path": str(target)}, str(target))
    return 0


def ls(args: argparse.Namespace) -> int:
    """List a directory: CID, size of everything below, name. Pieces of a file have no name."""
    from dpip.app import content
    from dpip.ipfs import dag
    from dpip.ipfs.unixfs import Kind

    with content.opened(home()) as store:
        entry = dag.load(store, resolved(store, args.path))
        pieces = entry.links if entry.kind is Kind.FILE else ()
        for link in pieces or dag.entries(store, entry):
            value = {"Name": link.name, "Hash": str(link.cid), "Size": link.tsize}
            say(args, value, f"{link.cid} {link.tsize} {link.name}")
    return 0


def stat(args: argparse.Namespace) -> int:
    """Show CID, kind, size and number of links."""
    from dpip.app import content
    from dpip.ipfs import dag, walk

    with content.opened(home()) as store:
        cid = resolved(store, args.path)
        blocks = sizes = 0
        for block in walk.walk(store, cid):
            blocks, sizes = blocks + 1, sizes + len(block.data)
        value = {
            "Hash": str(cid),
            "CumulativeSize": sizes,
            "Blocks": blocks,
            "Type": cid.codec_name,
        }
        if cid.codec_name in {"raw", "dag-pb"}:
            entry = dag.load(store, cid)
            value |= {"Type": entry.kind.name.lower(), "Size": entry.size}
    lines = "\n".join(f"{name}: {found}" for name, found in value.items())
    say(args, value, lines)
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check every block below a CID, or that a local file is here whole; 1 if not."""
    from dpip.app import content
    from dpip.ipfs import walk
    from dpip.ipfs.cid import verify as check
    from dpip.ipfs.errors import IpfsError

    with content.opened(home()) as store:
        cid = _subject(store, args.path)
        count = 0
        try:
            for block in walk.walk(store, cid):
                check(block.cid, block.data)
                count += 1
        except IpfsError as error:
            value = {"Hash": str(cid), "Complete": False, "Error": str(error)}
            say(args, value, f"{cid} is not whole: {error}")
            return 1
    say(args, {"Hash": str(cid), "Complete": True, "Blocks": count}, f"{cid} ok, {count} blocks")
    return 0


def _subject(store: Blockstore, path: str) -> CID:
    """Return the CID of a local path, if there is one of that name, else of a content path."""
    from dpip.ipfs.tree import Importer

    if not Path(path).exists():
        return resolved(store, path)
    *_, added = Importer(None).add(Path(path))
    return added.link.cid


def block_get(args: argparse.Namespace) -> int:
    """Write a block's bytes."""
    from dpip.app import content
    from dpip.ipfs import dag
    from dpip.ipfs.cid import CID

    with content.opened(home()) as store:
        sys.stdout.buffer.write(dag.get(store, CID.parse(args.cid)))
    return 0


def block_stat(args: argparse.Namespace) -> int:
    """Show a block's CID and size."""
    from dpip.app import content
    from dpip.ipfs.cid import CID

    with content.opened(home()) as store:
        size = store.size(CID.parse(args.cid))
    say(args, {"Key": args.cid, "Size": size}, f"Key: {args.cid}\nSize: {size}")
    return 0


def block_put(args: argparse.Namespace) -> int:
    """Store files as single blocks and print their CIDs."""
    from dpip.app import content
    from dpip.ipfs.blockstore import Block
    from dpip.ipfs.cid import CID, CODEC_NAMES

    codec = {name: code for code, name in CODEC_NAMES.items()}[args.cid_codec]
    with content.opened(home()) as store:
        for name in args.files:
            data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            cid = CID.of(data, codec)
            store.put([Block(cid, data)])
            say(args, {"Key": str(cid), "Size": len(data)}, str(cid))
    return 0


def block_rm(args: argparse.Namespace) -> int:
    """Forget blocks."""
    from dpip.app import content
    from dpip.ipfs.cid import CID

    with content.opened(home()) as store:
        store.delete([CID.parse(text) for text in args.cid])
    for text in args.cid:
        say(args, {"Hash": text}, f"removed {text}")
    return 0
