"""`dpip route list|set|rm`: which one source a name has.

A running node follows within seconds.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from dpip import settings

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show the routing table")
    listing.add_argument("--json", action="store_true", help="speak JSON")
    put = actions.add_parser("set", help="give a name, or a prefix with a star, its source")
    remove = actions.add_parser("rm", help="take a row out; its names come from upstream again")
    for action in (put, remove):
        action.add_argument("pattern", help="a project name, or a prefix such as 'acme-*'")
    put.add_argument("source", help="upstream, private, or the URL of an index")


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code. Raises UsageError."""
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.sources import row
    from dpip.simple.transport import without_credentials

    catalog = Catalog(settings.load().home / "catalog.sqlite3")
    try:
        if args.action == "set":
            catalog.put_route(*row(args.pattern, args.source)).result()
        elif args.action == "rm":
            catalog.drop_route(row(args.pattern, "upstream")[0]).result()
        else:
            table = {k: without_credentials(v) for k, v in catalog.routes().items()}
            lines = [f"{pattern}  {source}" for pattern, source in table.items()]
            sys.stdout.write(json.dumps(table) + "\n" if args.json else "".join(map(_line, lines)))
    finally:
        catalog.close()
    return 0


def _line(text: str) -> str:
    return text + "\n"
