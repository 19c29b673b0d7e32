"""Fetch consecutive releases of real projects, once, into `.cache/releases`.

The index is the one that pip on this machine uses: pip is asked, no address is written
here. Every file is checked against the sha256 that the index lists before it is kept.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "releases"
JSON_PAGE = "application/vnd.pypi.simple.v1+json"
ASK_PIP = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


@dataclass(frozen=True, slots=True)
class Span:
    """All final releases of a project from `first` to `last`: one wheel and one sdist each."""

    project: str
    first: str
    last: str
    wheel_tag: str = "py3-none-any"


SPANS = (
    Span("django", "5.2.12", "5.2.19"),
    Span("setuptools", "81.0.0", "84.2.1"),
    Span("numpy", "2.4.1", "2.4.6", "cp311-manylinux"),
    Span("botocore", "1.43.126", "1.44.5"),
    Span("ruff", "0.16.9", "0.17.5", "py3-manylinux"),
)


@dataclass(frozen=True, slots=True)
class Release:
    """One archive of a project on disk."""

    project: str
    version: Version
    kind: str
    """Either "wheel" or "sdist"."""
    path: Path
    sha256: str


def fetch(span: Span, last: int = 0) -> list[Release]:
    """Return the archives of `span` in release order, downloading what the cache lacks.

    With `last` only so many of each kind, the newest.
    """
    page = _page(span.project)
    wanted = (_wanted(span, file) for file in page["files"])
    found = sorted(
        (pair for pair in wanted if pair is not None),
        key=lambda pair: (pair[0].version, pair[0].kind),
    )
    if last:
        of = {kind: [pair for pair in found if pair[0].kind == kind] for kind in ("sdist", "wheel")}
        found = [pair for pairs in of.values() for pair in pairs[-last:]]
    for release, url in found:
        if not release.path.exists():
            _download(url, release)
    return [release for release, _ in found]


def _wanted(span: Span, file: dict[str, Any]) -> tuple[Release, str] | None:
    name: str = file["filename"]
    if file.get("yanked"):
        return None
    if name.endswith(".whl"):
        kind, version = "wheel", parse_wheel_filename(name)[1]
        python, _, platform = span.wheel_tag.partition("-")
        tagged = f"-{python}-" in name and platform in name
        if not tagged or ("manylinux" in platform and not name.endswith("x86_64.whl")):
            return None
    elif name.endswith(".tar.gz"):
        kind, version = "sdist", parse_sdist_filename(name)[1]
    else:
        return None
    if version.is_prerelease or not Version(span.first) <= version <= Version(span.last):
        return None
    if span.project == "django" and version.release[:2] != Version(span.first).release[:2]:
        return None
    path = CACHE / span.project / name
    return Release(span.project, version, kind, path, file["hashes"]["sha256"]), file["url"]


def _index() -> str:
    configured = os.environ.get("PIP_INDEX_URL") or _pip(
        "-m", "pip", "config", "get", "global.index-url"
    )
    return (configured or _pip("-c", ASK_PIP)).rstrip("/")


def _pip(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _page(project: str) -> dict[str, Any]:
    stored = CACHE / project / "index.json"
    if stored.exists():
        cached: dict[str, Any] = json.loads(stored.read_text())
        return cached
    url = f"{_index()}/{project}/"
    request = urllib.request.Request(url, headers={"Accept": f"{JSON_PAGE}, text/html;q=0.1"})
    with urllib.request.urlopen(request, timeout=180) as answer:
        body = answer.read()
        is_json = "json" in answer.headers.get_content_type()
    page: dict[str, Any] = json.loads(body) if is_json else {"files": _anchors(body.decode())}
    for file in page["files"]:
        file["url"] = urllib.parse.urljoin(url, file["url"])
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps(page))
    return page


def _anchors(text: str) -> list[dict[str, Any]]:
    """Read a PEP 503 page: one anchor a file, its sha256 in the fragment."""
    files = []
    for attributes, name in re.findall(r"<a\s([^>]*)>([^<]*)</a>", text):
        href = re.search(r'href="([^"#]*)#sha256=([0-9a-f]{64})"', attributes)
        if href is not None:
            yanked = "data-yanked" in attributes
            hashes = {"sha256": href[2]}
            file = {"filename": html.unescape(name).strip(), "url": html.unescape(href[1])}
            files.append({**file, "hashes": hashes, "yanked": yanked})
    return files


def _download(url: str, release: Release) -> None:
    part = release.path.with_suffix(".part")
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=180) as answer, part.open("wb") as out:
        while piece := answer.read(1 << 20):
            digest.update(piece)
            out.write(piece)
    if digest.hexdigest() != release.sha256:
        raise SystemExit(f"{release.path.name}: the index lists another sha256")
    part.replace(release.path)


if __name__ == "__main__":
    for wanted in SPANS:
        got = fetch(wanted)
        size = sum(release.path.stat().st_size for release in got)
        print(f"{wanted.project}: {len(got)} archives, {size / 1e6:.1f} MB")
