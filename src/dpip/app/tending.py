"""When the content store is looked after: once nothing new has come in for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.settings import Settings

log = logging.getLogger(__name__)
QUIET = 10.0
"""Seconds without a new archive before a round begins: installs come in bursts."""
LOOK = 1.0
AGAIN = 300.0
"""Seconds to the next round with a size limit: what was too young to go is old then."""
STOP_TIMEOUT = 5.0


class Tending:
    """Runs rounds of `dpip.app.tend` beside the node.

    `kept` counts the archives that were stored since start; a round is due when it has grown
    and then rested. One round is due at start, for what an earlier run left.
    """

    def __init__(
        self, settings: Settings, kept: Callable[[], int], *, quiet: float = QUIET
    ) -> None:
        self._settings = settings
        self._kept = kept
        self._quiet = quiet
        self.rounds = 0

    async def run(self) -> None:
        """Look after the store until cancelled; a round under way is then ended."""
        done, last = -1, 0.0
        while True:
            seen = self._kept()
            await asyncio.sleep(self._quiet)
            while self._kept() != seen:
                seen = self._kept()
                await asyncio.sleep(self._quiet)
            due = self._settings.store_size and time.monotonic() - last > AGAIN
            if seen != done or due:
                await self._round()
                done, last = seen, time.monotonic()
            await asyncio.sleep(LOOK)

    async def _round(self) -> None:
        settings = self._settings
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dpip.app.tend", str(settings.home), str(settings.hot_size),
            str(settings.store_size),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            said, _ = await process.communicate()
        except asyncio.CancelledError:
            await _end(process)
            raise
        self.rounds += 1
        log.info("tended the store: %s", said.decode("utf-8", "replace").strip())


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()
