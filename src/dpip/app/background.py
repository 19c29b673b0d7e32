"""Start, find and stop the node as a process of its own, from another process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from dpip.app.process import Running, read_record, start_time
from dpip.errors import (
    AlreadyRunning,
    DiskFull,
    DpipError,
    HomeNotWritable,
    NotRunning,
    PortTaken,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dpip.settings import Settings

_KNOWN: dict[str, type[DpipError]] = {
    kind.slug: kind for kind in (AlreadyRunning, DiskFull, HomeNotWritable, PortTaken, UsageError)
}
START_TIMEOUT = 15.0
STOP_TIMEOUT = 15.0


class StartFailed(DpipError):
    """The node's process ended, or did not answer in time."""

    slug = "start-failed"
    exit_code = 8
    default_hint = "see node.log in the home, or run `dpip node run` to watch it"


class StopFailed(DpipError):
    """The node's process did not end in time."""

    slug = "stop-failed"
    exit_code = 8


def running(home: Path) -> Running:
    """Return the node that runs on this home. Raises NotRunning."""
    found = read_record(home)
    if found is None:
        raise NotRunning(f"no node runs on {home}")
    return found


def ensure(settings: Settings) -> Running:
    """Return the node of this home, starting one if none answers. Raises what `start` does."""
    found = _answering(settings.home)
    if found is not None:
        return found
    try:
        return start(settings)
    except AlreadyRunning:
        # Somebody else is starting it at this moment.
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if (found := _answering(settings.home)) is not None:
                return found
            time.sleep(0.05)
        raise


def start(settings: Settings, flags: Sequence[str] = ()) -> Running:
    """Start a detached node and return once it answers.

    `flags` are added to `dpip node run`. Raises what the node said when it could
    not start, StartFailed where that is unknown.
    """
    command = [sys.executable, "-m", "dpip", "node", "run", "--json"]
    command += ["--home", str(settings.home), *flags]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            cwd=settings.home.anchor or None,
        )
        assert child.stdout is not None
        with child.stdout:
            ready = _line(child, START_TIMEOUT)
        if not ready.startswith("ready "):
            _give_up(child)
            errors.seek(0)
            raise _failure(errors.read().decode("utf-8", "replace"))
        # Not ours any more: it must outlive this process without a warning.
        child.returncode = 0
    return Running(child.pid, start_time(child.pid) or "", ready.split()[1])


def stop(home: Path) -> Running:
    """Stop the node of this home and wait until it is gone. Raises NotRunning, StopFailed."""
    found = running(home)
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while start_time(found.pid) == found.started:
        if time.monotonic() > deadline:
            raise StopFailed(f"process {found.pid} does not end", hint="it may still be sending")
        time.sleep(0.02)
    return found


def health(url: str, timeout: float = 2.0) -> dict[str, Any]:
    """Return what `/healthz` says. Raises NotRunning."""
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        found = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotRunning(f"{url} does not answer: {error}") from None
    finally:
        connection.close()
    return dict(found)


def _answering(home: Path) -> Running | None:
    found = read_record(home)
    try:
        return found if found and health(found.url) else None
    except NotRunning:
        return None


def _line(child: subprocess.Popen[bytes], timeout: float) -> str:
    """Return the first line of a child's output; empty if it ends or is late."""
    import selectors

    assert child.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        if not selector.select(timeout):
            return ""
    return child.stdout.readline().decode("utf-8", "replace").strip()


def _give_up(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(1.0)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _failure(said: str) -> DpipError:
    """Return the child's error as ours: it reports under `--json`, one line."""
    lines = said.strip().splitlines()
    try:
        found = json.loads(lines[-1])
        kind = _KNOWN.get(found["error"], StartFailed)
        return kind(found["message"], hint=found["hint"])
    except (IndexError, KeyError, TypeError, ValueError):
        return StartFailed(lines[-1] if lines else "the node did not answer in time")
