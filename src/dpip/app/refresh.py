"""Looking for newer heads of the indexes that are followed: one process, detached, locked.

The search asks gateways over the network and may take long, so no request and no command
waits for it. Whatever is found is checked and kept on disk; a running node sees it there.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpip.app.content import records
from dpip.ipfs.errors import NotFound
from dpip.ipfs.gateway.client import Gateway, Gateways
from dpip.ipfs.keys import parse_name
from dpip.mirror.indexes import Subscription
from dpip.mirror.store import mapped
from dpip.mirror.subscribed import keep_newest

if TYPE_CHECKING:
    from dpip.settings import Settings

LOCK = "refresh.lock"


def start(settings: Settings) -> bool:
    """Start a detached refresh; False if one is under way."""
    from filelock import FileLock, Timeout

    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(settings.home / LOCK, timeout=0):
            pass
    except Timeout:
        return False
    subprocess.Popen(
        [sys.executable, "-m", "dpip.app.refresh", str(settings.home)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "DPIP_HOME": str(settings.home)},
    )
    return True


def refresh(settings: Settings) -> list[dict[str, Any]]:
    """Ask for the head of each followed index once; return the heads that are known then.

    Asked are the gateways of the index, and the IPFS daemon where one is chosen.
    """
    from dpip.app.kubo import finder

    with mapped(), finder(settings) as daemon:
        for followed in map(Subscription.parse, settings.index):
            name = parse_name(followed.name)
            if daemon is not None:
                keep_newest(records(settings), name, daemon)
            if followed.gateways:
                gateways = Gateways([Gateway(url) for url in followed.gateways])
                with contextlib.closing(gateways):
                    keep_newest(records(settings), name, gateways)
    return [row for row in heads(settings) if row["kind"] == "followed"]


def heads(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for each index that is published or followed here."""
    own = sorted(path.stem for path in (settings.home / "indexes").glob("k*.sqlite3"))
    rows = [_row(settings, "published", name, ()) for name in own]
    followed = map(Subscription.parse, settings.index)
    return rows + [_row(settings, "followed", one.name, one.gateways) for one in followed]


def _row(settings: Settings, kind: str, name: str, gateways: tuple[str, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": kind, "name": name, "gateways": list(gateways)}
    try:
        with mapped():
            cid = parse_name(name)
        head = records(settings).get(cid)
    except NotFound:
        return {**row, "root": None, "sequence": None}
    return {**row, "root": head.value, "sequence": head.sequence}


def main(home: Path) -> int:
    """Refresh under the lock; a second process ends at once."""
    from filelock import FileLock, Timeout

    from dpip import settings

    try:
        with FileLock(home / LOCK, timeout=0):
            refresh(settings.load({"home": home}))
    except Timeout:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
