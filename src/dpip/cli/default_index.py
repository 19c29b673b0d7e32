"""Which index is asked where the command line names none.

`--node`, else the running local node, else the configured index (DPIP_INDEX_URL, the
configuration file), else the one that the user's pip is configured with.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Whereabouts(NamedTuple):
    """The index to ask, and the node to ask first, if any."""

    index_url: str | None
    node: str | None


def find(node: str | None) -> Whereabouts:
    """Return where to ask; raises PipMissing where nobody knows."""
    from dpip import settings

    if node or (node := running_node()):
        return Whereabouts(f"{node.rstrip('/')}/simple/", node)
    loaded = settings.load()
    if loaded.index_url:
        return Whereabouts(loaded.index_url, None)
    from dpip.app.pip_settings import index_url

    return Whereabouts(index_url(loaded.url), None)


def running_node() -> str | None:
    """Return the URL of this home's node if it runs."""
    from dpip import settings
    from dpip.app.process import read_record

    record = read_record(settings.load().home)
    return record.url if record else None


def fingerprint(node: str | None) -> str:
    """Return text that changes with whatever `find` depends on, cheaply."""
    if node:
        return node
    from hashlib import sha256

    # Hashed, because the values may hold secrets and the store keeps what this returns.

    # Hashed, because the values may hold secrets and the store keeps what this returns.
    relevant = sorted(
        (name, value) for name, value in os.environ.items() if name.startswith(("DPIP_", "PIP_"))
    )
    state = repr((running_node(), relevant, _pip_files()))
    return sha256(state.encode()).hexdigest()


def _pip_files() -> list[tuple[str, int]]:
    """Return pip's configuration files with the times of their last change."""
    home = Path.home()
    places = [
        Path(os.environ.get("PIP_CONFIG_FILE") or "pip.conf"),
        Path("/etc/pip.conf"),
        Path("/etc/xdg/pip/pip.conf"),
        home / ".config/pip/pip.conf",
        home / ".pip/pip.conf",
        Path(os.environ.get("VIRTUAL_ENV", "")) / "pip.conf",
    ]
    return [(str(path), path.stat().st_mtime_ns) for path in places if path.is_file()]
