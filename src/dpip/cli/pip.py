"""Words that are not dpip's are pip's: run the environment's own pip through the node.

The words go through untouched, and so do pip's output and exit code. Without a node, pip
runs with the user's own settings, and one line on standard error says so.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL = frozenset(
    {"cache", "check", "completion", "config", "debug", "freeze", "hash", "help", "inspect"}
    | {"show", "uninstall"}
)
"""Commands of pip that never ask an index: no node is started for them."""


def run_raw(argv: Sequence[str]) -> int:
    """Run pip with these words; returns its exit code. Raises PipMissing."""
    from dpip.app.child import run
    from dpip.app.pip_settings import environment_python

    python = environment_python()
    environ = dict(os.environ)
    if not LOCAL.intersection(argv[:1]):
        environ = environment_through_node("pip runs with your own settings")
    return run([str(python), "-m", "pip", *argv], environ)


def environment_through_node(otherwise: str) -> dict[str, str]:
    """Return the environment that uses the node, starting it; else our own, and say so."""
    from dpip import settings
    from dpip.app import background
    from dpip.app.child import environment

    try:
        node = background.ensure(settings.load())
    except DpipError as error:
        sys.stderr.write(f"dpip: no node ({error.message}): {otherwise}\n")
        return dict(os.environ)
    return environment(node.url, os.environ)
