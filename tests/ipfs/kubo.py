"""A scratch Kubo daemon: closed to the world, on free ports of loopback, gone with the test."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOSED: dict[str, Any] = {
    "Bootstrap": [],
    "AutoConf": {"Enabled": False},
    "AutoTLS": {"Enabled": False},
    "DNS": {"Resolvers": {}},
    "Discovery": {"MDNS": {"Enabled": False}},
    "Provide": {"Enabled": False},
    "Routing": {"Type": "dhtserver"},
    "Ipns": {"DelegatedPublishers": []},
    "Plugins": {"Plugins": {"telemetry": {"Disabled": True}}},
}
"""Settings that keep a daemon from talking to anybody."""

# Ends the daemon when our end of its standard input closes, however this process ends.
_KEEPER = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.buffer.read()
child.terminate()
child.wait(20)
"""


@dataclass(slots=True)
class Kubo:
    """A running daemon, or a bare repository if never started."""

    program: Path
    repo: Path
    api: str = ""
    gateway: str = ""
    keeper: subprocess.Popen[bytes] | None = None

    def run(self, *args: str, stdin: bytes = b"") -> bytes:
        """Run the `ipfs` command and return its standard output."""
        done = subprocess.run(
            [self.program, *args],
            input=stdin,
            env=self.environment(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return the environment that makes the program use this repository."""
        return {**os.environ, "IPFS_PATH": str(self.repo)}

    def configure(self, changes: dict[str, Any]) -> None:
        """Merge settings into the repository's configuration."""
        path = self.repo / "config"
        config = json.loads(path.read_text())
        for key, value in changes.items():
            merged = isinstance(value, dict) and isinstance(config.get(key), dict)
            config[key] = {**config[key], **value} if merged else value
        path.write_text(json.dumps(config))

    def start(self, *options: str) -> None:
        """Start the daemon and wait until it listens."""
        command = [sys.executable, "-c", _KEEPER, str(self.program), "daemon", *options]
        log = (self.repo / "daemon.log").open("wb")
        self.keeper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self.environment()
        )
        log.close()
        self.api = self._address("api")
        self.gateway = self._address("gateway")

    def stop(self) -> None:
        """Stop the daemon."""
        if self.keeper is not None:
            self.keeper.communicate()
            self.keeper = None

    def _address(self, name: str) -> str:
        path, deadline = self.repo / name, time.monotonic() + 60
        while not path.is_file() or not path.read_text():
            assert time.monotonic() < deadline, (self.repo / "daemon.log").read_text()
            time.sleep(0.05)
        text = path.read_text().strip()
        if text.startswith("/ip4/"):
            parts = text.split("/")
            text = f"http://{parts[2]}:{parts[4]}"
        return text

    def rpc(self, call: str, *args: str, body: bytes | None = None, **options: Any) -> bytes:
        """Call the RPC API with an optional file body; return the answer's bytes."""
        query = [("arg", arg) for arg in args]
        query += [
            (k.replace("_", "-"), str(v).lower() if isinstance(v, bool) else str(v))
            for k, v in options.items()
        ]
        host = urllib.parse.urlsplit(self.api).netloc
        connection = http.client.HTTPConnection(host, timeout=60)
        boundary = uuid.uuid4().hex
        headers, data = {}, b""
        if body is not None:
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
            head += "Content-Type: application/octet-stream\r\n\r\n"
            data = head.encode() + body + f"\r\n--{boundary}--\r\n".encode()
        path = f"/api/v0/{call}?{urllib.parse.urlencode(query)}"
        connection.request("POST", path, data, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        assert response.status == 200, answer.decode()
        return answer

    def add(self, data: bytes, **options: Any) -> str:
        """Add a file and return its CID as text."""
        return str(json.loads(self.rpc("add", body=data, pin=False, **options))["Hash"])


def create(program: Path, repo: Path, **changes: Any) -> Kubo:
    """Return a closed, initialised repository."""
    kubo = Kubo(program, repo)
    kubo.run("init", "--profile=test")
    api, gateway = "/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0"
    swarm = ["/ip4/127.0.0.1/tcp/0"]
    kubo.configure({**CLOSED, "Addresses": {"Swarm": swarm, "API": api, "Gateway": gateway}})
    kubo.configure({"Gateway": {"NoFetch": True}, **changes})
    return kubo


def running(program: Path, repo: Path) -> Iterator[Kubo]:
    """Yield a closed daemon; stop it afterwards."""
    kubo = create(program, repo)
    try:
        kubo.start()
        yield kubo
    finally:
        kubo.stop()
