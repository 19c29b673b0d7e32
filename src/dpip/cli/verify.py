"""`dpip verify [NAME…]`: store against index against upstream.

Tells what is missing, extra, different or yanked since, each with the file and the hashes that
index, upstream and store have for it. The exit code is 1 if there is any, and 9 if there is
none but something could not be compared. A run over all projects that was stopped goes on where
it stopped.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from dpip import settings

if TYPE_CHECKING:
    import argparse

    from dpip.app.verifying import Report
    from dpip.mirror.differences import Difference
    from dpip.simple.provenance import Attested


UNCOMPARED = 9
"""Exit code where nothing differs, but not all could be compared."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="projects (default: all stored)")
    parser.add_argument("--home", help="the home to verify")
    parser.add_argument("--index-url", help="the upstream (default: the configured one)")
    parser.add_argument("--offline", action="store_true", default=None, help="ask no upstream")
    parser.add_argument(
        "--provenance", action="store_true", help="check the files' attestations too (PEP 740)"
    )
    parser.add_argument("--restart", action="store_true", help="do not go on where a run stopped")
    parser.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Compare; returns the exit code."""
    import asyncio

    from dpip.app.verifying import verify
    from dpip.cli.progress import Progress
    from dpip.cli.stored import say
    from dpip.simple.names import normalize
    from dpip.simple.provenance import UNCHECKED

    flags = {"home": args.home, "index_url": args.index_url, "offline": args.offline}
    config = settings.load(flags)
    progress = Progress("verifying")
    try:
        report = asyncio.run(
            verify(
                config,
                [normalize(name) for name in args.names],
                with_provenance=args.provenance,
                restart=args.restart,
                progress=lambda state: progress.show(state.total, state.projects),
            )
        )
    finally:
        progress.clear()
    for problem in report.problems:
        sys.stderr.write(f"warning: {problem}\n")
    answer = asdict(report) | ({"provenance_unchecked": UNCHECKED} if args.provenance else {})
    say(answer, *_lines(report, args.provenance, UNCHECKED), as_json=args.json)
    if report.differences or any(one.problems for one in report.attested.values()):
        return 1
    return UNCOMPARED if report.problems else 0


def _lines(report: Report, with_provenance: bool, unchecked: str) -> list[str]:
    lines = [_line(one) for one in report.differences]
    if with_provenance:
        for filename, one in report.attested.items():
            lines.append(f"provenance: {filename}: {_attested(one)}")
        lines.append(f"note: {unchecked}")
    if report.resumed:
        lines.append(f"went on after {report.resumed} projects of a run that was stopped")
    counted = f"{report.projects} projects, {report.files} files, {report.size / 1e6:,.1f} MB"
    lines.append(f"{counted}: {len(report.differences) or 'no'} differences")
    return lines


def _attested(one: Attested) -> str:
    from dpip.simple.provenance import STEPS

    left = ", ".join(step for step in STEPS if step not in one.checked)
    good = f"{', '.join(one.publishers)}: {', '.join(one.checked) or 'nothing'} checked"
    return "; ".join((*one.problems, good, *([f"not {left}"] if left else [])))


def _line(one: Difference) -> str:
    hashes = f"index {one.index or '-'} upstream {one.upstream or '-'} store {one.store or '-'}"
    return f"{one.kind}: {one.filename}: {one.detail} ({hashes})"
