from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from dpip.koi import RID, Bundle, Cache, EventType, KoiNetNode, RIDType
from dpip.koi.journal import NO_CURSOR, ROWS, Cursors, Journal
from dpip.koi.protocol.api_models import FetchBundles
from dpip.koi.protocol.consts import FETCH_BUNDLES_PATH
from dpip.koi.store import Store
from dpip.koi.testing import Ring

if TYPE_CHECKING:
    from pathlib import Path

NOTE = RIDType.from_string("orn:test.note")
OTHER = RIDType.from_string("orn:test.other")
NODE = KoiNetNode("somebody", "0" * 64)


def note(name: object, text: str = "") -> Bundle:
    return Bundle.generate(RID.from_string(f"orn:test.note:{name}"), {"text": text})


def read_all(journal: Journal, cursor: str) -> tuple[set[str], set[str], str]:
    """Return what is changed and forgotten since a cursor, and the next cursor."""
    changed, gone, more = set[str](), set[str](), True
    while more:
        page = journal.page(cursor)
        assert page.known
        changed |= {str(manifest.rid) for manifest in page.changed}
        gone |= {str(one.rid) for one in page.forgotten}
        cursor, more = page.cursor, page.more
    return changed, gone, cursor


def start(journal: Journal) -> str:
    page = journal.page(NO_CURSOR)
    assert not page.known
    return page.cursor


def test_each_rid_is_told_once_as_it_is_now() -> None:
    cache = Cache(store=Store(":memory:"))
    journal = Journal(cache.store)
    cursor = start(journal)
    for text in ("a", "b", "c"):
        cache.write(note(1, text))
    cache.write(note(2))
    cache.delete(note(2).rid)
    page = journal.page(cursor)
    assert [manifest.sha256_hash for manifest in page.changed] == [
        note(1, "c").manifest.sha256_hash
    ]
    assert [str(one.rid) for one in page.forgotten] == ["orn:test.note:2"]
    assert journal.page(page.cursor).changed == []


def test_many_changes_come_in_pages() -> None:
    cache = Cache(store=Store(":memory:"))
    journal = Journal(cache.store)
    cursor = start(journal)
    names = {str(cache.write(note(number)).rid) for number in range(ROWS * 2 + 7)}
    page = journal.page(cursor)
    assert page.more
    assert len(page.changed) == ROWS
    assert read_all(journal, cursor)[0] == names


def test_what_is_hidden_is_left_out_and_passed_over() -> None:
    cache = Cache(store=Store(":memory:"))
    journal = Journal(cache.store)
    cursor = start(journal)
    for number in (1, 2):
        cache.write(note(number))
    cache.delete(note(1).rid)
    page = journal.page(cursor, lambda rid: rid.endswith(":1"))
    assert [str(manifest.rid) for manifest in page.changed] == ["orn:test.note:2"]
    assert page.forgotten == []
    assert journal.page(page.cursor).changed == []


def test_a_restored_or_cut_off_past_is_not_gone_on_with(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    journal = Journal(cache.store)
    cursor = start(journal)
    cache.write(note(1))
    saved = sqlite3.connect(tmp_path / "saved")
    with sqlite3.connect(tmp_path / "koi.sqlite3") as live:
        live.backup(saved)
    saved.close()
    before = journal.page(cursor).cursor
    cache.write(note(2))
    lost = journal.page(cursor).cursor
    cache.store.close()
    again = Cache(store=Store(tmp_path / "saved"))
    restarted = Journal(again.store)
    again.write(note(3))
    again.write(note(4))
    assert not restarted.page(lost).known
    assert {str(m.rid) for m in restarted.page(before).changed} == {
        "orn:test.note:3",
        "orn:test.note:4",
    }


def test_a_disowned_cursor_means_nothing() -> None:
    journal = Journal(Store(":memory:"))
    cursor = start(journal)
    assert journal.page(cursor).known
    journal.disown()
    assert not journal.page(cursor).known


def test_garbage_for_a_cursor_means_nothing() -> None:
    journal = Journal(Store(":memory:"))
    for text in ("", "-", "x", ":", f"{journal.era}:", f"{journal.era}:-1", f"{journal.era}:99",
                 f"{journal.era}:{'9' * 40}"):  # fmt: skip
        assert not journal.page(text).known


def test_a_cursor_covers_the_types_that_it_was_read_for() -> None:
    cursors = Cursors(Store(":memory:"))
    assert cursors.get(NODE, [NOTE]) == NO_CURSOR
    cursors.put(NODE, [NOTE, OTHER], "a:1")
    assert cursors.get(NODE, [NOTE]) == "a:1"
    cursors.put(NODE, [NOTE], "a:2")
    assert cursors.get(NODE, [NOTE, OTHER]) == "a:1"
    assert cursors.get(NODE, [NOTE, KoiNetNode]) == NO_CURSOR
    cursors.clear()
    assert cursors.get(NODE, [NOTE]) == NO_CURSOR


steps = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["put", "drop", "read", "restart"])), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_whoever_reads_the_journal_has_what_the_cache_has(steps: list[tuple[int, str]]) -> None:
    cache = Cache(store=Store(":memory:"))
    journal = Journal(cache.store)
    cursor, copy = start(journal), set[str]()
    for turn, (number, what) in enumerate([*steps, (0, "read")]):
        match what:
            case "put":
                cache.write(note(number, str(turn)))
            case "drop":
                cache.delete(note(number).rid)
            case "restart":
                journal = Journal(cache.store)
            case "read":
                changed, gone, cursor = read_all(journal, cursor)
                copy = (copy | changed) - gone
    assert copy == {str(rid) for rid in cache.list_rids()}


