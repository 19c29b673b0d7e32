"""When to ask upstream again: a pure function of what is known and of the time.

A page is fresh for `max_age` seconds after upstream confirmed it. After that it is
revalidated; when upstream fails, the stored page is served as stale and upstream is left
alone for a pause that doubles with each failure, so that an outage costs one slow request
and not all of them. A name that upstream does not have is remembered for a shorter time,
because the next thing a publisher does is to install what was just released.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Due(enum.Enum):
    """What to do for a request."""

    FRESH = "serve the stored page"
    ABSENT = "upstream said a moment ago that there is none"
    ASK = "ask upstream; the stored page, if any, is the fallback"
    STALE = "serve the stored page, marked stale, without asking"
    REFUSE = "nothing is stored, and upstream may not or need not be asked"


@dataclass(frozen=True, slots=True)
class Policy:
    """Durations in seconds. `max_age` is the life of a page, `absent_age` of a 404."""

    max_age: float = 300.0
    absent_age: float = 20.0
    first_pause: float = 2.0
    longest_pause: float = 120.0
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one page; times are seconds on one clock.

    `confirmed_at` is when upstream last confirmed it (or its absence); None means never.
    `failures` counts failed questions since then, the last one at `failed_at`.
    """

    confirmed_at: float | None = None
    stored: bool = False
    absent: bool = False
    failed_at: float = 0.0
    failures: int = 0


def due(known: Known, now: float, policy: Policy) -> Due:
    """Say what a request for this page at time `now` needs."""
    if policy.offline:
        return Due.STALE if known.stored else Due.REFUSE
    if _age(known, now) < (policy.absent_age if known.absent else policy.max_age):
        return Due.ABSENT if known.absent else Due.FRESH
    if known.failures and now < known.failed_at + pause(known.failures, policy):
        return Due.STALE if known.stored else Due.REFUSE
    return Due.ASK


def pause(failures: int, policy: Policy) -> float:
    """Return how long upstream is left alone after that many failures in a row."""
    return min(policy.longest_pause, policy.first_pause * 2.0 ** min(failures - 1, 16))


def is_older(before: int | None, serial: int | None, *, empty: bool) -> bool:
    """Say whether an answer with this serial is older than the page that is stored.

    Caches in front of an index answer with pages of the past; some send them without a
    serial, or blank. A page without a serial is only distrusted if it lists nothing.
    """
    if before is None:
        return False
    return empty if serial is None else serial < before


def _age(known: Known, now: float) -> float:
    if known.confirmed_at is None or known.confirmed_at > now:
        # A clock that was set back must not make a page fresh for ever.
        return float("inf")
    return now - known.confirmed_at
