"""Direct requirements: `name @ URL`, local archives and directories, repositories.

Whatever stands behind the URL ends up as a `Direct`: a stand-in file, with the hash of what
was read where there is one, and its dependencies. An archive by HTTP without a hash is
fetched whole: an answer needs a hash, and the file is needed anyway.
"""

from __future__ import annotations

import subprocess
import tempfile
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec.structs import replace

from dpip.resolve import core_metadata, records
from dpip.resolve.errors import (
    BadAnswer,
    BadMetadata,
    BuildFailed,
    HashMismatch,
    HttpFailure,
    NotOffline,
)
from dpip.resolve.facts import CandidateFile, Dependencies, Direct, Unavailable
from dpip.resolve.find_links import local_path
from dpip.resolve.transport import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dpip.resolve.downloads import Downloads
    from dpip.resolve.facts import FileKind
    from dpip.resolve.metadata import Metadata
    from dpip.resolve.sdist import Sources

VCS = frozenset({"git"})
OTHER_HASHES = frozenset({"md5", "sha1", "sha224", "sha384", "sha512"})
"""What a fragment may name besides sha256, and pip checks."""
ARCHIVES = (".whl", ".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")


class DirectUrls:
    """Reads what direct requirements point at; thread-safe."""

    def __init__(
        self, downloads: Downloads, metadata: Metadata, sources: Sources, *, offline: bool = False
    ) -> None:
        self._downloads = downloads
        self._metadata = metadata
        self._sources = sources
        self._offline = offline

    def read(self, url: str) -> Direct | Unavailable:
        """Return what is behind a URL; the fragment may hold hashes and a subdirectory."""
        try:
            return self._read(url)
        except NotOffline as error:
            return Unavailable("offline", error.message)
        except BuildFailed as error:
            return Unavailable("build-failed", error.message)
        except (BadMetadata, BadAnswer, HashMismatch, HttpFailure) as error:
            return Unavailable("broken", error.message)

    def _read(self, url: str) -> Direct | Unavailable:
        scheme = urlsplit(url).scheme
        system, plus, _ = scheme.partition("+")
        if plus:
            if system not in VCS:
                return Unavailable("broken", f"{without_secrets(url)}: only git is supported")
            return self._from_repository(url)
        if scheme in {"", "file"}:
            path = local_path(url.partition("#")[0])
            if path.is_dir():
                return self._from_directory(url, path)
            if not path.exists():
                return Unavailable("not-found", f"{path}: no such file or directory")
        elif scheme not in {"http", "https"}:
            return Unavailable("broken", f"{without_secrets(url)}: not a URL that can be read")
        return self._from_archive(url)

    def _from_archive(self, url: str) -> Direct | Unavailable:
        bare, _, _ = url.partition("#")
        filename = unquote(urlsplit(bare).path.rpartition("/")[2])
        if not filename.endswith(ARCHIVES):
            return Unavailable("broken", f"{without_secrets(url)}: not a wheel or source archive")
        digest = fragment(url).get("sha256")
        kind: FileKind = "wheel" if filename.endswith(".whl") else "sdist"
        file = CandidateFile(filename, without_secrets(bare), kind, digest)
        subdirectory = fragment(url).get("subdirectory")
        others = {name: value for name, value in fragment(url).items() if name in OTHER_HASHES}
        if digest is None or kind == "sdist" or others:
            path, digest = self._downloads.get(bare, filename, digest)
            _check(path, others, without_secrets(bare))
            file = replace(file, sha256=digest, size=path.stat().st_size)
            if kind == "sdist":
                return self._from_sdist(url, file, path, subdirectory)
        found = self._metadata.read(file)
        return found if isinstance(found, Unavailable) else Direct(url, file, found)

    def _from_sdist(
        self, url: str, file: CandidateFile, path: Path, subdirectory: str | None
    ) -> Direct:
        from dpip.resolve.sdist import unpack

        held = self._metadata.at_hand(file) if subdirectory is None else None
        if held is not None:
            return Direct(url, file, held)
        with tempfile.TemporaryDirectory(prefix="dpip-sdist-") as room:
            tree = unpack(path, Path(room), file.filename)
            return Direct(url, file, self._of_tree(tree / (subdirectory or ""), file.filename))

    def _from_directory(self, url: str, path: Path) -> Direct:
        tree = path / fragment(url).get("subdirectory", "")
        found = self._of_tree(tree, str(path))
        bare = url if url.startswith("file:") else path.as_uri()
        return Direct(url, CandidateFile(path.name, bare, "sdist"), found)

    def _of_tree(self, tree: Path, where: str) -> Dependencies:
        text = self._sources.tree_metadata(tree, where)
        return records.from_metadata(core_metadata.parse(text, where), where)

    def _from_repository(self, url: str) -> Direct:
        """Read one revision, and name its commit in the answer's URL."""
        with tempfile.TemporaryDirectory(prefix="dpip-git-") as room:
            tree, commit = self._checked_out(url, Path(room) / "tree")
            found = self._of_tree(tree, without_secrets(url))
        kept = [f"{k}={v}" for k, v in fragment(url).items() if k == "subdirectory"]
        repository = without_secrets(split_revision(url)[0])
        exact = f"git+{repository}@{commit}" + "".join(f"#{part}" for part in kept)
        return Direct(url, CandidateFile(commit, exact, "sdist"), found)

    def _checked_out(self, url: str, room: Path) -> tuple[Path, str]:
        if self._offline:
            raise NotOffline(f"{without_secrets(url)}: a repository cannot be read --offline")
        repository, revision = split_revision(url)
        commit = check_out(repository, revision, room)
        return room / fragment(url).get("subdirectory", ""), commit

    def wheel(self, url: str, target: Path) -> Path:
        """Build the wheel of a local directory or a repository into `target`."""
        where = without_secrets(url)
        if not url.startswith("git+"):
            path = local_path(url.partition("#")[0]) / fragment(url).get("subdirectory", "")
            return self._sources.wheel(path, target, where)
        with tempfile.TemporaryDirectory(prefix="dpip-git-") as room:
            tree, _ = self._checked_out(url, Path(room) / "tree")
            return self._sources.wheel(tree, target, where)


