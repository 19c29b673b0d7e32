"""What `dpip mirror` works with: the mirror's configuration, and a sync built on a home.

`<home>/mirror.toml` says what the mirror keeps; see `mirror.selection`. A home without one is
no mirror: its node passes everything through.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpip.app.configured import ConfiguredUpstream
from dpip.app.pip_settings import index_url
from dpip.app.routed import routes_of
from dpip.errors import AlreadyRunning, DpipError, HomeNotWritable, UsageError
from dpip.federation.savings import Savings
from dpip.mirror import store
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.files import Files
from dpip.mirror.ingest import Ingest
from dpip.mirror.judging import Judging, from_files
from dpip.mirror.provenance import Provenances
from dpip.mirror.scope import Scope, decode_closure, encode_closure, fingerprint
from dpip.mirror.selection import read_selection
from dpip.mirror.store import ARCHIVES
from dpip.mirror.sync import Limits, Sync
from dpip.mirror.worklist import Worklist
from dpip.settings import MIRROR_NAME
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from dpip.federation.neighbours import Neighbours
    from dpip.mirror.coverage import Coverage
    from dpip.mirror.scope import Closure, FindClosure
    from dpip.mirror.selection import Selection
    from dpip.mirror.sync import Round
    from dpip.settings import Settings

CATALOG, LOCK = "catalog.sqlite3", "mirror.lock"
BEFORE = ".toml.before"
"""What the configuration that `dpip mirror init` replaced is then called."""
CLOSURE = "closure"
"""Mark: the closure that was found last."""


class NoMirror(DpipError):
    """The home has no mirror configuration."""

    slug = "no-mirror"
    exit_code = 2
    default_hint = "make one: `dpip mirror init`"


@dataclass(frozen=True, slots=True)
class Configured:
    """A mirror's configuration as read: the table, the texts of its requirements files."""

    selection: Selection
    table: dict[str, Any]
    texts: tuple[str, ...]
    files: tuple[Path, ...] = ()
    """Where those texts were read from."""


def read(home: Path) -> Configured:
    """Return the configuration of a home. Raises NoMirror, and UsageError naming the key."""
    path = home / MIRROR_NAME
    try:
        whole = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NoMirror(f"{home} is no mirror") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    table = whole.get("mirror")
    if not isinstance(table, dict) or len(whole) != 1:
        raise UsageError(f"{path}: there must be one table, [mirror]")
    texts: list[str] = []
    files: list[Path] = []

    def read_text(name: str) -> str:
        files.append(home / name)
        texts.append(_requirements(home / name))
        return texts[-1]

    return Configured(read_selection(table, read_text), table, tuple(texts), tuple(files))


def _requirements(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"mirror: cannot read {path}: {error}") from None


