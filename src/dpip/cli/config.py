"""`dpip config list|get|set|unset`: settings that persist in the home's `config.toml`.

Command-line flags win over the environment, the environment over the file.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from dpip import settings
from dpip.errors import HomeNotWritable, UsageError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the four actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show every setting in force, and where it is set")
    get = actions.add_parser("get", help="show one setting in force")
    put = actions.add_parser("set", help="write a setting to the file")
    unset = actions.add_parser("unset", help="take a setting out of the file")
    for action in (get, put, unset):
        action.add_argument("name")
    put.add_argument("value")
    for action in (listing, get):
        action.add_argument("--json", action="store_true", help="speak JSON")


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    config = settings.load()
    if args.action == "list":
        return _list(config, as_json=args.json)
    name = args.name.replace("-", "_")
    if name not in settings.field_types():
        raise UsageError(f"unknown setting {name!r}", hint="see `dpip config list`")
    if args.action == "get":
        value = _plain(getattr(config, name))
        sys.stdout.write((json.dumps(value) if args.json else _shown(value)) + "\n")
        return 0
    change(config.home, name, args.value if args.action == "set" else None)
    return 0


def _list(config: settings.Settings, *, as_json: bool) -> int:
    values = {name: _plain(value) for name, value in dataclasses.asdict(config).items()}
    if as_json:
        sys.stdout.write(json.dumps(values) + "\n")
        return 0
    origins = settings.origins(config.home)
    width = max(map(len, values))
    for name, value in values.items():
        sys.stdout.write(f"{name:<{width}}  {_shown(value)}  ({origins[name]})\n")
    return 0


def change(home: Path, name: str, value: str | None) -> None:
    """Write (or take out) one setting; the file is replaced whole."""
    if name == "home":
        raise UsageError("the home cannot be set in its own file", hint="use DPIP_HOME or --home")
    path = home / settings.CONFIG_NAME
    values = settings.from_file(path)
    if value is None:
        values.pop(name, None)
    else:
        values[name] = _plain(settings.coerce(name, value))
    temporary = path.with_suffix(".tmp")
    try:
        home.mkdir(parents=True, exist_ok=True)
        lines = (f"{key} = {json.dumps(values[key])}\n" for key in sorted(values))
        temporary.write_text("".join(lines), "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise HomeNotWritable(f"cannot write {path}: {error.strerror or error}") from None


def _plain(value: Any) -> Any:
    """Return a value as JSON and TOML know it; both write these alike."""
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
