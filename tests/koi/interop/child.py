"""Start a node as a child process and lead it: a real release, or ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import peers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.koi import raw

HERE = Path(__file__).parent
PLAIN = ("1.0.0b12", "1.0.0")
SIGNED = ("1.3.2", "2.1.2")
OURS = "ours"
NODE = "orn:koi-net.node"
EDGE = "orn:koi-net.edge"
START_TIMEOUT = 60.0


class Child:
    """One node in a process of its own.

    `release` is a version of koi-net, or "ours". `kind` is "full", "partial" or
    "coordinator". The object is a context manager: leaving it ends the process.
    """

    def __init__(self, release: str, kind: str, home: Path, **options: Any) -> None:
        self.release, self.kind, self.home = release, kind, home
        home.mkdir(parents=True, exist_ok=True)
        self.options = {
            "kind": kind,
            "name": f"{kind}-{release}",
            "home": str(home),
            "port": free_port(),
            "first_contact": None,
            "event": [NODE, EDGE] if kind == "coordinator" else [],
            "state": [NODE, EDGE] if kind == "coordinator" else [],
            "interest": [NODE],
            "poll": 0.2,
            "wait": 0.1,  # how long a release that batches waits for more events
            "allow_unsigned": False,
            "handled": None,  # a file that our node notes each processed object in
        } | options
        self.log = home / "child.log"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Child:
        """Start the process and wait until the node says who it is."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._program(), json.dumps(self.options)],
                env=self._environment(),
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        timer = threading.Timer(START_TIMEOUT, self._process.kill)
        timer.start()
        try:
            ready = self._read()
        finally:
            timer.cancel()
        self.rid: str = ready["rid"]
        self.url: str | None = ready["url"]
        return self

    def stop(self) -> None:
        """End the input, which stops the node; kill it if it does not listen."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()
        self._process = None

    def kill(self) -> None:
        """Kill the process at once (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def alive(self) -> bool:
        """Say whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running child."""
        assert self._process is not None
        return self._process.pid

    def do(self, what: str, **arguments: Any) -> Any:
        """Run one command in the child and return its answer; raise what it raised."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what} | arguments) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise AssertionError(f"{self.release} {what}: {answer['error']}")
        return answer["ok"]

    def rids(self) -> set[str]:
        """Return what the node has in its cache."""
        return set(self.do("rids"))

    def holds(self, rid: str) -> raw.Json | None:
        """Return the contents that the node holds for `rid`."""
        contents: raw.Json | None = self.do("read", rid=rid)
        return contents

    @property
    def contact(self) -> str:
        """Return how a node of the signed wire is told of this one: RID and URL."""
        return f"{self.rid}@{self.url}"

    def __enter__(self) -> Child:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _program(self) -> list[str]:
        if self.release == OURS:
            return [sys.executable, str(HERE / "our_node.py")]
        python = peers.require("koi-net", f"koi-net-{self.release}/bin/python")
        script = "plain_node.py" if self.release in PLAIN else "signed_node.py"
        return [str(python), str(HERE / script)]

    def _environment(self) -> dict[str, str]:
        paths = sys.path if self.release == OURS else [str(peers.ROOT)]
        own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
        return os.environ | own | {"PRIV_KEY_PASSWORD": "a password"}

    def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"{self.release} ended:\n{self.log.read_text()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def free_port() -> int:
    """Return a port of loopback that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def eventually(holds: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Wait until `holds()`; fail, saying what was waited for."""
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        time.sleep(0.05)
