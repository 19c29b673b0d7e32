"""The files of an answer, fetched: in parallel, verified, and compared with what was resolved.

An answer was made from metadata alone. Once a wheel is here, its own METADATA must say what
the answer rests on; if it does not, the index served two different things, and the answer
cannot be trusted.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from dpip.resolve import metadata
from dpip.resolve.errors import CannotWrite, MetadataDiffers
from dpip.resolve.gather import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dpip.resolve.downloads import Downloads
    from dpip.resolve.resolution import Pin

AT_ONCE = 8
"""Transfers at once: bandwidth is the limit here, not round trips."""


def hydrate(
    pins: Sequence[Pin],
    directory: Path,
    downloads: Downloads,
    progress: Callable[[int, int], Any] = lambda _total, _done: None,
) -> list[Path]:
    """Put the file of every pin into `directory`; return the paths in order of the pins.

    Files that are there with the right hash are left alone; broken-off transfers are taken up
    again. `progress` is told bytes in total and bytes here. Raises HashMismatch,
    MetadataDiffers, or what the transfer raises; files that are right stay.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite.because(error, directory) from None
    chosen = [pin for pin in pins if pin.file.sha256 is not None]
    meter = _Meter(sum(pin.file.size or 0 for pin in chosen), progress)
    return in_parallel(
        [partial(_place, pin, directory, downloads, meter) for pin in chosen], AT_ONCE
    )


def compare(pin: Pin, wheel: Path) -> None:
    """Raise MetadataDiffers unless a wheel's METADATA says what the pin was resolved on."""
    if pin.file.kind != "wheel" or pin.read_from.kind != "wheel":
        return
    found = metadata.checked(metadata.wheel_metadata(wheel, pin.file.filename), pin.file)
    if pin.read_from.url == pin.file.url and found != pin.record:
        was, now = set(map(str, pin.record.requires)), set(map(str, found.requires))
        change = ", ".join(sorted(now ^ was)) or "its fields"
        raise MetadataDiffers(f"{pin.file.filename} is not what was resolved on: {change} differ")


def _place(pin: Pin, directory: Path, downloads: Downloads, meter: _Meter) -> Path:
    target = directory / pin.file.filename
    try:
        downloads.place(pin.file, target, meter.add)
    except OSError as error:
        raise CannotWrite.because(error, target) from None
    try:
        compare(pin, target)
    except MetadataDiffers:
        target.unlink()
        raise
    return target


class _Meter:
    """Adds up bytes from many threads."""

    def __init__(self, total: int, progress: Callable[[int, int], Any]) -> None:
        self._total = total
        self._done = 0
        self._progress = progress
        self._lock = threading.Lock()

    def add(self, amount: int) -> None:
        with self._lock:
            self._done += amount
            self._progress(max(self._total, self._done), self._done)
