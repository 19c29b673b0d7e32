"""Programs and data of others that tests compare dpip with.

`require("kubo")` returns the path of a peer program, or skips the test by name, or fails it
where DPIP_REQUIRE_PEERS says that all peers must be there. Each peer is installed by the
script of its name in `.ci/peers/`, into `DPIP_PEERS` (default: `.peers` in the repository).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SKIP_PREFIX = "peer missing: "


def directory() -> Path:
    """Return where `.ci/peers/*` put what they install."""
    return Path(os.environ.get("DPIP_PEERS") or ROOT / ".peers")


def required() -> bool:
    """Say whether a missing peer is a failure instead of a skip."""
    return bool(os.environ.get("DPIP_REQUIRE_PEERS"))


def absent(name: str, reason: str) -> None:
    """Skip the running test because `name` is missing; fail it where peers are required."""
    if required():
        pytest.fail(f"{name} is required here (DPIP_REQUIRE_PEERS) and missing: {reason}")
    pytest.skip(SKIP_PREFIX + name)


def require(name: str, *candidates: str) -> Path:
    """Return a peer's program: `.peers/<name>/bin/<name>`, a candidate there, or on PATH."""
    for candidate in candidates or (f"{name}/bin/{name}",):
        path = directory() / candidate
        if path.exists():
            return path
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    absent(name, f"run .ci/peers/{name}")
    raise AssertionError("unreachable")


def bench_data(part: str) -> Path:
    """Return a folder of benchmark data that is not part of the repository.

    Looked for in DPIP_BENCH_DATA, else in `shared/bench` beside the repository. Absent data
    is always a skip by name: the rules that it checks are also checked by cases in `tests/`.
    """
    base = Path(os.environ.get("DPIP_BENCH_DATA") or ROOT.parent / "shared" / "bench")
    if not (base / part).is_dir():
        pytest.skip(f"{SKIP_PREFIX}data {part}")
    return base / part
