"""Mirrors of one network in one process and one thread: real parts, no sockets, no waiting."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.mirror.fakes import FakeIndex

from dpip.federation.adopter import Adopter
from dpip.federation.announcer import Announcer
from dpip.federation.heads import Heads
from dpip.federation.ledger import Ledger
from dpip.federation.listener import Listener
from dpip.federation.rids import KINDS, IpnsName
from dpip.federation.trust import Trust, TrustPolicy
from dpip.ipfs.records import MemoryRecords
from dpip.koi import Cache, KnowledgeObject, KnowledgeSource
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.testing import Ring
from dpip.mirror.catalog import Catalog
from dpip.mirror.refresh import Policy
from dpip.mirror.repository import Pages
from dpip.simple.render import render
from dpip.simple.repository import ProjectNotFound, UpstreamUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.koi import NodeInterface

SOURCE = 0
"""The number of the mirror that all others believe; it alone has the honest index."""
RELAY = 2
"""The number of the mirror whose word counts for those that come after it."""
LIAR = 1
"""The number of the mirror that follows a forged index, and that nobody believes."""


@dataclass
class Parts:
    """What a mirror is beside its KOI node."""

    catalog: Catalog
    ledger: Ledger
    pages: Pages
    adopter: Adopter
    announcer: Announcer

    def close(self) -> None:
        self.catalog.close()
        self.ledger.close()


class Mirrors(Ring):
    """A network in which everybody believes the node SOURCE; made inside a running event loop."""

    def __init__(self, count: int, directory: Path, *, seed: int = 0) -> None:
        self.index, self.forged = FakeIndex(), FakeIndex()
        self.parts: dict[int, Parts] = {}
        self.trusted: list[str] = []
        self._joining = True
        super().__init__(count, directory, rid_types=KINDS, seed=seed)
        self._joining = False
        self.settle()

    def settle(self, *, rounds: int = 200) -> None:
        """Go on until nothing moves; while nodes join, only so far that they have met."""
        super().settle(rounds=2 if self._joining else rounds)

    def _make(self, number: int) -> NodeInterface:
        home = self._directory / f"node{number}"
        home.mkdir(parents=True, exist_ok=True)
        cache = Cache(home / "rid_cache")
        ledger = Ledger(home / "ledger.sqlite3")
        catalog = Catalog(home / "catalog.sqlite3")
        trust = Trust.listing([] if number == SOURCE else self.trusted, (), mine=lambda _: False)
        pages = self._pages(number, catalog)
        adopter = Adopter(catalog=catalog, ledger=ledger, cache=cache, pages=pages, mine=trust.mine)
        heads = Heads(MemoryRecords(), lambda: (), lambda: 0)
        listener = Listener(trust, heads, believed=adopter.believed, doubted=adopter.doubted)
        self._options = {
            "cache": cache,
            "handlers": [*coordinator_handlers, *listener.handlers],
            "policy": TrustPolicy(trust),
        }
        node = super()._make(number)
        node.network.undated = frozenset({IpnsName})
        announcer = Announcer(catalog, ledger, node.processor, cache)
        self.parts[number] = Parts(catalog, ledger, pages, adopter, announcer)
        if number in {SOURCE, RELAY}:
            self.trusted.append(str(node.identity.rid))
        return node

    def _pages(self, number: int, catalog: Catalog) -> Pages:
        index = self.forged if number == LIAR else self.index
        policy = Policy(max_age=0, absent_age=0, offline=number not in {SOURCE, LIAR})
        return Pages(
            upstream=index,
            catalog=catalog,
            render=render,
            policy=policy,
            now=lambda: self.clock().timestamp(),
        )

    def kill(self, number: int) -> None:
        """End a mirror at once."""
        super().kill(number)
        self.parts[number].close()

    async def look(self, number: int, name: str) -> None:
        """Let a mirror that has an index ask it, as a request would."""
        try:
            await self.parts[number].pages.refresh(name)
        except (ProjectNotFound, UpstreamUnavailable):
            return

    def hears(self, number: int, sender: int, kobj: KnowledgeObject) -> None:
        """Let a mirror hear one thing from another, and nothing else."""
        told = KnowledgeObject(
            kobj.rid,
            kobj.manifest,
            kobj.contents,
            event_type=kobj.event_type,
            source=KnowledgeSource.External,
            sender=self[sender].identity.rid,
        )
        self[number].processor.accept([told])
        self[number].processor.flush_kobj_queue()

    async def turn(self, number: int) -> int:
        """Let a mirror tell and take over news; return how much there was."""
        parts = self.parts[number]
        pending = len(parts.ledger.pending())
        await parts.adopter.step()
        return pending + parts.announcer.step()

    async def converge(self, *, rounds: int = 60, steps: int = 20) -> None:
        """Go on until nobody has anything to say, to take over or to send."""
        for _ in range(rounds):
            before = self.network.requests
            self.settle(rounds=steps)
            done = [await self.turn(n) for n in range(len(self)) if n not in self.down]
            if not any(done) and before == self.network.requests:
                return

    def shown(self, number: int, name: str) -> set[str] | None:
        """Return the files that a mirror shows of a project; None where it has no page."""
        record = self.parts[number].catalog.record(name)
        page = self.parts[number].catalog.page(name)
        if record is None or record.absent or page is None:
            return None
        return {
            f"{file['filename']} {file['hashes']['sha256']}"
            for file in json.loads(page.json)["files"]
        }

    def truth(self, name: str) -> set[str] | None:
        """Return the files that the honest index shows of a project."""
        project = self.index.pages.get(name)
        if project is None:
            return None
        if project.status == "quarantined":
            return set()
        return {f"{file.filename} {file.sha256}" for file in project.files}
