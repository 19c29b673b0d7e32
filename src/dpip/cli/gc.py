"""`dpip gc`: give back the room of everything that no pin keeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from dpip import settings

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument(
        "--cache",
        action="store_true",
        help="also drop archives that the node keeps only because it once fetched them",
    )
    parser.add_argument(
        "--grace",
        type=float,
        metavar="SECONDS",
        help="spare what came in during so many seconds (default: an hour)",
    )
    parser.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Collect, trim the hot files, compact; returns the exit code."""
    from dpip.cli.stored import say
    from dpip.ipfs.disk import hot
    from dpip.ipfs.disk.archives import PIN
    from dpip.ipfs.disk.collect import GRACE, collect
    from dpip.ipfs.disk.compact import compact
    from dpip.mirror.store import opened

    config = settings.load()
    grace = GRACE if args.grace is None else args.grace
    with opened(config.home) as archives:
        ignored = frozenset({PIN}) if args.cache else frozenset[str]()
        done = collect(archives, grace=grace, dry_run=args.dry_run, ignored=ignored)
        answer = asdict(done) | {"dry_run": args.dry_run, "freed": 0}
        if not args.dry_run:
            trimmed = hot.trim(archives, config.hot_size)
            answer["freed"] = trimmed.freed + compact(archives.store).freed
    would = "would remove" if args.dry_run else "removed"
    say(
        answer,
        f"{would} {done.archives} archives and {done.blocks} blocks of {done.size:,} bytes",
        f"kept {done.kept} blocks; spared {done.young} that have just come",
        as_json=args.json,
    )
    return 0
