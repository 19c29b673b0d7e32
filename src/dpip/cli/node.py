"""`dpip node run|start|stop|status|backup|restore`: the daemon, and its state as one file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpip import settings

if TYPE_CHECKING:
    import argparse

_FLAGS = ("home", "host", "port", "index_url", "offline", "name", "first_contact")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands; run and start take the same flags."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = commands.add_parser("run", help="run a node in the foreground until it is told to stop")
    start = commands.add_parser("start", help="start a node in the background, wait for it")
    stop = commands.add_parser("stop", help="stop the node of this home")
    status = commands.add_parser("status", help="say whether a node runs, and where")
    for command in (run, start):
        _add_settings(command)
    backup = commands.add_parser("backup", help="write the home to one file, also while it runs")
    restore = commands.add_parser("restore", help="make an empty home from such a file")
    for command in (backup, restore):
        command.add_argument("file", type=Path)
    for command in (run, start, stop, status, backup, restore):
        command.add_argument("--home", type=Path, help="directory of the node's state")
        command.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Run one of the commands; returns the exit code."""
    flags = {name: getattr(args, name, None) for name in _FLAGS}
    flags["offline"] = flags["offline"] or None
    config = settings.load(flags)
    if args.action == "run":
        from dpip.app.node import run as run_node

        return run_node(config)
    if args.action == "start":
        return _start(config, flags, as_json=args.json)
    if args.action in {"backup", "restore"}:
        return _copy(config, args)
    return _stop(config, args.json) if args.action == "stop" else _status(config, args.json)


def _copy(config: settings.Settings, args: argparse.Namespace) -> int:
    from dpip.mirror.backup import backup, restore

    if args.action == "backup":
        done = backup(config.home, args.file)
        said = f"wrote {args.file}: {done.files} files, {done.size:,} bytes"
    else:
        done = restore(args.file, config.home)
        said = f"made {config.home}: {done.files} files, {done.size:,} bytes"
    _say({"files": done.files, "bytes": done.size}, said, as_json=args.json)
    return 0


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    command.add_argument("--index-url", help="upstream index (default: pip's)")
    command.add_argument("--offline", action="store_true", help="serve only what is stored")
    command.add_argument("--name", help="what the node calls itself")
    command.add_argument(
        "--first-contact", action="append", metavar="URL|RID@URL", help="a peer to meet first"
    )


def _start(config: settings.Settings, flags: dict[str, object], *, as_json: bool) -> int:
    from dpip.app import background
    from dpip.app.process import read_record
    from dpip.errors import AlreadyRunning

    found = read_record(config.home)
    if found is not None:
        raise AlreadyRunning(f"a node already runs at {found.url} (process {found.pid})")
    node = background.start(config, _as_words(flags))
    _say({"url": node.url, "pid": node.pid}, f"ready {node.url}", as_json=as_json)
    return 0


def _stop(config: settings.Settings, as_json: bool) -> int:
    from dpip.app import background

    node = background.stop(config.home)
    _say({"stopped": node.pid}, f"stopped {node.url} (process {node.pid})", as_json=as_json)
    return 0


def _status(config: settings.Settings, as_json: bool) -> int:
    from dpip.app import background

    node = background.running(config.home)
    health = background.health(node.url)
    facts = {"url": node.url, "pid": node.pid, "home": str(config.home), **health}
    _say(facts, "\n".join(_described(facts)), as_json=as_json)
    return 0


def _described(facts: dict[str, Any]) -> list[str]:
    """Return the facts for people: what peers gave in three lines, the rest one by one."""
    counts = {key: value for key, value in facts.items() if key.startswith(("files_", "bytes_"))}
    lines = [f"{key}: {value}" for key, value in facts.items() if key not in counts]
    for what, kind, moved in (
        ("from peers", "peers", "bytes_moved_for_them"),
        ("of these by recipe", "recipes", "bytes_moved_for_recipes"),
    ):
        files, size = counts.get(f"files_from_{kind}", 0), counts.get(f"bytes_from_{kind}", 0)
        came = f"{counts.get(moved, 0):,} bytes came over"
        lines.append(f"{what}: {files:,} files of {size:,} bytes, for which {came}")
    saved, wasted = counts.get("bytes_saved", 0), counts.get("bytes_wasted", 0)
    lines.append(f"saved: {saved:,} bytes; came for nothing: {wasted:,} bytes")
    return lines


def _as_words(flags: dict[str, object]) -> list[str]:
    """Return the flags that were given, as words for `dpip node run`."""
    words: list[str] = []
    for name, value in flags.items():
        flag = "--" + name.replace("_", "-")
        if name == "home" or value is None:
            continue
        if value is True:
            words.append(flag)
        elif isinstance(value, list):
            words += [word for one in value for word in (flag, str(one))]
        else:
            words += [flag, str(value)]
    return words


def _say(facts: dict[str, object], text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(facts) if as_json else text) + "\n")
