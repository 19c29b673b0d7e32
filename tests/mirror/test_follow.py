from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.mirror.follow import (
    TIMES_TO_BELIEVE,
    Answer,
    Due,
    Followed,
    Pauses,
    believes_absence,
    compare,
    judge,
)
from dpip.simple.model import ProjectEntry

NOW = 1000.0


def due(known: list[Followed], *listed: tuple[str, int | None]) -> list[Due]:
    entries = [ProjectEntry(name, serial) for name, serial in listed]
    return list(compare(known, entries, recheck_before=NOW))


@pytest.mark.parametrize(
    ("known", "listed", "expected"),
    [
        ([], [("a", 5)], [Due("a", 5)]),
        ([Followed("a", 5, NOW)], [("a", 5)], []),
        ([Followed("a", 5, NOW)], [("a", 6)], [Due("a", 6)]),
        ([Followed("a", 6, NOW)], [("a", 5)], []),
        ([Followed("a", None, NOW)], [("a", 5)], [Due("a", 5)]),
        ([Followed("a", 5, NOW + 1)], [("a", None)], []),
        ([Followed("a", 5, NOW - 1)], [("a", None)], [Due("a")]),
        ([Followed("a", None, NOW - 1, due_at=NOW + 9)], [("a", None)], []),
        ([Followed("a", 5, NOW)], [("b", 6)], [Due("a", 5, listed=False), Due("b", 6)]),
        ([Followed("a", 5, NOW, listed=False)], [], []),
        ([Followed("a", 5, NOW, listed=False)], [("a", 5)], [Due("a", 5)]),
        ([], [("A.b", 1), ("a-b", 1)], [Due("a-b", 1)]),
    ],
)
def test_what_a_list_makes_due(
    known: list[Followed], listed: list[tuple[str, int | None]], expected: list[Due]
) -> None:
    assert due(known, *listed) == expected


names = st.text("abc", min_size=1, max_size=3)
serials = st.dictionaries(names, st.integers(1, 9))


@given(serials, serials)
def test_every_difference_is_due_and_nothing_else(
    ours: dict[str, int], theirs: dict[str, int]
) -> None:
    known = [Followed(name, serial, NOW) for name, serial in sorted(ours.items())]
    found = {one.name: one for one in due(known, *sorted(theirs.items()))}
    newer = {name for name, serial in theirs.items() if serial > ours.get(name, 0)}
    assert found.keys() == newer | (ours.keys() - theirs.keys())
    assert all(one.listed == (name in theirs) for name, one in found.items())


GOOD = Answer(5, empty=False)


@pytest.mark.parametrize(
    ("before", "answer", "target", "failures", "used", "settled"),
    [
        (None, Answer(5, False), 5, 0, True, True),
        (None, Answer(None, True), None, 0, True, True),
        (GOOD, Answer(6, False), 6, 0, True, True),
        # Newer than ours but older than the list: use it, and ask again.
        (GOOD, Answer(6, False), 7, 0, True, False),
        # Older than ours: never.
        (GOOD, Answer(4, False), 6, 99, False, False),
        # No serial is unknown, not zero.
        (GOOD, Answer(None, False), 6, 0, True, True),
        # A blank page without a serial must be seen several times.
        (GOOD, Answer(None, True), 6, 0, False, False),
        (GOOD, Answer(None, True), 6, TIMES_TO_BELIEVE - 1, True, True),
        # With a serial that proves it new it counts at once, with an older one it does not.
        (GOOD, Answer(6, True), 6, 0, True, True),
        (GOOD, Answer(5, True), 6, 9, False, False),
    ],
)
def test_which_answers_count(
    before: Answer | None,
    answer: Answer,
    target: int | None,
    failures: int,
    *,
    used: bool,
    settled: bool,
) -> None:
    judgement = judge(before, answer, target, failures)
    assert judgement.use is used
    assert (not judgement.problem) is settled


def test_an_absence_that_contradicts_the_list_must_be_seen_several_times() -> None:
    assert believes_absence(listed=False, stored=True, failures=0)
    assert believes_absence(listed=True, stored=False, failures=0)
    assert not believes_absence(listed=True, stored=True, failures=0)
    assert believes_absence(listed=True, stored=True, failures=TIMES_TO_BELIEVE - 1)


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses(first=1, longest=10)
    assert [pauses.after(n) for n in (1, 2, 3, 4, 5, 5000)] == [1, 2, 4, 8, 10, 10]
