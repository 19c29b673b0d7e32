"""The options that all example nodes share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path


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
    parser.add_argument("--name", default=name)
    parser.add_argument("--home", type=Path, default=Path(f".{name}"))
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--first-contact", default=first_contact, metavar="URL|RID@URL")
    parser.add_argument("--allow-unsigned", action="store_true", help="accept protocol 1.0 peers")
    found = parser.parse_args()
    found.home.mkdir(parents=True, exist_ok=True)
    return Options(found.name, found.home, found.port, found.first_contact, found.allow_unsigned)
