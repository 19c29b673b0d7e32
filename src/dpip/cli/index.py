"""`dpip index publish|use|drop|refresh|list`: indexes under IPNS names.

dpip index publish                  what this home holds, under its key `self`
dpip index use k51…@http://host     follow (and trust) an index; the first of several wins
dpip index refresh                  look for newer heads, in one process beside
dpip index list
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from dpip import settings

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    publish = actions.add_parser("publish", help="publish what this home holds, and sign its head")
    publish.add_argument("--key", default="self", help="name of the key (default: self)")
    use = actions.add_parser("use", help="follow an index: k51…, or k51…@GATEWAY-URL")
    use.add_argument("index")
    use.add_argument("--first", action="store_true", help="put it before those that are followed")
    drop = actions.add_parser("drop", help="follow an index no longer")
    drop.add_argument("index")
    refresh = actions.add_parser("refresh", help="look for newer heads")
    refresh.add_argument("--wait", action="store_true", help="in this process, and wait for it")
    listing = actions.add_parser("list", help="show the indexes that are published and followed")
    for action in (publish, use, drop, refresh, listing):
        action.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    config = settings.load()
    answer, lines = _ACTIONS[args.action](config, args)
    text = json.dumps(answer) if args.json else "\n".join(lines)
    sys.stdout.write(f"{text}\n" if text else "")
    return 0


def _publish(config: settings.Settings, args: argparse.Namespace) -> tuple[Any, list[str]]:
    from dpip.app import kubo
    from dpip.app.content import keys, records
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.indexes import publish_changes
    from dpip.mirror.store import mapped, opened

    catalog = Catalog(config.home / "catalog.sqlite3")
    try:
        with mapped(), opened(config.home) as archives:
            key = keys(config).find(args.key)
            done = publish_changes(
                home=config.home,
                catalog=catalog,
                archives=archives,
                records=records(config),
                key=key,
                now=time.time_ns(),
            )
    finally:
        catalog.close()
    name = key.name.encode("k")
    if kubo.is_chosen(config):
        with kubo.jobs(config) as queue:
            kubo.leave_head(queue, name, done.head)
    answer = {
        "name": name,
        "root": str(done.head.root),
        "sequence": done.head.record.sequence,
        "projects": done.projects,
    }
    about = f"sequence {answer['sequence']}, {done.projects} projects looked at"
    return answer, [name, f"root {answer['root']}, {about}"]


def _use(config: settings.Settings, args: argparse.Namespace) -> tuple[Any, list[str]]:
    from dpip.cli.config import change
    from dpip.mirror.indexes import Subscription

    wanted = Subscription.parse(args.index)
    others = [s for s in map(Subscription.parse, config.index) if s.name != wanted.name]
    followed = [wanted, *others] if args.first else [*others, wanted]
    change(config.home, "index", ",".join(map(str, followed)))
    return [str(s) for s in followed], [str(s) for s in followed]


def _drop(config: settings.Settings, args: argparse.Namespace) -> tuple[Any, list[str]]:
    from dpip.cli.config import change
    from dpip.mirror.indexes import Subscription

    gone = Subscription.parse(args.index).name
    kept = [str(s) for s in map(Subscription.parse, config.index) if s.name != gone]
    change(config.home, "index", ",".join(kept) if kept else None)
    return kept, kept


def _refresh(config: settings.Settings, args: argparse.Namespace) -> tuple[Any, list[str]]:
    from dpip.app import refresh

    if not args.wait:
        started = refresh.start(config)
        said = "looking for newer heads" if started else "a refresh is under way already"
        return {"started": started}, [said]
    heads = refresh.refresh(config)
    return heads, [f"{row['name']}  {row['root'] or 'no head found'}" for row in heads]


def _list(config: settings.Settings, args: argparse.Namespace) -> tuple[Any, list[str]]:
    del args
    from dpip.app import refresh

    rows = refresh.heads(config)
    lines = [f"{row['kind']:<9}  {row['name']}  {row['root'] or 'no head yet'}" for row in rows]
    return rows, lines


_ACTIONS = {
    "publish": _publish,
    "use": _use,
    "drop": _drop,
    "refresh": _refresh,
    "list": _list,
}
