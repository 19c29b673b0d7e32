"""`dpip fsck`: check the content store from end to end."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from dpip import settings

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--repair", action="store_true", help="put right what can be put right")
    parser.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Check; the exit code is 1 if something is wrong and was not repaired."""
    from dpip.cli.stored import say
    from dpip.ipfs.disk.fsck import check
    from dpip.mirror.store import mapped, opened, remake_index

    home = settings.load().home
    remade = False
    if args.repair:
        with mapped():
            remade = remake_index(home)
    with opened(home) as archives:
        findings = list(check(archives, repair=args.repair))
    left = [one for one in findings if not one.repaired]
    lines = [f"{one.kind}: {one.what}{' (repaired)' if one.repaired else ''}" for one in findings]
    if remade:
        lines.insert(0, "damaged-index: made again from packs and journal (repaired)")
    answer = {"findings": [asdict(one) for one in findings], "index_remade": remade}
    say(answer, *(lines or ["clean"]), as_json=args.json)
    return 1 if left else 0
