"""Real node processes for tests: each in a home of its own, on a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class NodeProcess:
    """A node that answers. `stop` ends it gracefully, `kill` at once."""

    process: subprocess.Popen[str]
    url: str
    home: Path

    @property
    def simple(self) -> str:
        return f"{self.url}/simple/"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(15)


@contextlib.contextmanager
def node(home: Path, *flags: str, port: int = 0, **environ: str) -> Iterator[NodeProcess]:
    """Run a node; it is stopped at the end if the test did not do it."""
    command = [sys.executable, "-m", "dpip", "node", "run", "--home", str(home)]
    process = subprocess.Popen(
        [*command, "--port", str(port), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        line = process.stdout.readline()
        try:
            assert line.startswith("ready "), process.communicate(timeout=15)[1]
            yield NodeProcess(process, line.split()[1], home)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(15)


def dpip(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "dpip", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env={**os.environ, **environ},
    )
