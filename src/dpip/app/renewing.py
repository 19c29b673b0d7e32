"""IPNS records of our own keys, signed anew long before they expire, for as long as a node runs.

A record that lapses takes its name away from everybody, so a node renews whatever it has a
key and a record for: heads of published indexes, whose state must know of it, and records
made by `dpip ipfs name publish`. The value stays what it is; see `ipns.renew`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.errors import DpipError
from dpip.ipfs import ipns
from dpip.ipfs.errors import NotFound
from dpip.mirror.store import mapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.keys import PrivateKey
    from dpip.settings import Settings

log = logging.getLogger(__name__)
LOOK = 3600.0
"""Seconds between two looks; a record that is due has a day left."""


class Renewing:
    """Looks after the records of a home; `clock` gives nanoseconds since 1970."""

    def __init__(
        self,
        settings: Settings,
        blocks: Blockstore,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._blocks = blocks
        self._clock = clock

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(renew, self._settings, self._blocks, self._clock())
            except (DpipError, OSError) as error:
                log.warning("renewing IPNS records: %s", error)
            await asyncio.sleep(LOOK)


def renew(settings: Settings, blocks: Blockstore, now: int) -> list[ipns.Record]:
    """Sign anew what is due at `now` and return it; keys under a password are passed over."""
    renewed = []
    for _, key in content.keys(settings):
        try:
            with mapped():
                record = _renewed(settings, blocks, key, now)
        except (DpipError, sqlite3.Error) as error:
            log.warning("renewing the IPNS record of %s: %s", key.name.encode("k"), error)
            continue
        if record is not None:
            _leave(settings, key.name.encode("k"), record)
            renewed.append(record)
    return renewed


def _renewed(
    settings: Settings, blocks: Blockstore, key: PrivateKey, now: int
) -> ipns.Record | None:
    records = content.records(settings)
    try:
        kept = records.get(key.name)
    except NotFound:
        return None
    if not ipns.republish_due(kept, now):
        return None
    if (settings.home / "indexes").is_dir():
        from dpip.mirror.indexes import renew_head

        head = renew_head(settings.home, blocks, key, kept, now)
        if head is not None:
            return records.put(key.name, head.record.raw, now)
    record = ipns.renew(key, kept, now)
    return records.put(key.name, record.raw, now)


def _leave(settings: Settings, name: str, record: ipns.Record) -> None:
    """Have an IPFS daemon spread the record, where one is chosen."""
    from dpip.app import kubo

    if kubo.is_chosen(settings):
        with kubo.jobs(settings) as queue:
            queue.put("record", name, record.raw)
