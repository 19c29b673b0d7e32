"""`dpip mirror …`: follow an upstream, filtered or whole.

    dpip mirror init --allow flask --with-dependencies --latest 2 --python 3.11 --python 3.12
    dpip mirror sync [--follow]
    dpip mirror status

What the mirror keeps is written in `mirror.toml` in the home; edit it, and the next sync
applies it to what is stored as well. `dpip node run` on the same home serves the mirror.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dpip import settings
from dpip.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from dpip.mirror.coverage import Coverage
    from dpip.mirror.sync import Limits, Round
    from dpip.settings import Settings

SHOWN = 20
"""How many failing projects and missing files are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _init_arguments(actions.add_parser("init", help="write what the mirror keeps"))
    sync = actions.add_parser("sync", help="bring the mirror up to date")
    sync.add_argument("--index-url", help="the upstream (default: the configured one)")
    sync.add_argument("--workers", type=int, default=6, help="projects and files at once")
    sync.add_argument(
        "--recheck",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="leave a project alone for so long where upstream tells no serials",
    )
    sync.add_argument(
        "--follow",
        type=float,
        nargs="?",
        const=600.0,
        metavar="SECONDS",
        help="go on: a round every so many seconds (default: 600)",
    )
    status = actions.add_parser("status", help="what is complete, missing, late, failing")
    verify = actions.add_parser("verify", help="check what is stored against the catalog")
    depth = verify.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="names and sizes only")
    depth.add_argument(
        "--sample", type=float, metavar="PERCENT", help="and hash some, chosen by chance"
    )
    verify.add_argument("--restart", action="store_true", help="do not go on where a run stopped")
    verify.add_argument("--repair", action="store_true", help="let the next sync fetch the wrong")
    for action in (sync, status, verify):
        action.add_argument("--home", help="the mirror's home")
        action.add_argument("--json", action="store_true", help="speak JSON")


def _init_arguments(init: argparse.ArgumentParser) -> None:
    init.add_argument("--home", help="the mirror's home")
    init.add_argument("--index-url", help="remember this upstream")
    for flag, what in (
        ("--allow", "a name or shell pattern to keep; repeat for more"),
        ("--deny", "a name or shell pattern to leave out"),
        ("--regex", "keep names that match this wholly"),
        ("--python", "keep what this Python can install, such as 3.12"),
        ("--platform", "keep wheels for linux, macos, windows, or a tag pattern"),
        ("--status", "keep projects of this status, such as active"),
    ):
        init.add_argument(flag, action="append", default=[], help=what)
    init.add_argument("-r", "--requirements", action="append", default=[], help="keep these names")
    init.add_argument(
        "--with-dependencies", action="store_true", help="and all that they need, resolved"
    )
    init.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="FIELD=PATTERN",
        help='keep releases whose metadata says so, such as "license=MIT*"; with !PATTERN: not so',
    )
    init.add_argument("--latest", type=int, metavar="N", help="the newest N releases only")
    init.add_argument("--no-prereleases", action="store_true", help="leave out pre-releases")
    init.add_argument("--no-sdists", action="store_true", help="leave out source distributions")
    init.add_argument("--max-size", type=int, metavar="BYTES", help="leave out larger files")
    init.add_argument("--uploaded-after", metavar="TIME", help="ISO 8601, UTC")
    init.add_argument("--uploaded-before", metavar="TIME", help="ISO 8601, UTC")


def run(args: argparse.Namespace) -> int:
    """Run one action; the exit code is 1 where the mirror is not complete."""
    flags = {"home": args.home, "index_url": getattr(args, "index_url", None)}
    config = settings.load(flags)
    if args.action == "init":
        return _init(config, args)
    if args.action == "status":
        return _status(config, as_json=args.json)
    if args.action == "verify":
        return _verify(config, args)
    return _sync(config, args)


def _init(config: Settings, args: argparse.Namespace) -> int:
    from dpip.app import mirroring
    from dpip.cli.config import change

    table: dict[str, Any] = {
        "allow": args.allow,
        "deny": args.deny,
        "regex": args.regex,
        "requirements": [_absolute(path) for path in args.requirements],
        "with-dependencies": args.with_dependencies,
        "latest": args.latest,
        "pythons": args.python,
        "platforms": args.platform,
        "status": args.status,
        "max-size": args.max_size,
        "uploaded-after": args.uploaded_after,
        "uploaded-before": args.uploaded_before,
        "metadata": _by_field(args.metadata),
    }
    # A zero is given, and refused; what is empty is not.
    given = {key: value for key, value in table.items() if value or type(value) is int}
    if args.no_prereleases:
        given["prereleases"] = False
    if args.no_sdists:
        given["sdists"] = False
    path = mirroring.write(config.home, given)
    if args.index_url:
        change(config.home, "index_url", args.index_url)
    sys.stdout.write(f"{path}\n")
    return 0


def _by_field(given: list[str]) -> dict[str, list[str]]:
    from dpip.errors import UsageError

    found: dict[str, list[str]] = {}
    for text in given:
        field, equals, pattern = text.partition("=")
        if not equals:
            raise UsageError(f"--metadata {text}: there must be FIELD=PATTERN")
        found.setdefault(field, []).append(pattern)
    return found


