"""The options that all example nodes share."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.koi import KoiNetNode, NodeInterface
from dpip.koi.errors import KoiError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Options:
    """Where a node lives, what it is called, and whom it contacts first."""

    name: str
    home: Path
    port: int
    first_contact: str | None
    allow_unsigned: bool

    @property
    def base_url(self) -> str:
        """The node's URL, with the protocol's prefix."""
        return f"http://127.0.0.1:{self.port}/koi-net"


def parse(name: str, *, port: int = 8000, first_contact: str | None = None) -> Options:
    """Read the command line; the arguments are the defaults of this example."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default=name, type=_name)
    parser.add_argument("--home", type=Path, default=Path(f".{name}"))
    parser.add_argument("--port", type=_port, default=port)
    parser.add_argument("--first-contact", default=first_contact, metavar="URL|RID@URL")
    parser.add_argument("--allow-unsigned", action="store_true", help="accept protocol 1.0 peers")
    found = parser.parse_args()
    try:
        found.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --home: {error}")
    return Options(found.name, found.home, found.port, found.first_contact, found.allow_unsigned)


def made(make: Callable[[Options], NodeInterface], options: Options) -> NodeInterface:
    """Return the node, or end the program and say in one line why there is none."""
    try:
        return make(options)
    except KoiError as error:
        sys.exit(f"{options.name}: {error}")


def _name(text: str) -> str:
    if not text or "+" in text:
        raise argparse.ArgumentTypeError("a name is text without '+'")
    return KoiNetNode(text, "0").name


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)
