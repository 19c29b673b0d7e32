"""The default clock; whatever needs the time is given a clock, so that tests have their own."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)
