"""The home's content store, as the rest of dpip sees it: its place, and its errors as ours.

Blocks lie in `<home>/blocks`, whole archives where `archives` keeps them. `tend` is what a
node does with them in its idle time: take new ones apart, drop cold whole files that can be
made again, compact.
"""

from __future__ import annotations

import errno
import functools
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.errors import DiskFull, DpipError, HomeNotWritable
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.errors import Damaged, IpfsError, NotFound, Unavailable, Unwritable
from dpip.mirror.archives import is_sha256
from dpip.simple.repository import WholeFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from dpip.ipfs.archive.match import Search
    from dpip.ipfs.disk.archives import Archive

BLOCKS, ARCHIVES = "blocks", "archives"
PAUSE = 0.02
"""Seconds of rest between steps of compaction in a running node."""
AT_ONCE = 2
"""Archives that are taken apart at the same time, each in memory or in a spool on the disk."""


class StoreDamaged(DpipError):
    """The content store is not what it was when it was written."""

    slug = "store-damaged"
    default_hint = "run `dpip fsck --repair`"


class StoreBusy(DpipError):
    """The content store, or a program that it needs, cannot be used now."""

    slug = "store-busy"
    default_hint = "try again; another dpip may be working on the same home"


class NotInStore(DpipError):
    """What was asked for is not in the content store."""

    slug = "not-in-store"


class BadContent(DpipError):
    """Content, a CID or an archive cannot be handled."""

    slug = "bad-content"
    side = "theirs"


class FileUnusable(DpipError):
    """A file that was named cannot be read or written."""

    slug = "file-unusable"


@contextmanager
def mapped() -> Iterator[None]:
    """Turn errors of the content room into ours."""
    try:
        yield
    except NotFound as error:
        raise NotInStore(str(error)) from None
    except Damaged as error:
        raise StoreDamaged(str(error)) from None
    except Unavailable as error:
        raise StoreBusy(str(error)) from None
    except Unwritable as error:
        kind = DiskFull if "space" in str(error) or "full" in str(error) else HomeNotWritable
        raise kind(str(error)) from None
    except IpfsError as error:
        raise BadContent(str(error)) from None


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of the content room, and of files that a user named, into ours."""
    try:
        with mapped():
            yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(str(error)) from None
        raise FileUnusable(f"{error.filename or ''}: {error.strerror or error}") from None


@contextmanager
def opened(home: Path) -> Iterator[Archives]:
    """Open the store of a home, and close it in the end; errors inside are mapped too."""
    with mapped():
        store = DiskBlockstore(home / BLOCKS)
        try:
            yield Archives(store, home / ARCHIVES)
        finally:
            store.close()


def remake_index(home: Path) -> bool:
    """Make the index of a home's store again if it cannot be read; say whether it was so."""
    from dpip.ipfs.disk.reindex import reindex

    try:
        DiskBlockstore(home / BLOCKS).close()
    except Damaged:
        reindex(home / BLOCKS, time.time).close()
        return True
    return False


class Remake:
    """Makes whole files again that were dropped because the store can."""

    def __init__(self, archives: Archives) -> None:
        self._archives = archives

    def whole(self, sha256: str) -> WholeFile | None:
        """Return the file, made again if need be; None if the store does not know it.

        Takes as long as compressing it takes. Raises StoreDamaged, StoreBusy, DiskFull.
        """
        if not is_sha256(sha256):
            return None
        try:
            path = self._archives.open(sha256)
        except NotFound:
            return None
        except IpfsError:
            with mapped():
                raise
        return WholeFile(path, path.stat().st_size, sha256)


@dataclass(frozen=True, slots=True)
class Tended:
    """What one round did: archives taken in, whole files dropped, bytes given back.

    `removed` archives went because of the size limit; `size` is what the store takes now.
    """

    taken: int
    dropped: int
    freed: int
    removed: int
    size: int


@dataclass(frozen=True, slots=True)
class Limit:
    """The size limit of a home, in bytes, and the hashes of private files, which stay."""

    size: int
    private: frozenset[str]
    forget: Callable[[str], None]
    """Takes an archive out of the catalog."""


@contextmanager
def limit_of(home: Path, size: int) -> Iterator[Limit]:
    """Give the limit of a home; its catalog is opened when the first archive must go."""
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.private import Private

    private: set[str] = set()
    if (home / "private.sqlite3").exists():
        with closing(Private(home / "private.sqlite3")) as packages:
            private = packages.hashes()
    with ExitStack() as until_done:

        @functools.cache
        def catalog() -> Catalog:
            return until_done.enter_context(closing(Catalog(home / "catalog.sqlite3")))

        yield Limit(size, frozenset(private), lambda one: catalog().drop_archive(one).result())


def _taken_in(archives: Archives, search: Search, stop: Callable[[], bool]) -> Iterator[Archive]:
    """Take in what is new, in order, two at a time, and yield it.

    Most of the work on an sdist is to write its one stream again, which is one core's work.
    """
    at_once = min(AT_ONCE, os.cpu_count() or 1)
    with ThreadPoolExecutor(at_once, "taking-in") as threads:
        waiting: deque[Future[Archive]] = deque()
        for path in archives.new():
            if stop():
                break
            add = functools.partial(archives.add, search=search)
            waiting.append(threads.submit(add, path, path.parent.name, path.name))
            if len(waiting) == at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def tend(
    archives: Archives,
    hot_size: int,
    *,
    limit: Limit | None = None,
    stop: Callable[[], bool] = lambda: False,
    took: Callable[[Archive], None] = lambda _: None,
) -> Tended:
    """Take in whole archives that are new, keep at most `hot_size` bytes of them, compact.

    Archives go, least recently used first, if the store takes more than `limit` says.

    `stop` is asked between archives, `took` is told of each. Runs for as long as there is
    work: call it where nobody waits for it.
    """
    from dpip.ipfs.archive.match import Search
    from dpip.ipfs.disk import hot
    from dpip.ipfs.disk import limit as limits
    from dpip.ipfs.disk.compact import compact

    taken, removed = 0, 0
    with mapped():
        for archive in _taken_in(archives, Search(), stop):
            took(archive)
            taken += 1
        trimmed = hot.trim(archives, hot_size, stop=stop)
        freed = trimmed.freed
        if limit is not None and not stop():
            limited = limits.enforce(
                archives,
                limit.size,
                spared=limit.private,
                forget=limit.forget,
                pause=PAUSE,
                stop=stop,
            )
            removed, freed = limited.removed, freed + limited.freed
        freed += 0 if stop() else compact(archives.store, pause=PAUSE).freed
        return Tended(taken, trimmed.dropped, freed, removed, limits.size(archives))
