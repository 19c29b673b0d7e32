"""Load for a KOI node: kept-alive connections, prepared bodies, and a crowd of subscribers."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.koi_generator import written
from tests.koi import raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD_END = b"\r\n\r\n"
IDLE = 2.0  # servers close a connection that was idle for longer than this


class Connection:
    """One kept-alive connection that sends bytes made beforehand and reads whole answers."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        assert parts.hostname
        assert parts.port
        self.host, self.prefix = parts.netloc, parts.path
        self._address = (parts.hostname, parts.port)
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection(self._address, 120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left, self._used = b"", time.monotonic()

    def request(self, path: str, body: bytes) -> bytes:
        """Return the bytes of a POST request."""
        head = (
            f"POST {self.prefix}{path} HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def send(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer, which must be a 200."""
        if time.monotonic() - self._used > IDLE:
            self.close()
            self._open()
        self._socket.sendall(request)
        self._used = time.monotonic()
        data = self._left
        while HEAD_END not in data:
            data += self._more()
        head, _, rest = data.partition(HEAD_END)
        assert b" 200 " in head[:20], data[:500]
        if b"transfer-encoding: chunked" in head.lower():
            return self._chunks(rest)
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        length = int(lowered[at:].split(b"\r\n", 1)[0])
        parts, have = [rest], len(rest)
        while have < length:
            parts.append(self._more())
            have += len(parts[-1])
        whole = b"".join(parts)
        self._left = whole[length:]
        return whole[:length]

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _chunks(self, data: bytes) -> bytes:
        parts: list[bytes] = [data]
        while not (parts[-1].endswith(b"0\r\n\r\n") or b"".join(parts[-2:]).endswith(b"0\r\n\r\n")):
            parts.append(self._more())
        self._left = b""
        return unchunked(b"".join(parts))

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 20)
        assert data, "the node hung up"
        return data


def unchunked(data: bytes) -> bytes:
    """Return the body that a complete chunked one carries."""
    out: list[bytes] = []
    at = 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        if size == 0:
            return b"".join(out)
        out.append(data[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


@dataclass(frozen=True, slots=True)
class Sent:
    """When a load began and ended (monotonic seconds), and the client's processor seconds."""

    started: float
    ended: float
    processor: float


def ingest(base: str, path: str, bodies: Sequence[bytes], connections: int = 1) -> Sent:
    """Send all bodies from a process of its own, over a number of connections at once."""
    connection = Connection(base)
    requests = [connection.request(path, body) for body in bodies]
    connection.close()
    parts = urlsplit(base)
    program = [sys.executable, "-m", "benchmarks.koi_generator"]
    told = [*program, str(parts.hostname), str(parts.port), str(connections)]
    done = subprocess.run(told, input=written(requests), capture_output=True, check=True)
    return Sent(**json.loads(done.stdout))


class Crowd:
    """Many webhook subscribers behind one port, told apart by path; notes when each hears.

    It answers as fast as asyncio can, in a thread of its own, and parses no JSON.
    """

    def __init__(self, count: int) -> None:
        self.wanted = b"\0"
        self.heard: dict[str, float] = {}
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()
        self.peers = [
            raw.Peer(name=f"s{n}", base_url=f"http://127.0.0.1:{self.port}/s{n}/koi-net")
            for n in range(count)
        ]

    def wait(self, wanted: bytes, since: float, timeout: float = 120) -> float:
        """Return the seconds from `since` until everybody heard of `wanted`."""
        while len(self.heard) < len(self.peers):
            assert time.monotonic() - since < timeout, f"{len(self.heard)} heard of {wanted!r}"
            time.sleep(0.001)
        return max(self.heard.values()) - since

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        )
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(HEAD_END)).decode().lower()
                length = int(head.split("content-length:")[1].split("\r\n")[0])
                body = await reader.readexactly(length)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 4\r\n\r\nnull"
                )
                if self.wanted in body:
                    self.heard[head.split("/", 2)[1]] = time.monotonic()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()


def signed_bodies(peer: raw.Peer, target: str, batches: Iterable[list[raw.Json]]) -> list[bytes]:
    """Return signed broadcast bodies, one for each batch of events."""
    return [
        raw.compact(peer.envelope({"type": "events_payload", "events": batch}, target))
        for batch in batches
    ]
