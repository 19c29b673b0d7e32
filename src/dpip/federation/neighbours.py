"""Files from other nodes: asked first, briefly, and believed only by their hash.

At most three neighbours are asked whether they hold a file, for at most a tenth of a second.
One that does is used: by recipe where most blocks are here already, else for the leaves of the
published file, else for the file as it is. Nothing that comes reaches anybody before its
SHA-256 is right. A neighbour that lies, breaks off or stalls costs time, and not for long:
upstream runs beside it as soon as it does badly (`mirror.hedge`), and for a while it is not
asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from typing import TYPE_CHECKING, Any, Protocol

from dpip.federation.offers import STALL, Attempt, NeighbourFailed
from dpip.federation.standing import ABSENT, FAILED, Standing
from dpip.mirror.hedge import BOUND, Gift

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from dpip.federation.offers import Means, Offer
    from dpip.federation.savings import Savings
    from dpip.federation.whole import WholeFiles
    from dpip.mirror.catalog import FileRecord
    from dpip.mirror.hedge import Progress, Way

log = logging.getLogger(__name__)
MOST_ASKED = 3


class Directory(Protocol):
    """Who is there to be asked."""

    def near(self, record: FileRecord) -> Sequence[str]:
        """Return base URLs of nodes, the likeliest to hold the file first."""
        ...


class Neighbours:
    """Obtains files; see `mirror.race.Nearby`.

    `means` are tried in order, `whole` last. With `insistent` there is no upstream to turn to,
    ever: every neighbour is asked, and waited for. `clock` returns seconds that only go up.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        means: Sequence[Means],
        whole: WholeFiles,
        savings: Savings,
        clock: Callable[[], float],
        insistent: bool = False,
    ) -> None:
        self._directory = directory
        self._means = (*means, whole)
        self._whole = whole
        self._savings = savings
        self._clock = clock
        self._insistent = insistent
        self._standing = Standing()

    async def aclose(self) -> None:
        """Begin nothing more, and close all connections."""
        for means in self._means:
            means.close()
        await self._whole.aclose()

    def settle(self, gift: Gift | None, progress: Progress, beside: int) -> None:
        """Count what came; see `mirror.race.Nearby`."""
        self._savings.settle(gift, progress.came, beside)

    async def obtain(
        self, record: FileRecord, place: Path, progress: Progress, *, insistent: bool = False
    ) -> Gift | None:
        """Put the whole file at `place`, checked; return None if no neighbour had it."""
        patience = STALL if insistent or self._insistent else BOUND
        attempt = Attempt(record, place, progress)
        try:
            for urls in _in_threes(self._asked(record, patience > BOUND)):
                async with contextlib.aclosing(self._offers(urls, record, patience)) as offers:
                    async for offer in offers:
                        progress.offered = True
                        way = await self._take(offer, attempt)
                        if way is not None:
                            return Gift(place.stat().st_size, way)
        except OSError as error:
            # The disk here, not theirs: upstream's own transfer will say so.
            log.warning("%s from neighbours: %s", record.filename, error)
        return None

    async def metadata(self, record: FileRecord) -> bytes | None:
        """Return a wheel's metadata file by the hash that the index gives it, or None.

        It is asked of three neighbours at once, for no longer than the bound.
        """
        if record.metadata_sha256 is None:
            return None
        urls = self._asked(record, self._insistent)[:MOST_ASKED]
        asking = [asyncio.create_task(self._metadata(url, record)) for url in urls]
        try:
            patience = STALL if self._insistent else BOUND
            for answer in asyncio.as_completed(asking, timeout=patience):
                with contextlib.suppress(TimeoutError):
                    body = await answer
                    if body is not None:
                        return body
        finally:
            await _end(asking)
        return None

    async def _metadata(self, url: str, record: FileRecord) -> bytes | None:
        try:
            body = await self._whole.metadata(url, record)
        except NeighbourFailed as error:
            self._blame(url, ABSENT, error.message)
            return None
        if body is None or hashlib.sha256(body).hexdigest() == record.metadata_sha256:
            return body
        self._blame(url, FAILED, f"{record.filename}.metadata from {url}: another file")
        return None

    def _asked(self, record: FileRecord, insistent: bool) -> list[str]:
        urls, now = self._directory.near(record), self._clock()
        if insistent:
            return self._standing.all(urls, now)
        return self._standing.sound(urls, now)[:MOST_ASKED]

    async def _offers(
        self, urls: Sequence[str], record: FileRecord, patience: float
    ) -> AsyncGenerator[Offer, None]:
        """Yield offers as they come; neighbours that take too long are not waited for."""
        asking = [asyncio.create_task(self._ask(url, record)) for url in urls]
        try:
            for answer in asyncio.as_completed(asking, timeout=patience):
                with contextlib.suppress(TimeoutError):
                    offer = await answer
                    if offer is not None:
                        yield offer
        finally:
            await _end(asking)

    async def _ask(self, url: str, record: FileRecord) -> Offer | None:
        try:
            return await self._whole.ask(url, record)
        except NeighbourFailed as error:
            self._blame(url, ABSENT, error.message)
            return None

    async def _take(self, offer: Offer, attempt: Attempt) -> Way | None:
        """Return the way on which the whole, right file came; None for no way."""
        try:
            for means in self._means:
                if await means.bring(offer, attempt):
                    if await self._is_right(attempt):
                        return means.way
                    self._savings.refuse()
                    attempt.discard()
                    raise NeighbourFailed(f"{offer.url}: it is another file")
        except NeighbourFailed as error:
            self._blame(offer.url, FAILED, f"{attempt.record.filename} from {error.message}")
        return None

    async def _is_right(self, attempt: Attempt) -> bool:
        return await asyncio.to_thread(_sha256, attempt.place) == attempt.record.sha256

    def _blame(self, url: str, seconds: float, why: str) -> None:
        log.info("%s", why)
        self._standing.blame(url, self._clock(), seconds)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _in_threes(urls: list[str]) -> list[list[str]]:
    return [urls[at : at + MOST_ASKED] for at in range(0, len(urls), MOST_ASKED)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
