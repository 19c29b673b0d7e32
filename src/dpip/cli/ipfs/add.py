"""`dpip ipfs add`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.cli.ipfs.words import action, boolean, home, say
from dpip.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from dpip.cli.ipfs.words import Actions
    from dpip.ipfs.tree import Added, Importer


def declare(actions: Actions) -> None:
    """Declare the action and the options that it shares with `ipfs add`."""
    parser = action(actions, "add", run, "add files or directories, and print their CIDs")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, a directory, or - ")
    parser.add_argument("-r", "--recursive", action="store_true", help="add directories")
    parser.add_argument("-Q", "--quieter", action="store_true", help="print the last CID only")
    parser.add_argument("-q", "--quiet", action="store_true", help="print CIDs only")
    parser.add_argument("-n", "--only-hash", action="store_true", help="store nothing")
    parser.add_argument("-w", "--wrap-with-directory", action="store_true")
    parser.add_argument("-H", "--hidden", action="store_true", help="add names that begin with .")
    parser.add_argument("--profile", default="unixfs-v1-2025", help="unixfs-v1-2025, -v0-2015")
    parser.add_argument("--cid-version", type=int, choices=(0, 1))
    parser.add_argument("-s", "--chunker", help="size-N, rabin[-MIN-AVG-MAX], buzhash, fastcdc-AVG")
    parser.add_argument("--raw-leaves", type=boolean, nargs="?", const=True, metavar="BOOL")
    parser.add_argument("--max-file-links", type=int, metavar="N")
    parser.add_argument("--pin", type=boolean, nargs="?", const=True, default=True, metavar="BOOL")
    parser.add_argument("--pin-name", default="", metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """Add everything named; print a line for each file and directory."""
    from dpip.app import content
    from dpip.ipfs.profiles import profile
    from dpip.ipfs.tree import Importer

    chosen = profile(
        args.profile,
        cid_version=args.cid_version,
        chunker=args.chunker,
        raw_leaves=args.raw_leaves,
        max_links=args.max_file_links,
    )
    if args.only_hash:
        _add(args, Importer(None, chosen, hidden=args.hidden))
        return 0
    with content.opened(home()) as store:
        for root in _add(args, Importer(store, chosen, hidden=args.hidden)):
            if args.pin:
                store.pins.add(root.link.cid, args.pin_name)
    return 0


def _add(args: argparse.Namespace, importer: Importer) -> list[Added]:
    """Add the paths and return what stands for them: themselves, or the directory around."""
    roots: list[Added] = []
    for text in args.paths:
        parts = _parts(args, importer, text)
        roots.append(parts[-1])
        for part in parts:
            _print(args, part, last=False)
    if args.wrap_with_directory:
        roots = [importer.wrap(roots)]
        _print(args, roots[0], last=False)
    _print(args, roots[-1], last=True)
    return roots


def _parts(args: argparse.Namespace, importer: Importer, text: str) -> list[Added]:
    if text == "-":
        added = importer.add_stream(sys.stdin.buffer)
        importer.flush()
        return [added]
    path = Path(text)
    if path.is_dir() and not args.recursive:
        raise UsageError(f"{text} is a directory", hint="add it with -r")
    return list(importer.add(path, path.resolve().name))


def _print(args: argparse.Namespace, part: Added, *, last: bool) -> None:
    if args.quieter is not last and not args.json:
        return
    if args.json and last:
        return
    cid = str(part.link.cid)
    value = {"Name": part.path, "Hash": cid, "Size": str(part.link.tsize)}
    text = cid if args.quiet or args.quieter else f"added {cid} {part.path or cid}"
    say(args, value, text)
