"""How much room consecutive releases take in the store, and what an upgrade moves.

Real archives (see `releases`) go through the real store: imported, proved, dropped to their
recipes, made again, and compared by sha256. Beside it stand the schemes that cut the whole
archive. Stored counts every byte of the store's directory, index included; fetched counts
the blocks below the recipe of a release that a holder of the one before lacks, compressed as
they travel between nodes.

    python -m benchmarks.dedup [--releases N] [PROJECT …]
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.releases import SPANS, Release, fetch
from benchmarks.report import Row, print_rows

from dpip.ipfs.archive import published
from dpip.ipfs.archive.match import Search
from dpip.ipfs.chunkers import Splitter, chunker
from dpip.ipfs.disk import frames, hot
from dpip.ipfs.disk.archives import Archive, Archives
from dpip.ipfs.disk.compact import compact
from dpip.ipfs.disk.store import DiskBlockstore, groups
from dpip.ipfs.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LINK = 48
"""Bytes that a chunk costs in the node above it."""
CUT = {"fixed 1 MiB": "size-1048576", "Rabin": "rabin", "FastCDC 64 KiB": "fastcdc-65536"}
STORED = {"django": 0.15, "setuptools": 0.20, "numpy": 0.37, "botocore": 0.25, "ruff": 1.0}
UPGRADE = {
    ("django", "wheel"): 0.06,
    ("django", "sdist"): 0.06,
    ("numpy", "sdist"): 0.04,
    ("setuptools", "wheel"): 0.17,
    ("setuptools", "sdist"): 0.17,
}


@dataclass
class Measured:
    """One project through the store. Sizes in bytes, times in seconds."""

    project: str
    size: dict[str, int] = field(default_factory=dict)
    stored: int = 0
    fetched: dict[str, list[float]] = field(default_factory=dict)
    importing: dict[str, float] = field(default_factory=dict)
    rebuilding: dict[str, float] = field(default_factory=dict)
    equal: int = 0
    whole: int = 0
    count: int = 0


def measure(project: str, releases: list[Release], folder: Path) -> Measured:
    """Take every release through a store in `folder`."""
    result = Measured(project, count=len(releases))
    now = 1.8e9
    store = DiskBlockstore(folder, clock=lambda: now)
    archives, search = Archives(store), Search()
    held: dict[str, set[bytes]] = {"wheel": set(), "sdist": set()}
    found: list[tuple[Release, Archive]] = []
    for release in releases:
        size = release.path.stat().st_size
        start = time.perf_counter()
        archive = archives.add(release.path, release.sha256, release.path.name, search=search)
        _add(result.importing, release.kind, time.perf_counter() - start)
        result.size[release.kind] = result.size.get(release.kind, 0) + size
        moved = _moved(store, archive, held[release.kind])
        result.fetched.setdefault(release.kind, []).append(moved / size)
        found.append((release, archive))
        print(f"  {release.path.name[:50]}: to fetch {moved / size:.3f}", file=sys.stderr)
    now += 3600
    result.whole = hot.trim(archives, 0).refused
    compact(store)
    store.index.shrink()
    result.stored = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    result.whole = sum(archive.recipe is None for _, archive in found)
    for release, archive in found:
        start = time.perf_counter()
        path = archives.open(archive.sha256)
        if archive.recipe is not None:
            _add(result.rebuilding, release.kind, time.perf_counter() - start)
        result.equal += hashlib.sha256(path.read_bytes()).hexdigest() == release.sha256
        if archive.recipe is not None:
            path.unlink()
    store.close()
    return result


def _add(times: dict[str, float], kind: str, seconds: float) -> None:
    times[kind] = times.get(kind, 0.0) + seconds


def _moved(store: DiskBlockstore, archive: Archive, held: set[bytes]) -> int:
    """Return the bytes that travel to whoever holds `held`, which grows."""
    if archive.recipe is None:
        return archive.size
    new = walk(store, archive.recipe, held)
    return sum(len(frames.encode(group)) for group in groups(new))


def cut_ratio(releases: list[Release], text: str) -> float:
    """Return unique bytes / all bytes of a scheme that cuts whole files."""

    def pieces(release: Release) -> Iterator[memoryview | bytes]:
        splitter = Splitter(chunker(text))
        yield from splitter.push(release.path.read_bytes())
        yield from splitter.finish()

    return _unique(releases, pieces)


def zip_ratio(releases: list[Release]) -> float:
    """Return the same for the published files, cut at the members of wheels."""

    def pieces(release: Release) -> Iterator[memoryview | bytes]:
        data = memoryview(release.path.read_bytes())
        for leaf in published.publish(data).file.leaves:
            yield data[leaf.offset : leaf.offset + leaf.length]

    return _unique(releases, pieces)


def _unique(
    releases: list[Release], pieces: Callable[[Release], Iterable[memoryview | bytes]]
) -> float:
    seen: set[bytes] = set()
    total = kept = 0
    for release in releases:
        for piece in pieces(release):
            digest = hashlib.sha256(piece).digest()
            total += len(piece)
            kept += LINK + (0 if digest in seen else len(piece))
            seen.add(digest)
    return kept / total


def rows(result: Measured) -> Iterator[Row]:
    """Yield the lines with budgets."""
    total = sum(result.size.values())
    budget = STORED[result.project]
    yield Row(
        f"{result.project}: {result.count} archives stored", result.stored / 1e6, total / 1e6,
        "MB", "as files", f"≤ {budget}",
    )  # fmt: skip
    for kind, shares in sorted(result.fetched.items()):
        share = statistics.median(shares[1:]) if len(shares) > 1 else shares[0]
        mean = result.size[kind] / len(shares) / 1e6
        bound = UPGRADE.get((result.project, kind))
        yield Row(
            f"{result.project}: {kind} N → N+1, median", share * mean, mean, "MB", "whole file",
            f"≤ {bound}" if bound else "",
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("projects", nargs="*", default=[span.project for span in SPANS])
    parser.add_argument("--releases", type=int, default=100, help="at most so many of each")
    wanted = parser.parse_args()
    results: list[Measured] = []
    schemes: list[str] = []
    for span in SPANS:
        if span.project not in wanted.projects:
            continue
        releases = fetch(span)[: 2 * wanted.releases]
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(span.project, releases, Path(folder)))
        ratios = [cut_ratio(releases, text) for text in CUT.values()] + [zip_ratio(releases)]
        ours = results[-1].stored / sum(results[-1].size.values())
        cells = " | ".join(f"{ratio:.3f}" for ratio in (*ratios, ours))
        schemes.append(f"| {span.project} | {cells} |")
    print_rows([row for result in results for row in rows(result)])
    print(f"\n| stored, share of all bytes | {' | '.join(CUT)} | cut at members | the store |")
    print("|" + "---|" * (len(CUT) + 3))
    print("\n".join(schemes))
    print("\n| MB of archive a second | import wheel | import sdist | rebuild wheel |", end="")
    print(" rebuild sdist | sha256 equal | kept whole |\n|" + "---|" * 7)
    for result in results:
        print(f"| {result.project} | {' | '.join(speeds(result))} |", end="")
        print(f" {result.equal} of {result.count} | {result.whole} |")
    if any(result.equal != result.count for result in results):
        sys.exit("an archive came back changed")


def speeds(result: Measured) -> Iterable[str]:
    """Return import and rebuild speeds by kind."""
    for times in (result.importing, result.rebuilding):
        for kind in ("wheel", "sdist"):
            spent = times.get(kind)
            yield f"{result.size[kind] / 1e6 / spent:.1f}" if spent else "-"


if __name__ == "__main__":
    main()