def _check(path: Path, hashes: Mapping[str, str], where: str) -> None:
    """Raise HashMismatch unless a file has all of these hashes."""
    for name, expected in hashes.items():
        with path.open("rb") as file:
            found = file_digest(file, name).hexdigest()
        if found != expected.lower():
            raise HashMismatch(f"{where}: {name} is {found}, not {expected}")


def fragment(url: str) -> dict[str, str]:
    """Return the parts of a URL's fragment: `sha256=…`, `subdirectory=…`, `egg=…`."""
    return dict(parse_qsl(urlsplit(url).fragment))


def split_revision(url: str) -> tuple[str, str]:
    """Return (repository URL without `git+`, revision or "HEAD") of a git requirement."""
    bare = url.partition("#")[0].removeprefix("git+")
    parts = urlsplit(bare)
    path, at, revision = parts.path.rpartition("@")
    if not at:
        return bare, "HEAD"
    return parts._replace(path=path).geturl(), revision


def check_out(repository: str, revision: str, tree: Path) -> str:
    """Put one revision of a repository into `tree` and return its commit.

    A single commit is asked for first; servers that refuse that are cloned.
    """
    _git("init", "--quiet", str(tree))
    if revision.startswith("-"):
        raise BuildFailed(f"{revision!r} is no revision")
    try:
        _git("fetch", "--quiet", "--depth", "1", "--", repository, revision, cwd=tree)
    except BuildFailed:
        _git("fetch", "--quiet", "--tags", "--", repository, "+refs/*:refs/dpip/*", cwd=tree)
        named = _resolve(revision, tree)
        _git("checkout", "--quiet", "--detach", named, cwd=tree)
    else:
        _git("checkout", "--quiet", "--detach", "FETCH_HEAD", cwd=tree)
    _git("submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1", cwd=tree)
    return _git("rev-parse", "HEAD", cwd=tree).strip()


def _resolve(revision: str, tree: Path) -> str:
    for name in (f"refs/dpip/heads/{revision}", f"refs/dpip/tags/{revision}", revision):
        try:
            return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", cwd=tree).strip()
        except BuildFailed:
            continue
    raise BuildFailed(f"git has no revision {revision!r}")


def _git(*arguments: str, cwd: Path | None = None) -> str:
    import os

    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise BuildFailed("git is not installed") from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["failed"])[-1]
        raise BuildFailed(f"git {arguments[0]}: {without_secrets(said)}")
    return done.stdout
