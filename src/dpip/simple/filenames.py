"""What the name of a distribution file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from packaging.version import Version

Release = tuple["NormalizedName", "Version"]


def release_of(filename: str) -> Release | None:
    """Return what a wheel's or sdist's file name says, or None for another file."""
    try:
        if filename.endswith(".whl"):
            name, version, *_ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, InvalidWheelFilename):
        return None
    return name, version
