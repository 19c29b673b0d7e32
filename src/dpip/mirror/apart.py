"""Which files are not for everybody: those of names that are private, or routed elsewhere.

A set of keys in memory, so that a request for a public file costs one look into it. It only
grows, and says no more than "perhaps": the same file may be listed under a public name too, and
a name may become public. So what is in it is judged by the catalog, and only that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.mirror.archives import is_sha256
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dpip.ipfs.cid import CID
    from dpip.ipfs.disk.archives import Archives
    from dpip.mirror.catalog import Catalog, FileRecord
    from dpip.simple.routing import Routes

_KEYS = "SELECT key, sha256 FROM files WHERE project>=? AND project<=?"
_END = "-~"
"""Behind every name that begins with a stem and a hyphen."""
_SHA256 = bytes.fromhex("1220")
"""What the multihash of a SHA-256 begins with."""


class Apart:
    """The files apart of one home. `is_apart` says of a normalized name that it is not public.

    Safe to ask from any thread; changed in the event loop.
    """

    def __init__(
        self, catalog: Catalog, archives: Archives, is_apart: Callable[[str], bool]
    ) -> None:
        self._catalog = catalog
        self._archives = archives
        self._is_apart = is_apart
        self._keys: set[str] = set()
        self._roots: dict[bytes, str] = {}
        self._found: set[str] = set()
        self._looked: tuple[int, int] | None = None
        self._table: frozenset[tuple[str, str]] = frozenset()
        self._everything = False

    def __bool__(self) -> bool:
        """Say whether there is anything that is not for everybody."""
        return bool(self._keys) or self._everything

    def add(self, keys: Iterable[str]) -> None:
        """Note keys, or SHA-256 hashes, of files of names apart."""
        for key in keys:
            self._keys.add(key)
            if is_sha256(key):
                # A small file is its own only block.
                self._roots[_SHA256 + bytes.fromhex(key)] = key

    def listed(self, files: Iterable[FileRecord]) -> None:
        """Note the files of a page, before it is shown to anybody."""
        self.add(key for file in files for key in (file.key, file.sha256) if key)

    def follow(self, routes: Routes) -> None:
        """Note the files that the catalog knows of names which a routing table sets apart.

        Costs what is new in the table, and the files of those names.
        """
        self._everything = routes.default != DEFAULT_SOURCE
        names = {name for name, source in routes.names.items() if source != DEFAULT_SOURCE}
        stems = {stem for stem, source in routes.prefixes.items() if source != DEFAULT_SOURCE}
        table = frozenset({*((name, name) for name in names), *((stem, _END) for stem in stems)})
        for first, last in table - self._table:
            until = last if last == first else first + _END
            rows = self._catalog.read(_KEYS, first, until)
            self.add(key for row in rows for key in row if key)
        self._table = table

    def hides(self, key: str) -> bool:
        """Say whether a file, by its key or SHA-256, is not for everybody."""
        return (key in self._keys or self._everything) and not self._is_public(key)

    def hides_block(self, cid: CID) -> bool:
        """Say whether a block is all of such a file, or leads to the rest of it."""
        sha256 = self._roots.get(cid.multihash)
        if sha256 is None and self._everything:
            archive = self._archives.published_as(cid)
            sha256 = None if archive is None else archive.sha256
        return sha256 is not None and self.hides(sha256)

    @property
    def stamp(self) -> int:
        """A number that grows when more is withheld than before."""
        return len(self._keys) + len(self._roots)

    @property
    def looked(self) -> bool:
        """Say whether it was looked for roots."""
        return self._looked is not None

    def look_for_roots(self) -> None:
        """Note the CIDs of files apart that were taken into the store of blocks meanwhile.

        Costs one query where there is nothing new, else one for each file that was not found.
        """
        now = (self._archives.newest(), len(self._keys))
        if now == self._looked:
            return
        for sha256 in tuple(self._keys):
            archive = None if sha256 in self._found else self._archives.find(sha256)
            if archive is None:
                continue
            self._found.add(sha256)
            for root in (archive.root, archive.profile, archive.recipe):
                if root is not None:
                    self._roots[root.multihash] = sha256
        self._looked = now

    def _is_public(self, key: str) -> bool:
        rows = self._catalog.read("SELECT project FROM files WHERE key=?", key)
        return any(not self._is_apart(project) for (project,) in rows)
