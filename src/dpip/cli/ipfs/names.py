"""`dpip ipfs name …`: signed, changeable pointers to content."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.cli.ipfs.words import action, group, home, say
from dpip.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from dpip.cli.ipfs.words import Actions

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_UNITS = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip


def declare(actions: Actions) -> None:
    """Declare the actions."""
    names = group(actions, "name", "IPNS: names that point to content")
    parser = action(names, "publish", publish, "point a name of yours to a path")
    parser.add_argument("path", metavar="PATH", help="<cid>[/…], /ipfs/… or /ipns/…")
    parser.add_argument("-k", "--key", default="self")
    parser.add_argument(
        "-t",
        "--lifetime",
        default="48h",
        help="how long it is valid; a running node signs it anew in time, for 48h",
    )
    parser.add_argument("--ttl", default="5m", help="how long it may be cached")
    parser.add_argument("-Q", "--quieter", action="store_true", help="print the name only")
    parser = action(names, "put", put, "keep a signed record")
    parser.add_argument("name")
    parser.add_argument("file", metavar="FILE", help="the record, or -")
    parser = action(names, "get", get, "write the signed record of a name to standard output")
    parser.add_argument("name")
    parser = action(names, "resolve", resolve, "show what a name points to")
    parser.add_argument("name")


def duration(text: str) -> int:
    """Read `48h`, `1m30s` and the like; returns nanoseconds. Raises UsageError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{text!r} is not a duration such as 48h or 1m30s")
    return int(sum(float(number) * _UNITS[unit] for number, unit in parts))


def publish(args: argparse.Namespace) -> int:
    """Sign and keep a record with the next sequence number."""
    from dpip.app import content
    from dpip.ipfs import ipns
    from dpip.ipfs.errors import NotFound
    from dpip.ipfs.gateway.request import ContentPath

    path = str(ContentPath.parse(args.path if args.path[0] == "/" else f"/ipfs/{args.path}"))
    key, records = content.keys(home()).find(args.key), content.records(home())
    try:
        sequence = records.get(key.name).sequence + 1
    except NotFound:
        sequence = 0
    now = time.time_ns()
    expires = now + duration(args.lifetime)
    record = ipns.create(key, path, sequence=sequence, expires=expires, ttl=duration(args.ttl))
    records.put(key.name, record.raw, now)
    name = key.name.encode("k")
    text = name if args.quieter else f"Published to {name}: {path}"
    say(args, {"Name": name, "Value": path, "Sequence": sequence}, text)
    return 0


def put(args: argparse.Namespace) -> int:
    """Keep a record that somebody signed, if it is valid and not older than ours."""
    from dpip.app import content
    from dpip.ipfs.keys import parse_name

    raw = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
    name = parse_name(args.name)
    record = content.records(home()).put(name, raw, time.time_ns())
    value = {"Name": name.encode("k"), "Value": record.value, "Sequence": record.sequence}
    say(args, value, f"{name.encode('k')}: {record.value}")
    return 0


def get(args: argparse.Namespace) -> int:
    """Write the bytes of a record."""
    from dpip.app import content
    from dpip.ipfs.keys import parse_name

    sys.stdout.buffer.write(content.records(home()).get(parse_name(args.name)).raw)
    return 0


def resolve(args: argparse.Namespace) -> int:
    """Show the path that a name points to now."""
    from dpip.app import content
    from dpip.ipfs import ipns
    from dpip.ipfs.keys import parse_name

    name = parse_name(args.name)
    record = ipns.verify(content.records(home()).get(name).raw, name, time.time_ns())
    say(args, {"Path": record.value, "Sequence": record.sequence}, record.value)
    return 0
