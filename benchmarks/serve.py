"""Serving: pages, a large file, whole installs; against nginx and proxpi in the same run.

    make bench-serve            (or: python -m benchmarks.serve --rounds 5)

nginx serves the very bytes that the node serves, as static files, so it is what the machine
can do. proxpi is an index cache in Python. All have one worker and the same upstream, which
is another nginx. Rounds alternate between the servers; medians are quoted.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from benchmarks import servers
from benchmarks.report import Row, print_rows
from tests import peers
from tests.simple.fixture_index import Archive, noise, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JSON = "application/vnd.pypi.simple.v1+json"
LARGE = 64 * 2**20
PACKAGES = [f"package{number:02}" for number in range(20)]
PAGES_BUDGET = "≥ 0.8"
FILE_BUDGET = "≥ 0.7"
UNEQUAL = """
local n = 0
request = function()
  n = n + 1
  wrk.headers["X-Request"] = n
  return wrk.format()
end
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers under test and how often each is asked."""

    ours: str
    nginx: str
    proxpi: str
    rounds: int
    folder: Path


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, _running(Path(folder), rounds) as bench:
        rows = [*pages(bench), *unequal(bench), *files(bench), *installs(bench)]
    print_rows(rows)


@contextlib.contextmanager
def _running(folder: Path, rounds: int) -> Iterator[Bench]:
    program = peers.require("nginx")
    gunicorn = peers.require("proxpi", "proxpi/bin/gunicorn")
    folder.chmod(0o755)  # workers of nginx may run as nobody
    upstream_root, static_root = folder / "upstream", folder / "static"
    make_upstream(upstream_root, rounds)
    static_root.mkdir()
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        upstream = enter(servers.nginx(program, upstream_root, folder / "up"))
        ours = enter(servers.node(folder / "home", f"{upstream}/simple/"))
        proxpi = enter(servers.proxpi(gunicorn, f"{upstream}/simple/", folder / "proxpi"))
        copy_pages(ours, static_root)
        shutil.copytree(upstream_root / "packages", static_root / "packages", copy_function=_link)
        shutil.copytree(upstream_root / "simple", static_root / "plain", copy_function=_link)
        nginx = enter(servers.nginx(program, static_root, folder / "same"))
        yield Bench(ours, nginx, proxpi, rounds, folder)


def make_upstream(root: Path, rounds: int) -> None:
    """Write the upstream: small and large projects, and twenty that need each other."""
    (root / "packages").mkdir(parents=True)
    _release(root, "small", [wheel("small", f"1.{n}") for n in range(3)])
    _release(root, "thousand", [wheel("thousand", f"1.{n}") for n in range(1000)])
    for number in range(rounds + 1):
        name = f"large{number}"
        content = noise(LARGE, name.encode())
        _release(root, name, [Archive(f"{name}-1.0-py3-none-any.whl", content)])
    for name, needs in zip(PACKAGES, [*PACKAGES[1:], None], strict=True):
        archive = wheel(name, "1.0", requires=[needs] if needs else [], size=200_000)
        _release(root, name, [archive])


def _release(root: Path, name: str, archives: list[Archive]) -> None:
    for archive in archives:
        (root / "packages" / archive.filename).write_bytes(archive.content)
    anchors = "\n".join(
        f'<a href="../../packages/{a.filename}#sha256={a.sha256}" '
        f'data-requires-python="&gt;=3.8">{a.filename}</a><br>'
        for a in archives
    )
    page = root / "simple" / name / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<!DOCTYPE html><html><body>\n{anchors}\n</body></html>\n")


def copy_pages(ours: str, root: Path) -> None:
    """Store the node's own pages where nginx serves them: the same bytes."""
    for name in ("small", "thousand"):
        folder = root / "simple" / name
        folder.mkdir(parents=True)
        (folder / "index.html").write_bytes(fetch(f"{ours}/simple/{name}/"))
        (folder / "index.json").write_bytes(fetch(f"{ours}/simple/{name}/", JSON))


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def fetch(url: str, accept: str = "text/html") -> bytes:
    """Return what a URL holds."""
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as response:
        body: bytes = response.read()
        return body


