"""`dpip pin add|rm|list`: what garbage collection must keep."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dpip import settings
from dpip.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dpip.app.installed import Found
    from dpip.ipfs.cid import CID
    from dpip.ipfs.disk.archives import Archives

DEFAULT_NAME = "mine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    what = "a CID, a sha256, or the name of an archive's file"
    add = actions.add_parser("add", help="keep something, with all below it")
    add.add_argument("what", nargs="*", help=what)
    add.add_argument(
        "--installed",
        action="store_true",
        help="keep the archives of everything that the environment has installed",
    )
    remove = actions.add_parser("rm", help="no longer keep it")
    remove.add_argument("what", nargs="+", help=what)
    remove.add_argument("--all-names", action="store_true", help="whatever name it is pinned by")
    listing = actions.add_parser("list", help="show the pins")
    for action in (add, remove):
        action.add_argument("--name", default=DEFAULT_NAME, help="the pin's name")
    for action in (add, remove, listing):
        action.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    from dpip.cli.stored import say
    from dpip.ipfs.disk.pins import Pins
    from dpip.mirror.store import opened

    home, found = settings.load().home, None
    with opened(home) as archives:
        pins = Pins(archives.store)
        if args.action == "list":
            rows = [{"cid": str(pin.cid), "name": pin.name} for pin in pins]
            say(rows, *(f"{row['cid']}  {row['name']}" for row in rows), as_json=args.json)
            return 0
        roots = [_root(archives, what) for what in args.what]
        if args.action == "add":
            if args.installed:
                found = _installed(home, archives)
                roots += found.roots
            elif not roots:
                raise UsageError("nothing to pin", hint="name something, or give --installed")
            for root in roots:
                pins.add(root, args.name)
            gone = len(roots)
        else:
            name = None if args.all_names else args.name
            gone = sum(pins.remove(root, name) for root in roots)
    word = "pinned" if args.action == "add" else "unpinned"
    answer = {word: [str(root) for root in roots]}
    if found is not None:
        answer |= {"taken": found.taken, "missing": found.missing}
    say(answer, f"{word} {gone}", as_json=args.json)
    return 0 if gone else 1


def _root(archives: Archives, what: str) -> CID:
    """Return the root that a word means."""
    from dpip.ipfs.cid import CID
    from dpip.ipfs.errors import InvalidCid

    if len(what) == 64 and all(letter in "0123456789abcdef" for letter in what):
        archive = archives.find(what)
    else:
        archive = archives.named(what)
    if archive is not None:
        return archive.root
    try:
        return CID.parse(what.removeprefix("/ipfs/"))
    except InvalidCid:
        raise UsageError(f"{what!r} is no CID, and no archive of that name is stored") from None


def _installed(home: Path, archives: Archives) -> Found:
    """Return the roots of the archives of what the environment has installed."""
    from dpip.app import installed

    wanted, cache = installed.installed(), installed.pip_cache()
    found = installed.archives_of(home, archives, wanted, cache)
    for filename in found.taken:
        sys.stderr.write(f"taken from pip's cache: {filename}\n")
    for release in found.missing:
        sys.stderr.write(f"warning: no archive here: {release}\n")
    return found
