"""Whether a store still holds what its catalog says, byte for byte.

Three depths: *quick* asks the disk for names and sizes; *sampled* hashes some archives,
chosen by chance; *full* hashes every one, and makes those again that were taken apart. A full
run notes how far it came, so that one that is stopped goes on there: the mirrors of others
take weeks for it and begin from the start.
"""

from __future__ import annotations

import enum
import hashlib
import json
import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from dpip.ipfs.archive.rebuild import rebuild
from dpip.ipfs.errors import IpfsError
from dpip.mirror.follow import Due
from dpip.mirror.worklist import Worklist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from dpip.ipfs.cid import CID
    from dpip.ipfs.disk.archives import Archives as Contents
    from dpip.mirror.archives import Archives
    from dpip.mirror.catalog import ArchiveRecord, Catalog

MARK = "verify"
NOTED = 50
"""Archives between two notes of how far a full run came."""
READ_SIZE = 2**20


class Depth(enum.StrEnum):
    """How much is read."""

    QUICK = "quick"
    SAMPLED = "sampled"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Wrong:
    """An archive that is not what the catalog says. `found` is its SHA-256 now, if it has one."""

    kind: str
    filename: str
    sha256: str
    found: str | None = None
    detail: str = ""


@dataclass(slots=True)
class Verified:
    """How far a run came: `size` is bytes read or made again, `seconds` what that took."""

    depth: Depth
    last: str = ""
    checked: int = 0
    rebuilt: int = 0
    size: int = 0
    seconds: float = 0.0
    resumed: bool = False
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Megabytes per second."""
        return self.size / 1e6 / self.seconds if self.seconds else 0.0


class Verifier:
    """Checks the archives of a home; `clock` returns seconds that only go up.

    `contents` knows the archives that were taken apart.
    """

    def __init__(
        self, catalog: Catalog, archives: Archives, contents: Contents, clock: Callable[[], float]
    ) -> None:
        self._catalog = catalog
        self._archives = archives
        self._contents = contents
        self._clock = clock
        self._worklist = Worklist(catalog)

    def run(
        self,
        depth: Depth,
        *,
        share: float = 0.01,
        seed: int = 0,
        restart: bool = False,
        progress: Callable[[Verified], object] = lambda _: None,
    ) -> Verified:
        """Check; `share` is the part of the archives that a sampled run hashes."""
        state = Verified(depth)
        if depth is Depth.FULL and not restart:
            state = self._noted() or state
        chance, before, began = random.Random(seed), state.seconds, self._clock()
        for record in self._after(state.last):
            deep = depth is Depth.FULL or (depth is Depth.SAMPLED and chance.random() < share)
            state.wrong += self._check(record, state, deep=deep)
            state.checked += 1
            state.last, state.seconds = record.sha256, before + self._clock() - began
            if depth is Depth.FULL and state.checked % NOTED == 0:
                self._note(state)
            progress(state)
        if depth is Depth.FULL:
            self._worklist.set_mark(MARK, "").result()
        return state

    def forget(self, wrong: Iterable[Wrong], now: float) -> int:
        """Drop wrong archives and make their projects due, so that the next sync has them again."""
        projects: set[str] = set()
        for one in wrong:
            self._archives.remove(one.sha256)
            self._contents.remove(one.sha256)
            self._catalog.drop_archive(one.sha256).result()
            rows = self._catalog.read("SELECT project FROM files WHERE key=?", one.sha256)
            projects |= {row[0] for row in rows}
        self._worklist.add([Due(name) for name in sorted(projects)], now).result()
        return len(projects)

    def _after(self, last: str) -> Iterator[ArchiveRecord]:
        return self._catalog.archives(after=last)

    def _check(self, record: ArchiveRecord, state: Verified, *, deep: bool) -> Iterator[Wrong]:
        whole = self._archives.find(record.sha256, record.filename)
        apart = self._contents.find(record.sha256)
        if whole is None and (apart is None or apart.recipe is None):
            yield Wrong("missing", record.filename, record.sha256)
        if whole is not None and whole.size != record.size:
            detail = f"{whole.size} bytes instead of {record.size}"
            yield Wrong("different", record.filename, record.sha256, detail=detail)
        elif whole is not None and deep:
            found, size = hash_of(whole.path)
            state.size += size
            if found != record.sha256:
                yield Wrong("different", record.filename, record.sha256, found)
        if deep and apart is not None and apart.recipe is not None:
            yield from self._rebuild(record, apart.recipe, state)

    def _rebuild(self, record: ArchiveRecord, recipe: CID, state: Verified) -> Iterator[Wrong]:
        try:
            found = hash_of_rebuilt(self._contents, recipe)
        except IpfsError as error:
            yield Wrong("unmakeable", record.filename, record.sha256, detail=str(error))
            return
        state.rebuilt += 1
        state.size += record.size
        if found != record.sha256:
            yield Wrong("different", record.filename, record.sha256, found, "rebuilt")

    def _noted(self) -> Verified | None:
        noted = self._worklist.mark(MARK)
        if not noted:
            return None
        table = json.loads(noted)
        wrong = [Wrong(**one) for one in table.pop("wrong")]
        return Verified(**{**table, "depth": Depth.FULL, "resumed": True, "wrong": wrong})

    def _note(self, state: Verified) -> None:
        self._worklist.set_mark(MARK, json.dumps(asdict(state))).result()


def hash_of(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(READ_SIZE):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size


def hash_of_rebuilt(contents: Contents, recipe: CID) -> str:
    """Return the SHA-256 of what a recipe makes, without keeping it. Raises IpfsError."""
    digest = hashlib.sha256()
    rebuild(contents.store.get, recipe, digest.update)
    return digest.hexdigest()
