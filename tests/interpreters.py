"""Other Pythons that may be on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest


@cache
def find(version: str) -> str | None:
    """Return the path of a Python such as "3.9": from PATH, else one that pyenv installed."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    for candidate in (shutil.which(f"python{version}"), *map(str, installed)):
        if candidate and _runs(candidate):
            return candidate
    return None


def require(version: str) -> str:
    """Return the path of a Python, or skip the test and say which one is lacking."""
    found = find(version)
    if found is None:
        pytest.skip(f"no Python {version} on PATH or from pyenv")
    return found


def _runs(candidate: str) -> bool:
    """Say whether it starts: a shim of pyenv exists for versions that are switched off too."""
    done = subprocess.run([candidate, "-c", "import ssl"], capture_output=True, check=False)
    return done.returncode == 0
