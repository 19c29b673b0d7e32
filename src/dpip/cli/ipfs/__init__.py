"""`dpip ipfs …`: the content of this home by hand, in the words of the `ipfs` command.

Works with or without a running node: both use the store of the home at once. Standard output
is data; what went wrong is told on standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.cli.ipfs import add, cars, keys, names, show

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of all parts."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for part in (add, show, cars, keys, names):
        part.declare(actions)


def run(args: argparse.Namespace) -> int:
    """Run one action; returns the exit code. Raises DpipError."""
    from dpip.mirror.store import told

    with told():
        return int(args.act(args))
