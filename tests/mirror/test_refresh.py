from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.mirror.refresh import Due, Known, Policy, due, is_older, pause

POLICY = Policy(max_age=300, absent_age=20, first_pause=2, longest_pause=120)
OFFLINE = dataclasses.replace(POLICY, offline=True)
STORED = Known(confirmed_at=1000, stored=True)
ABSENT = Known(confirmed_at=1000, absent=True)


@pytest.mark.parametrize(
    ("known", "now", "expected"),
    [
        (Known(), 1000, Due.ASK),
        (STORED, 1000, Due.FRESH),
        (STORED, 1299.9, Due.FRESH),
        (STORED, 1300, Due.ASK),
        (STORED, 999, Due.ASK),
        (ABSENT, 1019, Due.ABSENT),
        (ABSENT, 1020, Due.ASK),
    ],
)
def test_a_page_is_asked_for_when_it_is_due(known: Known, now: float, expected: Due) -> None:
    assert due(known, now, POLICY) is expected


def test_a_failure_leaves_upstream_alone_for_a_while() -> None:
    failed = dataclasses.replace(STORED, failures=1, failed_at=2000)
    assert due(failed, 2001, POLICY) is Due.STALE
    assert due(failed, 2002, POLICY) is Due.ASK
    assert due(Known(failures=1, failed_at=2000), 2001, POLICY) is Due.REFUSE


def test_offline_never_asks() -> None:
    assert due(STORED, 1e9, OFFLINE) is Due.STALE
    assert due(Known(), 0, OFFLINE) is Due.REFUSE
    assert due(ABSENT, 1000, OFFLINE) is Due.REFUSE


@given(st.integers(1, 10_000))
def test_pauses_grow_to_a_bound(failures: int) -> None:
    assert pause(failures, POLICY) <= pause(failures + 1, POLICY) <= POLICY.longest_pause


@given(st.floats(0, 1e10), st.floats(0, 1e10), st.integers(0, 50), st.booleans())
def test_upstream_is_asked_again_sooner_or_later(
    confirmed: float, now: float, failures: int, stored: bool
) -> None:
    known = Known(confirmed, stored, not stored, failed_at=now, failures=failures)
    later = max(now, confirmed) + POLICY.longest_pause + POLICY.max_age
    assert due(known, later, POLICY) is Due.ASK


@pytest.mark.parametrize(
    ("before", "serial", "empty", "older"),
    [
        (None, None, True, False),
        (None, 5, False, False),
        (7, 6, False, True),
        (7, 7, False, False),
        (7, 8, True, False),
        (7, None, False, False),
        (7, None, True, True),
    ],
)
def test_answers_of_the_past(
    before: int | None, serial: int | None, empty: bool, older: bool
) -> None:
    assert is_older(before, serial, empty=empty) is older
