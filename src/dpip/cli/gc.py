"""`dpip gc`: give back the room of everything that no pin keeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from dpip import settings

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from dpip.ipfs.cid import CID
    from dpip.ipfs.disk.archives import Archives
    from dpip.mirror.store import Limit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument(
        "--cache",
        action="store_true",
        help="also drop archives that the node keeps only because it once fetched them",
    )
    parser.add_argument(
        "--deleted",
        action="store_true",
        help="also drop what upstream deleted or replaced, which lock files may still name",
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
    from dpip.ipfs.disk import hot, limit
    from dpip.ipfs.disk.archives import PIN
    from dpip.ipfs.disk.collect import GRACE, collect
    from dpip.ipfs.disk.compact import compact
    from dpip.mirror.store import limit_of, opened

    config = settings.load()
    grace = GRACE if args.grace is None else args.grace
    with opened(config.home) as archives, limit_of(config.home, config.store_size) as room:
        ignored = frozenset({PIN}) if args.cache else frozenset[str]()
        done = collect(
            archives,
            grace=grace,
            dry_run=args.dry_run,
            ignored=ignored,
            released=_released(config.home, archives, room, deleted=args.deleted, grace=grace),
            forget=room.forget,
        )
        answer = asdict(done) | {"dry_run": args.dry_run, "freed": 0}
        if not args.dry_run:
            answer["freed"] = hot.trim(archives, config.hot_size).freed
        keep = min(grace, hot.KEEP)
        over = limit.plan(archives, room.size, spared=room.private, keep=keep).archives
        answer["over_limit"] = [archive.filename for archive in over]
        if not args.dry_run:
            answer["freed"] += _enforce(archives, room, grace) + compact(archives.store).freed
        answer["size"] = limit.size(archives)
    would = "would remove" if args.dry_run else "removed"
    say(
        answer,
        f"{would} {done.archives} archives and {done.blocks} blocks of {done.size:,} bytes",
        f"kept {done.kept} blocks; spared {done.young} that have just come",
        *(f"over the limit, {would}: {filename}" for filename in answer["over_limit"]),
        as_json=args.json,
    )
    return 0


def _released(
    home: Path, archives: Archives, room: Limit, *, deleted: bool, grace: float
) -> set[tuple[CID, str]]:
    """Return the automatic pins of archives that a mirror's rules left out, or upstream deleted."""
    import time
    from contextlib import closing

    from dpip.ipfs.disk.archives import PIN
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.tombstones import Reason, gone

    if not (home / "catalog.sqlite3").exists():
        return set()
    reasons = {Reason.FILTERED, *([Reason.DELETED, Reason.REPLACED] if deleted else [])}
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        hashes = gone(catalog, reasons, time.time() - grace) - room.private
    found = filter(None, map(archives.find, hashes))
    return {(archive.root, PIN) for archive in found}


def _enforce(archives: Archives, room: Limit, grace: float) -> int:
    """Keep the size limit, with times that are no longer than `grace`; return bytes freed."""
    from dpip.ipfs.disk import hot, limit

    return limit.enforce(
        archives,
        room.size,
        spared=room.private,
        forget=room.forget,
        keep=min(grace, hot.KEEP),
        settled=min(grace, limit.SETTLED),
        grace=grace,
    ).freed