def _absolute(path: str) -> str:
    from pathlib import Path

    return str(Path(path).absolute())


def _sync(config: Settings, args: argparse.Namespace) -> int:
    from dpip.app import mirroring
    from dpip.mirror.sync import Limits

    limits = Limits(workers=max(1, args.workers), recheck=args.recheck)
    mirroring.read(config.home)
    with mirroring.only_sync(config.home):
        while True:
            code = _one_round(config, limits, args)
            if args.follow is None:
                return code
            _sleep(args.follow)


def _sleep(seconds: float) -> None:
    import time

    sys.stdout.flush()
    time.sleep(seconds)


def _one_round(config: Settings, limits: Limits, args: argparse.Namespace) -> int:
    import asyncio

    from dpip.app import mirroring
    from dpip.cli.progress import Progress

    progress = Progress("syncing")

    def show(state: Round) -> None:
        progress.show(state.planned, state.done)

    try:
        done, covered = asyncio.run(mirroring.sync(config, limits=limits, progress=show))
    finally:
        progress.clear()
    for problem in done.problems:
        sys.stderr.write(f"warning: {problem}\n")
    answer = {"round": asdict(done), **_answer(covered)}
    lines = [
        f"{done.done} projects brought up to date, {done.files} files of {done.bytes:,} bytes",
        *_lines(covered),
    ]
    if done.from_peers:
        lines[0] += f"; {done.from_peers} from peers, {done.bytes_saved:,} bytes saved"
    _say(answer, lines, as_json=args.json)
    return 0 if covered.complete and not done.problems else 1


def _status(config: Settings, *, as_json: bool) -> int:
    from dpip.app import mirroring
    from dpip.mirror import coverage
    from dpip.mirror.catalog import Catalog

    mirroring.read(config.home)
    catalog = Catalog(config.home / "catalog.sqlite3")
    try:
        covered = coverage.coverage(catalog)
        failing = coverage.failing(catalog, SHOWN)
        missing = coverage.missing(catalog, SHOWN)
    finally:
        catalog.close()
    answer = _answer(covered) | {
        "failing_projects": [
            {"name": one.name, "failures": one.failures, "problem": one.problem} for one in failing
        ],
        "missing_files": [asdict(one) for one in missing],
    }
    lines = [*_lines(covered)]
    lines += [f"failing: {one.name}: {one.problem} ({one.failures} times)" for one in failing]
    lines += [f"missing: {one.filename}" for one in missing]
    _say(answer, lines, as_json=as_json)
    return 0 if covered.complete else 1


def _verify(config: Settings, args: argparse.Namespace) -> int:
    import random
    import time

    from dpip.cli.progress import Progress
    from dpip.mirror.archives import Archives
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.store import ARCHIVES, opened
    from dpip.mirror.totals import totals
    from dpip.mirror.verify import Depth, Verifier

    if args.sample is not None and not 0 < args.sample <= 100:
        raise UsageError("--sample takes a percentage over 0 and up to 100")
    depth = Depth.QUICK if args.quick else Depth.SAMPLED if args.sample else Depth.FULL
    progress = Progress("verifying")
    catalog = Catalog(config.home / "catalog.sqlite3")
    try:
        total = totals(catalog)["archives"]
        with opened(config.home) as contents:
            archives = Archives(config.home / ARCHIVES)
            verifier = Verifier(catalog, archives, contents, time.monotonic)
            done = verifier.run(
                depth,
                share=(args.sample or 0) / 100,
                seed=random.randrange(2**32),
                restart=args.restart,
                progress=lambda state: progress.show(total, state.checked),
            )
            if args.repair:
                verifier.forget(done.wrong, time.time())
    finally:
        progress.clear()
        catalog.close()
    counted = f"{done.checked} archives checked, {done.rebuilt} made again"
    speed = f"{done.size / 1e6:,.1f} MB at {done.speed:.0f} MB/s"
    lines = [f"{depth}: {counted}, {speed}, {len(done.wrong)} wrong"]
    lines += [f"{one.kind}: {one.filename} {one.sha256} {one.detail}" for one in done.wrong]
    _say(asdict(done) | {"speed_mb_s": done.speed}, lines, as_json=args.json)
    return 1 if done.wrong else 0


def _answer(covered: Coverage) -> dict[str, Any]:
    return asdict(covered) | {
        "complete": covered.complete,
        "missing": covered.files - covered.stored,
        "missing_size": covered.size - covered.stored_size,
    }


def _lines(covered: Coverage) -> list[str]:
    lacking = covered.files - covered.stored
    gone = ", ".join(f"{count} {reason}" for reason, count in covered.gone.items())
    health = "complete" if covered.complete else "incomplete"
    projects = f"{covered.projects} projects ({covered.late} late, {covered.failing} failing)"
    files = f"{covered.stored} of {covered.files} files stored, {lacking} missing"
    if lacking:
        files += f" ({covered.size - covered.stored_size:,} bytes as far as is known)"
    lines = [f"{health}: {projects}", f"{files}; {covered.stored_size:,} of {covered.size:,} bytes"]
    return [*lines, f"gone: {gone}"] if gone else lines


def _say(answer: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    from dpip.cli.stored import say

    say(answer, *lines, as_json=as_json)
