"""What the commands of the content store share: how they speak, what is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from packaging.version import Version

Release = tuple["NormalizedName", "Version"]


def say(answer: Any, *lines: str, as_json: bool) -> None:
    """Write an answer to standard output: as JSON, or as lines for people."""
    text = json.dumps(answer) if as_json else "\n".join(lines)
    sys.stdout.write(text + "\n" if text else "")


def project_and_version(filename: str) -> Release | None:
    """Return what a wheel's or sdist's file name says, or None for another file."""
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        if filename.endswith(".whl"):
            name, version, *_ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, InvalidWheelFilename):
        return None
    return name, version


def installed() -> set[Release]:
    """Return the releases that the environment's pip sees. Raises PipMissing."""
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    from dpip.app.pip_settings import environment_python

    command = [str(environment_python()), "-m", "pip", "list", "--format", "json"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout
    found = set()
    for row in json.loads(listed):
        try:
            found.add((canonicalize_name(row["name"]), Version(row["version"])))
        except InvalidVersion:
            continue
    return found
