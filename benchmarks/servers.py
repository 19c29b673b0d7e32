"""The servers that are compared: a node, nginx, proxpi; each one worker, on a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  default_type application/octet-stream; open_file_cache max=4000;
  types {{ text/html html; application/vnd.pypi.simple.v1+json json; }}
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def nginx(program: Path, root: Path, folder: Path) -> Iterator[str]:
    """Serve a folder statically; yields the base URL."""
    folder.mkdir()
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, root=root, port=port))
    with _process([str(program), "-c", str(config)], folder / "log"):
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/")
        yield url


@contextlib.contextmanager
def node(home: Path, upstream: str) -> Iterator[str]:
    """Run a node by its command; yields the base URL."""
    command = [sys.executable, "-m", "dpip", "node", "run", "--home", str(home)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--index-url", upstream], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextlib.contextmanager
def proxpi(gunicorn: Path, upstream: str, folder: Path) -> Iterator[str]:
    """Run proxpi with one worker; its state is in memory and in `folder`."""
    folder.mkdir()
    port = free_port()
    settings = {
        "PROXPI_INDEX_URL": upstream,
        "PROXPI_CACHE_DIR": str(folder / "cache"),
        "PROXPI_DOWNLOAD_TIMEOUT": "60",
        "PROXPI_LOGGING_LEVEL": "ERROR",
    }
    command = [str(gunicorn), "--workers", "1", "--threads", "8", "--bind", f"127.0.0.1:{port}"]
    with _process([*command, "proxpi.server:app"], folder / "log", settings):
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/health")
        yield url


@contextlib.contextmanager
def _process(
    command: Sequence[str], log: Path, more: dict[str, str] | None = None
) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **(more or {})}
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")
