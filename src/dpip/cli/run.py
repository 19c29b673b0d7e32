"""`dpip run -- CMD…`: any package tool, in an environment that uses the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_raw(argv: Sequence[str]) -> int:
    """Run the command after `--`; returns its exit code. Raises CommandNotFound."""
    from dpip.app.child import run
    from dpip.cli.pip import environment_through_node

    words = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not words or words[0].startswith("-"):
        raise UsageError("nothing to run", hint="usage: dpip run -- uv pip install NAME")
    return run(words, environment_through_node(f"{words[0]} runs with its own settings"))
