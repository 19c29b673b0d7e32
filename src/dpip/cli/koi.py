"""`dpip koi status|peers|events|rids|get|add|drop|forget`: the network, from this node's place.

What only reads works also while no node runs; what changes something is done by the node.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from dpip import settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from dpip.federation.inspection import Inspection
    from dpip.settings import Settings

PATIENCE = 15.0
LOOK_EVERY = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("status", help="say who this node is, and how much it knows")
    actions.add_parser("peers", help="list the other nodes that it knows")
    events = actions.add_parser("events", help="show what was kept and forgotten last")
    events.add_argument("--follow", action="store_true", help="go on as more comes, until Ctrl-C")
    events.add_argument("-n", type=int, default=20, metavar="N", help="how many (default: 20)")
    rids = actions.add_parser("rids", help="list the RIDs that are held")
    rids.add_argument("type", nargs="?", help="such as orn:pypi.file")
    get = actions.add_parser("get", help="show what is held of a RID")
    get.add_argument("argument", metavar="RID")
    add = actions.add_parser("add", help="meet a node, and remember it")
    add.add_argument("argument", metavar="URL|RID@URL")
    drop = actions.add_parser(
        "drop", help="have nothing to do with a node, until it is added again"
    )
    drop.add_argument("argument", metavar="NODE", help="its RID, the hash at its end, or its URL")
    forget = actions.add_parser("forget", help="forget an object, and tell the peers to")
    forget.add_argument("argument", metavar="RID")
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    from dpip.cli.stored import say
    from dpip.federation.inspection import Inspection

    config = settings.load()
    if args.action in {"add", "drop", "forget"}:
        done = _order(config, args.action, args.argument)
        word = {"add": "added", "drop": "dropped", "forget": "forgot"}[args.action]
        say({word: done}, f"{word} {done}", as_json=args.json)
        return 0
    _READING[args.action](config, Inspection(config.home / "koi"), args)
    return 0


def _order(config: Settings, what: str, argument: str) -> str:
    """Have the running node do something. Raises NotRunning and OrderFailed."""
    from dpip.app.background import running
    from dpip.federation.ledger import Ledger
    from dpip.federation.orders import OrderFailed

    running(config.home)
    ledger = Ledger(config.home / "koi" / "ledger.sqlite3")
    try:
        number = ledger.order(what, argument)
        deadline = time.monotonic() + PATIENCE
        while (outcome := ledger.outcome(number)) is None and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY / 4)
    finally:
        ledger.close()
    if outcome is None:
        raise OrderFailed("the node has not answered yet", hint="see node.log in the home")
    good, _, said = outcome.partition(" ")
    if good != "ok":
        raise OrderFailed(said or "the node was stopped meanwhile")
    return said


def _status(config: Settings, inspection: Inspection, args: argparse.Namespace) -> None:
    from dpip.app.process import read_record
    from dpip.cli.stored import say

    found = inspection.status()
    node = read_record(config.home)
    found["running"] = None if node is None else node.url
    found["trusted_nodes"] = list(config.trusted_nodes)
    found["private_nodes"] = list(config.private_nodes)
    held = [f"  {count:>9,}  {kind}" for kind, count in found["held"].items()]
    say(
        found,
        found["rid"],
        f"running at {node.url}" if node else "no node is running; this is what it knew last",
        f"{found['peers']} peers; {found['waiting']} events wait to be told to them",
        f"{len(config.trusted_nodes)} nodes are believed, {len(config.private_nodes)} may hear of"
        " private packages",
        *held,
        as_json=args.json,
    )


def _peers(config: Settings, inspection: Inspection, args: argparse.Namespace) -> None:
    from dpip.cli.stored import say
    from dpip.federation.trust import key_hash

    believed, told = (
        set(map(key_hash, config.trusted_nodes)),
        set(map(key_hash, config.private_nodes)),
    )
    rows = [
        {
            **row,
            "trusted": key_hash(row["rid"]) in believed,
            "private": key_hash(row["rid"]) in told,
        }
        for row in inspection.peers()
    ]
    say(rows, *map(_peer_line, rows), as_json=args.json)


def _peer_line(row: dict[str, Any]) -> str:
    facts = [
        f"tells us ({row['tells_us']})" if row["tells_us"] else "",
        f"is told ({row['we_tell']})" if row["we_tell"] else "",
        f"{row['waiting']} events wait" if row["waiting"] else "",
        "believed" if row["trusted"] else "",
        "hears of private packages" if row["private"] else "",
    ]
    return f"{row['rid']}\n  {row['url'] or 'no address'}; {', '.join(filter(None, facts))}"


def _events(config: Settings, inspection: Inspection, args: argparse.Namespace) -> None:
    del config
    last = max(0, inspection.status()["last"] - args.n)
    while True:
        for row in inspection.events(last):
            _write(row, args)
            last = row["number"]
        if not args.follow:
            return
        time.sleep(LOOK_EVERY)


def _write(row: dict[str, Any], args: argparse.Namespace) -> None:
    from dpip.cli.stored import say

    say(row, f"{row['number']:>8}  {row['at'] or '':25}  {row['what']:9}  {row['rid']}",
        as_json=args.json)  # fmt: skip
    sys.stdout.flush()


def _rids(config: Settings, inspection: Inspection, args: argparse.Namespace) -> None:
    del config
    if args.json:
        from dpip.cli.stored import say

        say(list(inspection.rids(args.type)), as_json=True)
        return
    for rid in inspection.rids(args.type):
        sys.stdout.write(f"{rid}\n")


def _get(config: Settings, inspection: Inspection, args: argparse.Namespace) -> None:
    import json

    del config
    found = inspection.get(args.argument)
    sys.stdout.write(json.dumps(found, indent=None if args.json else 2) + "\n")


_READING: dict[str, Callable[[Settings, Inspection, argparse.Namespace], None]] = {
    "status": _status,
    "peers": _peers,
    "events": _events,
    "rids": _rids,
    "get": _get,
}
