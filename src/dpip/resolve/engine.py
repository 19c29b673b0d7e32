"""One resolve from end to end: sources put together, rounds driven, builds fed.

`Engine` is where the deciding half meets the doing half. It owns what a run shares (the store,
the connections, the facts gathered so far) and lends itself to isolated builds, whose
requirements are resolved the same way.
"""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import msgspec

from dpip.errors import DpipError
from dpip.resolve.chain import explained
from dpip.resolve.connections import open_transport
from dpip.resolve.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from dpip.resolve.children import Children
    from dpip.resolve.connections import Begun
    from dpip.resolve.direct import DirectUrls
    from dpip.resolve.downloads import Downloads
    from dpip.resolve.facts import Facts
    from dpip.resolve.find_links import FindLinks
    from dpip.resolve.gather import Gathered
    from dpip.resolve.index import Indexes, Read
    from dpip.resolve.metadata import Metadata
    from dpip.resolve.nested import Nested
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Impossible, Pin, Solution
    from dpip.resolve.sdist import Builder, Sources
    from dpip.resolve.store import Store


class Places(msgspec.Struct, frozen=True):
    """Where things come from. `indexes` are in order of priority and may carry credentials."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    offline: bool = False
    refresh: bool = False
    trusted_hosts: frozenset[str] = frozenset()
    use_keyring: bool = True
    timeout: float = 30.0
    variables: tuple[tuple[str, str], ...] = ()
    """Laid over the environment where connections ask it: PIP_CERT and the like."""


class Engine:
    """Solves requests against one set of places; close it when done.

    `now` is the present of the whole run, in seconds since the epoch. `progress` is told how
    many facts were asked for and how many arrived. `begun` is a connection that may already be on
    its way. What only some runs need is made (and
    imported) when it is first needed, so that the first question goes out early.
    """

    def __init__(
        self,
        places: Places,
        store: Store,
        directory: Path,
        now: float,
        progress: Callable[[int, int], Any] = lambda _asked, _arrived: None,
        *,
        begun: Begun | None = None,
    ) -> None:
        self.places = places
        self.store = store
        self.now = now
        self._directory = directory
        self._built: dict[str, Path] = {}
        credentials = Credentials(places.indexes, use_keyring=places.use_keyring)
        self.transport = open_transport(
            credentials=credentials,
            timeout=places.timeout,
            trusted_hosts=places.trusted_hosts,
            begun=begun,
            environ={**os.environ, **dict(places.variables)},
        )
        self._progress = progress

    @cached_property
    def indexes(self) -> Indexes:
        """Where pages come from."""
        from dpip.resolve.index import Indexes

        return Indexes(
            self.places.indexes,
            self.transport,
            self.store,
            now=self.now,
            find_links=self._find_links(),
            offline=self.places.offline,
            refresh=self.places.refresh,
        )

    @cached_property
    def facts(self) -> Gathered:
        """What is known so far, and who fetches the rest."""
        from dpip.resolve.gather import Gathered

        return Gathered(
            self.indexes, lambda: self.metadata, lambda: self.directs, progress=self._progress
        )

    @cached_property
    def downloads(self) -> Downloads:
        """Where whole files come from."""
        from dpip.resolve.downloads import Downloads

        return Downloads(self._directory / "files", self.transport, offline=self.places.offline)

    @cached_property
    def sources(self) -> Sources:
        """What reads and builds source archives."""
        return self._nested.sources()

    @cached_property
    def children(self) -> Children:
        """What builds have started."""
        from dpip.resolve.children import Children

        return Children()

    @cached_property
    def _nested(self) -> Nested:
        from dpip.resolve.nested import Nested, SharedPages

        return Nested(self, SharedPages(self.indexes))

    @cached_property
    def metadata(self) -> Metadata:
        """Where dependency records come from."""
        return self.metadata_with(lambda: self.sources)

    def metadata_with(self, builder: Callable[[], Builder]) -> Metadata:
        """Return where dependency records come from, given what builds source archives."""
        from dpip.resolve.metadata import Metadata

        return Metadata(
            self.transport,
            self.store,
            self.downloads,
            builder,
            now=self.now,
            offline=self.places.offline,
        )

    @cached_property
    def directs(self) -> DirectUrls:
        """What direct requirements point at."""
        from dpip.resolve.direct import DirectUrls

        return DirectUrls(self.downloads, self.metadata, self.sources, offline=self.places.offline)

    def _find_links(self) -> FindLinks | None:
        if not self.places.find_links:
            return None
        from dpip.resolve.find_links import FindLinks

        return FindLinks(self.places.find_links, self.transport)

    @property
    def reads(self) -> tuple[Read, ...]:
        """The pages that results stand on so far."""
        return self.indexes.reads

    def solve(
        self, request: Request, facts: Gathered | None = None, *, hinting: bool = True
    ) -> Solution | Impossible:
        """Return the answer, or why there is none. Raises DpipError where an index fails.

        `facts` are the run's own where no others are given.
        """
        facts = facts or self.facts
        try:
            outcome = drive(request, facts, facts.gather, hinting=hinting)
        except DpipError as error:
            raise explained(error, request, facts.records()) from error.__cause__
        if not self.places.find_links:
            return outcome
        from dpip.resolve.find_links import hashed
        from dpip.resolve.resolution import Solution

        return hashed(outcome) if isinstance(outcome, Solution) else outcome

    def check_pages(self, pages: Iterable[tuple[str, str]]) -> list[Read | None]:
        """Return what pages, named by index and project, are now; all asked for at once."""
        return self.facts.all_of(partial(self.indexes.check, index, name) for index, name in pages)

    def close(self) -> None:
        """Stop fetching, close connections, write what was learned."""
        if "facts" in self.__dict__:
            self.facts.close()
        if "children" in self.__dict__:
            self.children.stop()
        self.transport.close()
        self.store.close()

    def wheel(self, pin: Pin, nested: Nested | None = None) -> Path:
        """Return a pin's wheel, fetched or built; raises BuildFailed or what fetching raises."""
        file = pin.file
        if pin.url and file.sha256 is None:
            if pin.url not in self._built:
                self._built[pin.url] = self.directs.wheel(pin.url, self._directory / "built")
            return self._built[pin.url]
        path, _ = self.downloads.get(file.url, file.filename, file.sha256)
        if file.kind == "wheel":
            return path
        built = sorted((path.parent / "built").glob("*.whl"))
        return built[0] if built else self._build(path, file.filename, nested or self._nested)

    def _build(self, path: Path, filename: str, nested: Nested) -> Path:
        """Build the wheel of a source archive beside it; others see it when it is whole."""
        from dpip.resolve.sdist import unpack

        target = path.parent / "built"
        target.mkdir(parents=True, exist_ok=True)
        with self.children.room("dpip-sdist-", target) as room:
            tree = unpack(path, room / "tree", filename)
            wheel = nested.sources().wheel(tree, room / "out", filename)
            return wheel.replace(target / wheel.name)


def drive(
    request: Request, facts: Facts, gather: Callable[[Any], None], *, hinting: bool = True
) -> Solution | Impossible:
    """Run a session to its end, meeting its wants in rounds."""
    from dpip.resolve.resolution import NeedMore
    from dpip.resolve.session import Session

    session = Session(request, facts, hinting=hinting)
    while isinstance(outcome := session.run(), NeedMore):
        gather(outcome.wants)
    return outcome
