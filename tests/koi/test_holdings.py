"""Looking ahead and writing behind changes nothing that anybody can see."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from dpip.koi import RID, Bundle, Cache
from dpip.koi.processor.holdings import Batched, holdings
from dpip.koi.rid import KoiNetNode
from dpip.koi.testing.cache import MemoryCache
from dpip.koi.tombstones import Tombstones

if TYPE_CHECKING:
    from dpip.koi.cache import BundleCache

RIDS = [RID.from_string(f"orn:test.h:{n}") for n in range(6)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ME = KoiNetNode("me", "1")
some = st.sampled_from(RIDS)


def bundle(rid: RID, number: int) -> Bundle:
    return Bundle.generate(rid, {"n": number}, now=NOW + timedelta(seconds=number))


class Alike(RuleBasedStateMachine):
    """The model: what is held of each RID (number, source), and until when it is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.cache = Cache(Path(self._directory.name))
        self.store = self.cache.store
        self.subject = Batched(self.cache, Tombstones(self.store), self._upcoming)
        self.held: dict[RID, tuple[int, str | None]] = {}
        self.forgotten: dict[RID, int] = {}
        self.for_me: dict[RID, int] = {}
        self.numbers = 0

    def _upcoming(self, most: int) -> list[RID]:
        return RIDS[:most]

    def _next(self) -> int:
        self.numbers += 1
        return self.numbers

    @rule(rid=some, source=st.sampled_from([None, "", "orn:koi-net.node:a+1"]))
    def put(self, rid: RID, source: str | None) -> None:
        number = self._next()
        self.subject.look_up(rid, None)
        self.subject.put(bundle(rid, number), source=source, verified=True)
        self.held[rid] = number, self.held[rid][1] if rid in self.held else source

    @rule(rid=some)
    def delete(self, rid: RID) -> None:
        if rid in self.held:
            number, _ = self.held.pop(rid)
            self.subject.delete(bundle(rid, number))
            self.forgotten[rid] = max(number, self.forgotten.get(rid, 0))

    @rule(rid=some)
    def bury(self, rid: RID) -> None:
        self.for_me[rid] = number = self._next()
        self.subject.bury(rid, NOW + timedelta(seconds=number), sender=str(ME))

    @rule(rid=some)
    def somebody_else_writes(self, rid: RID) -> None:
        self.subject.flush()
        number = self._next()
        self.cache.write(bundle(rid, number))
        self.held[rid] = number, self.held[rid][1] if rid in self.held else None

    @rule(rid=some)
    def somebody_else_deletes(self, rid: RID) -> None:
        self.subject.flush()
        self.cache.delete(rid)
        self.held.pop(rid, None)

    @rule(rid=some, sender=st.sampled_from([None, ME]))
    def look(self, rid: RID, sender: KoiNetNode | None) -> None:
        record, stamp = self.subject.look_up(rid, sender)
        held = self.held.get(rid)
        found = None if record is None else (_number(record.manifest.timestamp), record.source)
        assert found == held
        until = self.forgotten.get(rid, 0)
        until = max(until, self.for_me.get(rid, 0)) if sender else until
        assert (0 if stamp is None else _number(stamp)) == until

    @rule()
    def commit(self) -> None:
        self.subject.flush()
        self.store.commit()
        self.subject.settled()
        for rid in RIDS:
            found = self.cache.read(rid)
            assert (None if found is None else found.contents["n"]) == self._expected(rid)

    def _expected(self, rid: RID) -> int | None:
        return self.held[rid][0] if rid in self.held else None

    def teardown(self) -> None:
        self.commit()
        self.store.close()
        self._directory.cleanup()


TestAlike = Alike.TestCase
TestAlike.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def _number(time: datetime) -> int:
    return round((time - NOW).total_seconds())


def test_what_was_undone_is_written_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    subject = Batched(cache, Tombstones(cache.store), lambda _: [])
    subject.put(bundle(RIDS[0], 1), source=None, verified=True)
    subject.flush()
    with cache.store.lock:
        cache.store._undo()
    assert cache.read(RIDS[0]) is None
    subject.flush()
    cache.store.commit()
    subject.settled()
    assert cache.read(RIDS[0]) is not None
    cache.store.close()


def test_caches_of_other_make_are_written_at_once(tmp_path: Path) -> None:
    other: BundleCache = MemoryCache()
    store = Cache(tmp_path).store
    subject = holdings(other, Tombstones(store), lambda _: [])
    subject.put(bundle(RIDS[0], 1), source=None, verified=True)
    assert other.exists(RIDS[0])
    subject.delete(bundle(RIDS[0], 1))
    assert not other.exists(RIDS[0])
    assert subject.look_up(RIDS[0], None) == (None, NOW + timedelta(seconds=1))
    store.close()
