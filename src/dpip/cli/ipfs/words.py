"""What the actions of `dpip ipfs` share: arguments in, lines or JSON out."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from dpip import settings
from dpip.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.cid import CID

    Actions = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - has no other name


def action(
    actions: Actions, name: str, act: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    """Declare one action and return its parser; all of them speak JSON if asked."""
    parser = actions.add_parser(name, help=summary, description=summary)
    parser.set_defaults(act=act)
    parser.add_argument("--json", action="store_true", help="speak JSON")
    return parser


def group(actions: Actions, name: str, summary: str) -> Actions:
    """Declare a group of actions, such as `key`."""
    parser = actions.add_parser(name, help=summary, description=summary)
    return parser.add_subparsers(required=True, metavar="ACTION")


def boolean(text: str) -> bool:
    """Read the value of `--raw-leaves=false` and its like."""
    if text.lower() not in {"true", "false"}:
        raise UsageError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def home() -> settings.Settings:
    """Return the settings in force."""
    return settings.load()


def say(args: argparse.Namespace, value: Any, text: str) -> None:
    """Write a value as JSON or as text, one line."""
    sys.stdout.write((json.dumps(value) if args.json else text) + "\n")


def resolved(store: Blockstore, path: str) -> CID:
    """Return the CID that `<cid>`, `/ipfs/<cid>/…` or `/ipns/<name>/…` means."""
    import time

    from dpip.app import content
    from dpip.ipfs import dag
    from dpip.ipfs.gateway.content import Source, immutable
    from dpip.ipfs.gateway.request import ContentPath

    full = path if path.startswith("/") else f"/ipfs/{path}"
    source = Source(store, content.records(home()), time.time_ns)
    root, segments, _ = immutable(source, ContentPath.parse(full))
    return dag.resolve(store, root, segments).cid
