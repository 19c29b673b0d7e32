"""A full peer made of plain parts: a server whose answers a test decides, good or bad."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.koi import raw

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = tuple[int, bytes] | None
"""Status and body; None closes the connection without a word."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a peer under test hangs up whenever it likes."""


class Listener:
    """An HTTP server on loopback that keeps what it is sent. Use as a context manager."""

    def __init__(self, answer: Callable[[str, bytes], Answer]) -> None:
        self.answer = answer
        self.received: list[tuple[str, bytes]] = []
        self.headers: dict[str, str] = {}
        """More headers of every answer."""
        self.closing = threading.Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                listener.received.append((self.path, body))
                answer = listener.answer(self.path, body)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer[1])))
                for name, value in listener.headers.items():
                    self.send_header(name, value)
                if answer[0] in {301, 302, 307, 308}:
                    self.send_header("Location", answer[1].decode())
                self.end_headers()
                self.wfile.write(answer[1])

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Keep quiet."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FullPeer(raw.Peer):
    """A full node with a key: serves what it holds and keeps what it hears.

    `misbehave` takes a path and returns an answer of its own, or None to behave.
    """

    def __init__(self, name: str = "full", **profile: Any) -> None:
        super().__init__(name, **profile)
        self.holds: dict[str, raw.Json] = {}
        self.heard: list[raw.Json] = []
        self.misbehave: Callable[[str], Answer | str] = lambda _: "behave"
        self.listener = Listener(self._answer)
        self.base_url = f"http://127.0.0.1:{self.listener.port}/koi-net"

    def __enter__(self) -> FullPeer:
        self.listener.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.__exit__()

    def asked(self, path: str) -> list[raw.Json]:
        """Return the bodies received on a path."""
        return [json.loads(body) for at, body in self.listener.received if at.endswith(path)]

    def silence(self, _: str) -> Answer:
        """Hold the connection open and say nothing."""
        self.listener.closing.wait(60)
        return None

    def _answer(self, path: str, body: bytes) -> Answer:
        mood = self.misbehave(path)
        if not isinstance(mood, str):
            return mood
        envelope = json.loads(body)
        payload = self._payload(path, envelope["payload"])
        if payload is None:
            return 200, b"null"
        return 200, raw.compact(self.envelope(payload, envelope["source_node"]))

    def _payload(self, path: str, asked: raw.Json) -> raw.Json | None:
        if path.endswith(raw.BROADCAST):
            self.heard.extend(asked["events"])
            return None
        if path.endswith(raw.POLL):
            return {"type": "events_payload", "events": []}
        if path.endswith(raw.RIDS):
            types = asked.get("rid_types") or []
            rids = [r for r in self.holds if not types or ":".join(r.split(":")[:2]) in types]
            return {"type": "rids_payload", "rids": rids}
        found = [self.holds[r] for r in asked.get("rids", []) if r in self.holds]
        missing = [r for r in asked.get("rids", []) if r not in self.holds]
        if path.endswith(raw.MANIFESTS):
            manifests = [b["manifest"] for b in found]
            return {"type": "manifests_payload", "manifests": manifests, "not_found": missing}
        bundles = {"type": "bundles_payload", "bundles": found, "not_found": missing}
        return bundles | {"deferred": []}
