"""Which index is asked where the command line names none.

`--node`, else the running local node, else the configured index (DPIP_INDEX_URL, the
configuration file), else the one that the user's pip is configured with.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from dpip.cli import warm


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
    relevant = sorted(
        (name, value) for name, value in os.environ.items() if name.startswith(("DPIP_", "PIP_"))
    )
    states = [(path, warm.state(path)) for path in configuration_files()]
    told = repr((running_node(), relevant, states))
    return sha256(told.encode()).hexdigest()


def configuration_files() -> list[str]:
    """Return the files that `find` depends on: dpip's, the node's record, pip's."""
    from dpip import settings
    from dpip.app.process import RECORD

    home = settings.load().home
    return [str(home / settings.CONFIG_NAME), str(home / RECORD), *_pip_files()]


def _pip_files() -> list[str]:
    """Return where pip's configuration may lie (its own documentation, "Configuration")."""
    home = Path.home()
    base = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    shared = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    places = [Path(folder) / "pip/pip.conf" for folder in shared if folder]
    places += [Path("/etc/pip.conf"), base / "pip/pip.conf", home / ".pip/pip.conf"]
    places += [home / "Library/Application Support/pip/pip.conf"]
    sites = [os.environ.get("VIRTUAL_ENV"), os.environ.get("CONDA_PREFIX"), sys.prefix]
    places += [Path(site) / "pip.conf" for site in sites if site]
    if named := os.environ.get("PIP_CONFIG_FILE"):
        places.append(Path(named))
    return [str(path) for path in places]
