"""One line of progress on a terminal's standard error; silence anywhere else."""

from __future__ import annotations

import sys
import time

PERIOD = 0.1
"""Seconds between two updates, so that showing progress costs none."""


class Progress:
    """Shows `label: 12 of 40`; in megabytes if `unit` is "MB"."""

    def __init__(self, label: str, *, unit: str = "", quiet: bool = False) -> None:
        self._label = label
        self._unit = unit
        self._enabled = not quiet and sys.stderr.isatty()
        self._next = 0.0
        self._shown = False

    def show(self, total: int, done: int) -> None:
        """Say how far it is; cheap to call often."""
        if not self._enabled or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PERIOD
        self._shown = True
        sys.stderr.write(f"\r\x1b[K{self._label}: {self._of(done)} of {self._of(total)}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    def _of(self, number: int) -> str:
        return f"{number / 1e6:.1f} MB" if self._unit == "MB" else str(number)