def turns(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Call each measure in turn, `rounds` times; return the medians."""
    seen = [[measure() for measure in measures] for _ in range(rounds)]
    return [median(column) for column in zip(*seen, strict=True)]


def pages(bench: Bench) -> Iterator[Row]:
    """Requests per second of small and large pages in both forms."""
    forms = (("HTML", "index.html", "text/html"), ("JSON", "index.json", JSON))
    projects = (("small", "small page"), ("thousand", "1,000-file page"))
    for (name, what), (form, file, accept) in product(projects, forms):
        ours, nginx, proxpi = turns(
            bench.rounds,
            partial(wrk, f"{bench.ours}/simple/{name}/", accept),
            partial(wrk, f"{bench.nginx}/simple/{name}/{file}", accept),
            partial(wrk, f"{bench.proxpi}/index/{name}/", accept),
        )
        yield Row(f"{what}, {form}", ours, nginx, "requests/s", "nginx", PAGES_BUDGET)
        yield Row(f"{what}, {form}", ours, proxpi, "requests/s", "proxpi")


def unequal(bench: Bench) -> Iterator[Row]:
    """Requests per second where no two requests are equal, so that each one is parsed."""
    script = bench.folder / "unequal.lua"
    script.write_text(UNEQUAL)
    ours, nginx = turns(
        bench.rounds,
        partial(wrk, f"{bench.ours}/simple/small/", "text/html", "-s", str(script)),
        partial(wrk, f"{bench.nginx}/simple/small/index.html", "text/html", "-s", str(script)),
    )
    yield Row("small page, HTML, no two requests equal", ours, nginx, "requests/s", "nginx")


def wrk(url: str, accept: str, *more: str) -> float:
    """Return requests per second of eight connections; raises if any answer was an error."""
    program = peers.require("wrk")
    done = subprocess.run(
        [program, "-t1", "-c8", "-d1s", "-H", f"Accept: {accept}", *more, url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(done.stdout)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found is not None
    return float(found.group(1))


def files(bench: Bench) -> Iterator[Row]:
    """Megabytes per second of a 64 MB file: first through a cache, then warm."""

    def first(base: str, pages: str) -> Callable[[], float]:
        counter = iter(range(1, bench.rounds + 1))
        return lambda: _download(file_url(base, pages, f"large{next(counter)}"))

    ours, nginx, proxpi = turns(
        bench.rounds,
        first(bench.ours, "simple"),
        first(bench.nginx, "plain"),
        first(bench.proxpi, "index"),
    )
    yield Row("64 MB file, first", ours, nginx, "MB/s", "nginx, which has it")
    yield Row("64 MB file, first", ours, proxpi, "MB/s", "proxpi")
    warm = [
        file_url(base, pages, "large1")
        for base, pages in ((bench.ours, "simple"), (bench.nginx, "plain"), (bench.proxpi, "index"))
    ]
    ours, nginx, proxpi = turns(bench.rounds, *(_downloads(url) for url in warm))
    yield Row("64 MB file, warm", ours, nginx, "MB/s", "nginx", FILE_BUDGET)
    yield Row("64 MB file, warm", ours, proxpi, "MB/s", "proxpi")


def file_url(base: str, pages: str, name: str) -> str:
    """Return where a server says that the only file of a project is."""
    page = f"{base}/{pages}/{name}/"
    found = re.search(r'href="([^"#]+)', fetch(page).decode())
    assert found is not None
    return urljoin(page, str(found.group(1)))


def _downloads(url: str) -> Callable[[], float]:
    return lambda: median(_download(url) for _ in range(3))


def _download(url: str) -> float:
    """Return megabytes per second of one download on a connection of its own."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    room = bytearray(2**20)
    received = 0
    start = time.perf_counter()
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(request)
        while count := connection.recv_into(room):
            received += count
    seconds = time.perf_counter() - start
    if received < LARGE:
        raise RuntimeError(f"{url} gave {received} bytes")
    return received / seconds / 1e6


def installs(bench: Bench) -> Iterator[Row]:
    """Seconds that pip and uv take for twenty packages, every cache of theirs empty."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir",
           "--disable-pip-version-check"]  # fmt: skip
    uv = [str(peers.require("uv")), "pip", "install", "--quiet", "--no-cache", "--python",
          sys.executable]  # fmt: skip
    indexes = f"{bench.ours}/simple/", f"{bench.nginx}/plain/", f"{bench.proxpi}/index/"
    for index in indexes:
        _install(bench.folder, [*uv, "--index-url", index])
    for name, command in (("pip", pip), ("uv", uv)):
        measures = [
            partial(_install, bench.folder, [*command, "--index-url", index]) for index in indexes
        ]
        ours, nginx, proxpi = turns(bench.rounds, *measures)
        yield Row(f"{name}: 20 packages", ours, nginx, "s", "nginx")
        yield Row(f"{name}: 20 packages", ours, proxpi, "s", "proxpi")


def _install(folder: Path, command: list[str]) -> float:
    target = tempfile.mkdtemp(dir=folder)
    start = time.perf_counter()
    subprocess.run([*command, "--target", target, PACKAGES[0]], check=True, capture_output=True)
    seconds = time.perf_counter() - start
    if len(list(Path(target).glob("package*.dist-info"))) != len(PACKAGES):
        raise RuntimeError(f"{command[0]} did not install everything")
    shutil.rmtree(target)
    return seconds


if __name__ == "__main__":
    main()
