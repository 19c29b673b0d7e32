"""Which index is asked where the command line names none.

`--node`, else the running local node, else the configured index (DPIP_INDEX_URL, the
configuration file), else what the user's pip is configured with: its index, its extra indexes,
its --find-links, and its settings on connections.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Whereabouts(NamedTuple):
    """The index to ask, and the node to ask first, if any; what pip's settings add to them."""

    index_url: str | None
    node: str | None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """Names and values that stand for variables of the environment, such as PIP_CERT."""


def find(node: str | None) -> Whereabouts:
    """Return where to ask; raises PipMissing where nobody knows."""
    if node or (node := running_node()):
        return Whereabouts(f"{node.rstrip('/')}/simple/", node)
    from dpip import settings

    loaded = settings.load()
    if loaded.index_url:
        return Whereabouts(loaded.index_url, None)
    from dpip.app.pip_settings import places

    told = places(loaded.url)
    return Whereabouts(
        told.index_url,
        None,
        told.extra_index_urls,
        told.find_links,
        told.trusted_hosts,
        told.variables,
    )


def running_node() -> str | None:
    """Return the URL of this home's node if it runs."""
    from dpip import settings
    from dpip.app.process import read_record

    record = read_record(settings.load().home)
    return record.url if record else None


def configuration_files() -> list[str]:
    """Return the files that `find` depends on: dpip's, the node's record, pip's."""
    from dpip import settings
    from dpip.app import pip_memory
    from dpip.app.process import RECORD

    home = settings.load().home
    pips = pip_memory.configuration(None, os.environ)
    return [str(home / settings.CONFIG_NAME), str(home / RECORD), *map(str, pips)]


def listed(find_links: tuple[str, ...]) -> list[str] | None:
    """Return local --find-links and every file in them; None if one is not local."""
    if not find_links:
        return []
    from dpip.resolve.find_links import local_path

    paths: list[Path] = []
    for place in find_links:
        if place.startswith(("http://", "https://")):
            return None
        path = local_path(place)
        paths.append(path)
        if path.is_dir():
            paths += sorted(path.iterdir())
    return list(map(str, paths))