def write(home: Path, table: dict[str, Any]) -> Path:
    """Check and write the configuration of a home, whole or not at all; return where it is.

    One that was there, and said something else, is kept beside it. Raises UsageError for a table
    that makes no sense, HomeNotWritable.
    """
    read_selection(table, lambda name: _requirements(home / name))
    path = home / MIRROR_NAME
    lines = "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())
    temporary = path.with_suffix(".tmp")
    try:
        home.mkdir(parents=True, exist_ok=True)
        temporary.write_text(f"[mirror]\n{lines}", "utf-8")
        if path.is_file() and path.read_bytes() != temporary.read_bytes():
            path.replace(path.with_suffix(BEFORE))
        temporary.replace(path)
    except OSError as error:
        raise HomeNotWritable(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _toml(value: object) -> str:
    """Return a value of the configuration as TOML; strings and lists are written as in JSON."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(k)} = {_toml(v)}' for k, v in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def scope_of(configured: Configured, worklist: Worklist) -> Scope:
    """Return what the mirror keeps, with the closure that was found last."""
    found = worklist.mark(CLOSURE) if configured.selection.with_dependencies else None
    return _scope(configured, decode_closure(found) if found else {})


def _scope(configured: Configured, closure: Closure) -> Scope:
    rules = fingerprint(configured.table, configured.texts, closure)
    return Scope(configured.selection, closure, rules)


class LiveScope:
    """The scope of a home's mirror, read again when one of its files or its closure changes."""

    def __init__(self, home: Path, worklist: Worklist) -> None:
        self._home = home
        self._worklist = worklist
        self._files: tuple[Path, ...] = (home / MIRROR_NAME,)
        self._seen: tuple[object, ...] | None = None
        self._scope: Scope | None = None

    def __call__(self) -> Scope:
        """Return the scope in force. Raises UsageError and NoMirror."""
        seen = self.state()
        if self._scope is None or seen != self._seen:
            configured = read(self._home)
            self._files = (self._home / MIRROR_NAME, *configured.files)
            self._seen = self.state()
            self._scope = scope_of(configured, self._worklist)
        return self._scope

    def state(self) -> tuple[object, ...]:
        """Return what changes when the scope does."""
        return (*map(_changed, self._files), self._worklist.mark(CLOSURE))


def _changed(path: Path) -> tuple[int, int]:
    """Return what changes when a file is written; zeros if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@contextlib.contextmanager
def only_sync(home: Path) -> Iterator[None]:
    """Hold the right to sync a home. Raises AlreadyRunning, HomeNotWritable."""
    from filelock import FileLock, Timeout

    lock = FileLock(home / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyRunning(f"another sync already works on {home}", hint="let it end") from None
    except OSError as error:
        raise HomeNotWritable(f"cannot write {home}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    *,
    limits: Limits,
    progress: Callable[[Round], object],
    find_closure: FindClosure | None = None,
    savings: Savings | None = None,
) -> AsyncIterator[Sync]:
    """Build the sync of a home, and close its parts in the end.

    `savings` counts what neighbours gave.
    """
    configured = read(settings.home)
    upstream = ConfiguredUpstream(
        lambda: settings.index_url or index_url(settings.url),
        timeout=settings.upstream_timeout,
        max_page_size=settings.max_page_size,
    )
    async with contextlib.AsyncExitStack() as until_done:
        catalog = until_done.enter_context(contextlib.closing(Catalog(settings.home / CATALOG)))
        archives = Archives(settings.home / ARCHIVES)
        until_done.push_async_callback(upstream.aclose)
        nearby = await until_done.enter_async_context(_nearby(settings, savings or Savings()))
        ingest = Ingest(
            upstream=upstream,
            archives=archives,
            catalog=catalog,
            now=time.time,
            max_size=settings.max_file_size,
            nearby=nearby,
            stored=Provenances(catalog, upstream).keep,
        )
        until_done.push_async_callback(ingest.close)
        files = Files(
            archives=archives, catalog=catalog, ingest=ingest, upstream=upstream, offline=False
        )
        worklist = Worklist(catalog)
        scope, problems = await _with_closure(configured, worklist, find_closure)
        sync = Sync(
            upstream=upstream,
            changelog=upstream.changelog if configured.selection.changelog else None,
            scope=scope,
            rules=scope.rules,
            own=_own_names(settings.home, catalog),
            catalog=catalog,
            worklist=worklist,
            archives=archives,
            ingest=ingest,
            judging=Judging(catalog, from_files(lambda: files)),
            now=time.time,
            limits=limits,
            progress=progress,
        )
        sync.round.problems += problems
        yield sync


@contextlib.asynccontextmanager
async def _nearby(settings: Settings, savings: Savings) -> AsyncIterator[Neighbours | None]:
    """Give the neighbours that the home's node knew last as sources of files, if it knew any."""
    directory = settings.home / "koi"
    if not (directory / "koi.sqlite3").is_file():
        yield None
        return
    from dpip.app.gains import neighbours
    from dpip.federation.acquaintances import Acquaintances
    from dpip.ipfs.disk.leaves import WithLeaves

    around = Acquaintances(directory, settings.peer_networks, settings.first_contact)
    with store.opened(settings.home) as contents:
        found = neighbours(around, WithLeaves(contents), savings, offline=False)
        try:
            yield found
        finally:
            await found.aclose()


async def sync(
    settings: Settings, *, limits: Limits, progress: Callable[[Round], object]
) -> tuple[Round, Coverage]:
    """Run one round; return what it did, and how complete the mirror is then."""
    from dpip.app.closures import closures_of

    find, savings = closures_of(settings), Savings()
    async with opened(
        settings, limits=limits, progress=progress, find_closure=find, savings=savings
    ) as work:
        done = await work.run()
        done.from_peers, done.bytes_saved = savings.total.files, savings.total.saved
        return done, work.coverage()


async def _with_closure(
    configured: Configured, worklist: Worklist, find_closure: FindClosure | None
) -> tuple[Scope, list[str]]:
    """Return the scope, its closure found anew if there is one to follow, and what failed.

    Where there is no answer now, the closure that was found last stays in force.
    """
    selection = configured.selection
    if not selection.with_dependencies or find_closure is None:
        return scope_of(configured, worklist), []
    try:
        latest = selection.filters.latest
        closure, problems = await asyncio.to_thread(
            find_closure,
            selection.roots,
            selection.pythons,
            selection.platforms,
            latest.count if latest else 1,
        )
    except DpipError as error:
        return scope_of(configured, worklist), [f"dependencies: {error.message}"]
    await asyncio.wrap_future(worklist.set_mark(CLOSURE, encode_closure(closure)))
    return _scope(configured, closure), problems


def _own_names(home: Path, catalog: Catalog) -> Callable[[str], bool]:
    """Return whether a name comes from this upstream: not private, also to another node, not
    routed elsewhere.
    """
    routes = routes_of(home, catalog)
    return lambda name: routes.source_of(name) == DEFAULT_SOURCE