def missed(ring: Ring, *, known: int, changed: int, forgotten: int) -> None:
    """Let the first node learn what the second, which is away, does not hear of."""
    for number in range(changed):
        ring[0].processor.handle(
            bundle=Bundle.generate(note(number).rid, {"text": "new"}, now=ring.clock())
        )
    for number in range(known - forgotten, known):
        ring[0].processor.handle(rid=note(number).rid, event_type=EventType.FORGET)
    ring[0].processor.flush_kobj_queue()
    ring[0].network.outbox.drop(ring[1].identity.rid)


def test_catching_up_costs_what_has_changed(tmp_path: Path) -> None:
    known = 10_000
    with Ring(2, tmp_path, rid_types=[NOTE]) as ring:
        for number in range(known):
            bundle = Bundle.generate(note(number).rid, {"text": "old"}, now=ring.clock())
            ring[0].cache.put(bundle, source=None, verified=True, later=True)  # type: ignore[attr-defined]
        ring.kill(1)
        ring.restart(1)
        ring.settle()
        assert len(ring[1].cache.list_rids([NOTE])) == known
        ring.kill(1)
        missed(ring, known=known, changed=5, forgotten=2)
        ring.network.moved = 0
        ring.network.paths.clear()
        ring.restart(1)
        ring.settle()
        assert ring[1].cache.list_rids([NOTE]) == ring[0].cache.list_rids([NOTE])
        assert len(ring[1].cache.list_rids([NOTE])) == known - 2
        assert [ring[1].cache.read(note(n).rid) for n in range(6)] == [
            ring[0].cache.read(note(n).rid) for n in range(6)
        ]
        assert "/manifests/fetch" not in ring.network.paths
        assert ring.network.paths[FETCH_BUNDLES_PATH] == 2
        assert ring.network.paths.total() <= 6
        assert ring.network.moved < 30_000


def test_a_provider_without_a_journal_is_listed(tmp_path: Path) -> None:
    with Ring(2, tmp_path, rid_types=[NOTE]) as ring:
        for number in range(20):
            ring[0].processor.handle(
                bundle=Bundle.generate(note(number).rid, {"text": "old"}, now=ring.clock())
            )
        ring.settle()
        ring.kill(1)
        missed(ring, known=20, changed=3, forgotten=2)
        ring[0].network.response_handler.journal = None
        ring.network.paths.clear()
        ring.restart(1)
        ring.settle()
        assert ring[1].cache.list_rids([NOTE]) == ring[0].cache.list_rids([NOTE])
        assert "/manifests/fetch" in ring.network.paths


def test_a_crash_between_reading_and_noting_loses_nothing(tmp_path: Path) -> None:
    with Ring(2, tmp_path, rid_types=[NOTE]) as ring:
        ring[0].processor.handle(bundle=note(0))
        ring.settle()
        for round_ in range(1, 4):
            ring.kill(1)
            ring[0].processor.handle(
                bundle=Bundle.generate(note(round_).rid, {"text": "x"}, now=ring.clock())
            )
            ring[0].processor.flush_kobj_queue()
            ring[0].network.outbox.drop(ring[1].identity.rid)
            ring.restart(1)
            for _ in range(round_):
                ring.step()
            ring.kill(1)
            ring.restart(1)
            ring.settle()
            assert len(ring[1].cache.list_rids([NOTE])) == round_ + 1


def test_the_answer_is_an_ordinary_bundle(tmp_path: Path) -> None:
    with Ring(1, tmp_path, rid_types=[NOTE]) as ring:
        rid = RID.from_string("orn:koi.journal:-")
        answer = ring[0].network.response_handler.fetch_bundles(FetchBundles([rid]))
        [bundle] = answer.bundles
        assert bundle.verified
        assert bundle.contents["known"] is False
