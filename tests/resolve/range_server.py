"""One file behind a server that answers range requests in all the ways that servers do."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class RangeServer:
    """`manner` is one of the names in `MANNERS`; `asked` holds the Range headers, in order."""

    content: bytes
    manner: str = "good"
    asked: list[str | None] = field(default_factory=list)
    url: str = ""
    sent: int = 0


MANNERS = (
    "good",
    "no-range",
    "lie-range",
    "no-suffix",
    "no-suffix-416",
    "suffix-is-prefix",
    "no-total",
    "no-total-no-suffix",
    "gzip",
    "short",
    "wrong-place",
)


@contextmanager
def serving(content: bytes, manner: str = "good") -> Iterator[RangeServer]:
    state = RangeServer(content, manner)

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/demo-1.0-py3-none-any.whl"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_state: RangeServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._send(405, b"", {})

    def do_GET(self) -> None:
        state, content = self.server_state, self.server_state.content
        asked = self.headers.get("Range")
        state.asked.append(asked)
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
        headers = {"Accept-Ranges": "bytes", "ETag": '"one"'}
        if found is None or state.manner in {"no-range", "lie-range"}:
            if state.manner == "no-range":
                del headers["Accept-Ranges"]
            return self._send(200, content, headers)
        if state.manner == "gzip":
            packed = gzip.compress(content, mtime=0)
            start = max(0, len(packed) - int(found[2]))
            headers |= {"Content-Encoding": "gzip"}
            headers["Content-Range"] = f"bytes {start}-{len(packed) - 1}/{len(packed)}"
            return self._send(206, packed[start:], headers)
        if not found[1] and state.manner.startswith("no-suffix"):
            return self._send(416 if state.manner.endswith("416") else 501, b"", headers)
        if not found[1] and state.manner.endswith("no-suffix"):
            return self._send(501, b"", headers)
        start, stop = _bounds(found[1], found[2], len(content))
        if start >= stop:
            return self._send(416, b"", headers)
        if state.manner == "suffix-is-prefix" and not found[1]:
            start, stop = 0, min(int(found[2]), len(content))
        if state.manner == "wrong-place" and found[1]:
            start = max(0, start - 1)
        total = "*" if state.manner.startswith("no-total") else len(content)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{total}"
        body = content[start:stop]
        return self._send(206, body[:-1] if state.manner == "short" else body, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.server_state.sent += len(body)
        self.wfile.write(body)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
