"""`python -m dpip.app.tend HOME HOT_SIZE STORE_SIZE`: one round of looking after the content store.

A process of its own, at the lowest priority: taking archives apart keeps every core busy for
seconds, and the node must go on answering. It may be killed at any instant (see
`ipfs/disk/store.py`); what it did not do, the next round does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dpip.ipfs.disk.archives import Archive, Archives
    from dpip.mirror.apart import Apart
    from dpip.settings import Settings


def main(home: Path, hot_size: int, store_size: int) -> int:
    """Tend the store of a home; print what was done as JSON; return the exit code."""
    import json
    from dataclasses import asdict

    from dpip import settings
    from dpip.mirror.store import limit_of, opened, tend

    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    try:
        config = settings.load({"home": home})
        with (
            opened(home) as archives,
            _told(config, archives) as took,
            limit_of(home, store_size) as limit,
        ):
            done = tend(archives, hot_size, limit=limit, stop=lambda: bool(stopping), took=took)
    except DpipError as error:
        sys.stdout.write(json.dumps(error.as_dict()) + "\n")
        return error.exit_code
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
    return 0


@contextlib.contextmanager
def _told(config: Settings, archives: Archives) -> Iterator[Callable[[Archive], None]]:
    """Give what is to be told of each new archive: the daemon's queue, where there is one."""
    from dpip.app import kubo

    if not kubo.is_chosen(config):
        yield lambda _: None
        return
    with kubo.jobs(config) as queue, _apart(config.home, archives) as apart:
        yield lambda archive: kubo.leave_archive(queue, archive, apart)


@contextlib.contextmanager
def _apart(home: Path, archives: Archives) -> Iterator[Apart]:
    """Give the files of a home that are not for everybody."""
    from dpip.app.routed import routes_of
    from dpip.mirror.apart import Apart
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.private import Private
    from dpip.simple.routing import DEFAULT_SOURCE

    with (
        contextlib.closing(Catalog(home / "catalog.sqlite3")) as catalog,
        contextlib.closing(Private(home / "private.sqlite3")) as private,
    ):
        routes = routes_of(home, catalog)
        apart = Apart(catalog, archives, lambda name: routes.source_of(name) != DEFAULT_SOURCE)
        apart.add(private.uploaded())
        apart.follow(routes)
        yield apart


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
