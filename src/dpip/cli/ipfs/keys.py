"""`dpip ipfs key …`: the keys that names are published with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.cli.ipfs.words import action, group, home, say

if TYPE_CHECKING:
    import argparse

    from dpip.cli.ipfs.words import Actions
    from dpip.ipfs.keystore import Keystore

PASSWORD = "DPIP_KEY_PASSWORD"
FORMATS = ("libp2p-protobuf-cleartext", "pem-pkcs8-cleartext", "pem-pkcs8")


def declare(actions: Actions) -> None:
    """Declare the actions."""
    keys = group(actions, "key", f"keys; {PASSWORD} encrypts and opens PEM files")
    parser = action(keys, "gen", gen, "make an Ed25519 key")
    parser.add_argument("name")
    parser.add_argument("-t", "--type", default="ed25519", choices=("ed25519",))
    parser = action(keys, "list", list_, "show the keys")
    parser.add_argument("-l", "--long", action="store_true", help="show their IPNS names, too")
    parser = action(keys, "import", import_, "take a key from a file")
    parser.add_argument("name")
    parser.add_argument("file", type=Path)
    parser.add_argument("-f", "--format", choices=FORMATS, default=FORMATS[0])
    parser = action(keys, "export", export, "write a key to a file that only you can read")
    parser.add_argument("name")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-f", "--format", choices=FORMATS, default=FORMATS[0])
    parser = action(keys, "rename", rename, "give a key another name")
    parser.add_argument("name")
    parser.add_argument("new")
    parser = action(keys, "rm", remove, "take a key away for good")
    parser.add_argument("name")


def _keys() -> Keystore:
    from dpip.app import content

    return content.keys(home())


def _password(args: argparse.Namespace) -> bytes | None:
    return os.environ.get(PASSWORD, "").encode() or None if args.format == FORMATS[2] else None


def gen(args: argparse.Namespace) -> int:
    """Make a key and print its IPNS name."""
    name = _keys().generate(args.name).name.encode("k")
    say(args, {"Name": args.name, "Id": name}, name)
    return 0


def list_(args: argparse.Namespace) -> int:
    """Show the names of the keys."""
    keys = _keys()
    keys.get("self")
    for label, key in keys:
        name = key.name.encode("k")
        say(args, {"Name": label, "Id": name}, f"{name} {label}" if args.long else label)
    return 0


def import_(args: argparse.Namespace) -> int:
    """Take a key from a file."""
    from dpip.ipfs.keys import PrivateKey

    data = args.file.read_bytes()
    if args.format == FORMATS[0]:
        key = PrivateKey.from_protobuf(data)
    else:
        key = PrivateKey.from_pem(data, _password(args))
    _keys().put(args.name, key)
    say(args, {"Name": args.name, "Id": key.name.encode("k")}, key.name.encode("k"))
    return 0


def export(args: argparse.Namespace) -> int:
    """Write a key to a file."""
    from dpip.errors import UsageError
    from dpip.ipfs.records import write_whole

    key = _keys().get(args.name)
    if args.format == FORMATS[2] and _password(args) is None:
        raise UsageError(f"set {PASSWORD} to the password for the file")
    raw = args.format == FORMATS[0]
    target = args.output or Path(f"{args.name}.{'key' if raw else 'pem'}")
    write_whole(target, key.to_protobuf() if raw else key.to_pem(_password(args)), mode=0o600)
    say(args, {"Name": args.name, "File": str(target)}, str(target))
    return 0


def rename(args: argparse.Namespace) -> int:
    """Give a key another name."""
    _keys().rename(args.name, args.new)
    say(args, {"Was": args.name, "Now": args.new}, args.new)
    return 0


def remove(args: argparse.Namespace) -> int:
    """Take a key away."""
    _keys().remove(args.name)
    say(args, {"Name": args.name}, args.name)
    return 0
