"""One resolve from end to end: sources put together, rounds driven, builds fed.

`Engine` is where the deciding half meets the doing half. It owns what a run shares (the store,
the connections, the facts gathered so far) and lends itself to isolated builds, whose
requirements are resolved the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dpip.resolve.build import Isolation
from dpip.resolve.connections import open_transport
from dpip.resolve.credentials import Credentials
from dpip.resolve.direct import DirectUrls
from dpip.resolve.downloads import Downloads
from dpip.resolve.errors import BuildFailed
from dpip.resolve.find_links import FindLinks
from dpip.resolve.gather import Gathered
from dpip.resolve.index import Indexes
from dpip.resolve.metadata import Metadata
from dpip.resolve.resolution import NeedMore, Solution
from dpip.resolve.sdist import Sources, unpack
from dpip.resolve.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from dpip.resolve.facts import Facts
    from dpip.resolve.index import Read
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Impossible, Pin
    from dpip.resolve.store import Store
    from dpip.resolve.transport import Transport


@dataclass(frozen=True, slots=True)
class Places:
    """Where things come from. `indexes` are in order of priority and may carry credentials."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    offline: bool = False
    refresh: bool = False
    trusted_hosts: frozenset[str] = frozenset()
    use_keyring: bool = True
    timeout: float = 30.0


@dataclass(slots=True)
class Engine:
    """Solves requests against one set of places; close it when done.

    `now` is the present of the whole run, in seconds since the epoch. `progress` is told how
    many facts were asked for and how many arrived.
    """

    places: Places
    store: Store
    directory: Path
    now: float
    progress: Callable[[int, int], Any] = lambda _asked, _arrived: None
    transport: Transport = field(init=False)
    downloads: Downloads = field(init=False)
    indexes: Indexes = field(init=False)
    facts: Gathered = field(init=False)

    def __post_init__(self) -> None:
        places = self.places
        credentials = Credentials(places.indexes, use_keyring=places.use_keyring)
        self.transport = open_transport(
            credentials=credentials, timeout=places.timeout, trusted_hosts=places.trusted_hosts
        )
        self.downloads = Downloads(self.directory / "files", self.transport, offline=places.offline)
        find_links = FindLinks(places.find_links, self.transport) if places.find_links else None
        self.indexes = Indexes(
            places.indexes,
            self.transport,
            self.store,
            now=self.now,
            find_links=find_links,
            offline=places.offline,
            refresh=places.refresh,
        )
        sources = Sources(Isolation(self._provide))
        metadata = Metadata(
            self.transport,
            self.store,
            self.downloads,
            sources,
            now=self.now,
            offline=places.offline,
        )
        directs = DirectUrls(self.downloads, metadata, sources, offline=places.offline)
        self.facts = Gathered(self.indexes, metadata, directs, progress=self.progress)

    @property
    def reads(self) -> tuple[Read, ...]:
        """The pages that results stand on so far."""
        return self.indexes.reads

    def solve(self, request: Request) -> Solution | Impossible:
        """Return the answer, or why there is none. Raises DpipError where an index fails."""
        return drive(request, self.facts, self.facts.gather)

    def check_pages(self, pages: Iterable[tuple[str, str]]) -> list[Read | None]:
        """Return what pages, named by index and project, are now; all asked for at once."""
        return self.facts.all_of(partial(self.indexes.check, index, name) for index, name in pages)

    def close(self) -> None:
        """Stop fetching, close connections, write what was learned."""
        self.facts.close()
        self.transport.close()
        self.store.close()

    def _provide(self, requires: Sequence[str], depth: int) -> list[Path]:
        """Return wheels that meet a build's requirements, built if need be."""
        solution = self.solve(_build_request(requires))
        if not isinstance(solution, Solution):
            raise BuildFailed(f"its build requirements cannot be met: {', '.join(requires)}")
        return [self._wheel(pin, depth) for pin in solution.pins]

    def _wheel(self, pin: Pin, depth: int) -> Path:
        file = pin.file
        path, _ = self.downloads.get(file.url, file.filename, file.sha256)
        if file.kind == "wheel":
            return path
        import tempfile
        from pathlib import Path

        target = path.parent / "built"
        built = sorted(target.glob("*.whl"))
        if built:
            return built[0]
        with tempfile.TemporaryDirectory(prefix="dpip-sdist-") as room:
            tree = unpack(path, Path(room), file.filename)
            sources = Sources(Isolation(self._provide, depth=depth))
            return sources.wheel(tree, target, file.filename)


def drive(request: Request, facts: Facts, gather: Callable[[Any], None]) -> Solution | Impossible:
    """Run a session to its end, meeting its wants in rounds."""
    session = Session(request, facts)
    while isinstance(outcome := session.run(), NeedMore):
        gather(outcome.wants)
    return outcome


def _build_request(requires: Sequence[str]) -> Request:
    from dpip.resolve import records
    from dpip.resolve.environment import here
    from dpip.resolve.request import Given, Request

    where = "[build-system] requires"
    given = tuple(Given(records.requirement(line, where), where) for line in requires)
    return Request(given, here())
