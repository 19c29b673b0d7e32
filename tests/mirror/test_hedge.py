from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpip.mirror.hedge import BOUND, QUIET, SETTLED, START, Pace, Progress, learned

MIB = 2**20


def pace(size: int | None = 10 * MIB, rate: float | None = None) -> Pace:
    return Pace(size, rate, begun=0.0)


def test_neighbours_have_the_bound_to_offer_it() -> None:
    watched = pace()
    assert not watched.is_poor(Progress(), BOUND * 0.9)
    assert watched.is_poor(Progress(), BOUND)


def test_one_that_offers_in_time_goes_on_alone_while_bytes_move() -> None:
    watched, progress = pace(), Progress(offered=True)
    for tick in range(1, 40):
        progress.came += MIB // 4
        progress.share = tick / 40
        assert not watched.is_poor(progress, tick * 0.1)


def test_one_that_falls_silent_is_not_waited_for() -> None:
    watched, progress = pace(), Progress(offered=True, came=1000, share=0.9)
    assert not watched.is_poor(progress, 0.05)
    assert not watched.is_poor(progress, 0.05 + QUIET * 0.9)
    assert watched.is_poor(progress, 0.05 + QUIET)


@pytest.mark.parametrize(("rate", "poor"), [(None, False), (2.0 * MIB, False), (20.0 * MIB, True)])
def test_a_slow_one_is_compared_with_what_upstream_gives(rate: float | None, poor: bool) -> None:
    # A fifth in half a second: two more seconds for the rest of the 10 MiB.
    watched, progress = pace(rate=rate), Progress(offered=True)
    assert not watched.is_poor(progress, 0.0)
    progress.came, progress.share = 2 * MIB, 0.2
    assert watched.is_poor(progress, 0.5) is poor


def test_a_file_of_unknown_size_is_only_given_up_for_silence() -> None:
    watched, progress = pace(size=None, rate=1e9), Progress(offered=True)
    for tick in range(1, 50):
        progress.came += 1
        assert not watched.is_poor(progress, tick * 0.4)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 10**9),
    st.floats(1.0, 1e9),
    st.lists(st.tuples(st.floats(0.01, 0.4), st.floats(0.001, 0.3)), max_size=12),
)
def test_what_is_quicker_than_upstream_is_never_poor(
    size: int, rate: float, steps: list[tuple[float, float]]
) -> None:
    watched, progress, now, share = pace(size, rate), Progress(offered=True), 0.0, 0.0
    watched.is_poor(progress, now)
    for seconds, more in steps:
        now, share = now + seconds, min(1.0, share + more)
        progress.came, progress.share = progress.came + 1, share
        left = now / share * (1 - share)
        quicker = now < SETTLED or left <= START + size / rate
        assert watched.is_poor(progress, now) is not quicker


def test_upstreams_rate_is_learned_from_transfers_that_tell_something() -> None:
    assert learned(None, 1000, 0.001) is None
    assert learned(None, 2 * MIB, 2.0) == MIB
    slower = learned(10.0 * MIB, MIB, 1.0)
    assert slower is not None
    assert MIB < slower < 10 * MIB
    assert learned(5.0, MIB, 0.0) == 5.0
