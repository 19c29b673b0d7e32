"""Whole files by HTTP or from disk: streamed, hashed on the way, resumed, kept by hash.

A file is written to `<target>.part` and renamed when its hash is right, so a file under its
own name is always whole. A transfer that broke off is continued with a range; if the server
sends something else than the rest, it starts over. Wrong bytes are deleted, not kept. Several
processes may want one file at the same time: one fetches it, the others wait and find it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dpip.resolve.errors import HashMismatch, HttpFailure, NotOffline, Unreachable
from dpip.resolve.find_links import local_path
from dpip.resolve.transport import CHUNK, Request, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import IO

    from dpip.resolve.facts import CandidateFile
    from dpip.resolve.transport import Response, Transport

ATTEMPTS = 4
"""Times that a transfer which breaks off is taken up again."""


class Downloads:
    """Fetches whole files; `directory` keeps them as `<sha256>/<filename>` between runs."""

    def __init__(self, directory: Path, transport: Transport, *, offline: bool = False) -> None:
        self._directory = directory
        self._transport = transport
        self._offline = offline

    def kept(self, digest: str | None, filename: str) -> Path | None:
        """Return the file if it is here whole."""
        if digest is None:
            return None
        path = self._directory / digest / filename
        return path if path.is_file() else None

    def path(self, digest: str, filename: str) -> Path:
        """Return where the file with that hash lies, or will."""
        return self._directory / digest / filename

    def adopt(self, arrived: Path, filename: str) -> tuple[Path, str]:
        """Take a whole file that came another way; return its place and hash."""
        digest = hash_of(arrived)
        target = self.path(digest, filename)
        target.parent.mkdir(parents=True, exist_ok=True)
        arrived.replace(target)
        return target, digest

    def place(
        self, file: CandidateFile, target: Path, progress: Callable[[int], Any] = lambda _: None
    ) -> None:
        """Put a file with a known hash at `target`, from what is kept if it is there."""
        digest = file.sha256
        if digest is not None and target.is_file() and hash_of(target) == digest:
            progress(target.stat().st_size)
            return
        kept = self.kept(digest, file.filename)
        if kept is not None or file.url.startswith("file:") or self._offline:
            source, _ = self.get(file.url, file.filename, digest)
            part = target.with_name(target.name + ".part")
            shutil.copyfile(source, part)
            part.replace(target)
            progress(target.stat().st_size)
            return
        fetch(self._transport, file.url.partition("#")[0], target, digest, progress)

    def get(self, url: str, filename: str, digest: str | None) -> tuple[Path, str]:
        """Return (path, sha256) of a file, fetching it if it is not here.

        Raises HashMismatch, HttpFailure, Unreachable, or NotOffline.
        """
        if url.startswith("file:"):
            return self._local(url, digest)
        kept = self.kept(digest, filename)
        if kept is not None and digest is not None:
            return kept, digest
        if self._offline:
            raise NotOffline(f"{filename} is not stored, and --offline forbids to fetch it")
        if digest is not None:
            target = self.path(digest, filename)
            fetch(self._transport, url, target, digest)
            return target, digest
        part = self._directory / f"{os.urandom(8).hex()}.part"
        fetch(self._transport, url, part, None)
        return self.adopt(part, filename)

    def _local(self, url: str, digest: str | None) -> tuple[Path, str]:
        path = local_path(url)
        if not path.is_file():
            raise Unreachable(f"{path}: no such file", permanent=True)
        found = hash_of(path)
        if digest is not None and found != digest:
            raise HashMismatch(f"{path}: sha256 is {found}, not {digest}")
        return path, found


def fetch(
    transport: Transport,
    url: str,
    target: Path,
    digest: str | None,
    progress: Callable[[int], Any] = lambda _: None,
) -> None:
    """Fetch `url` to `target`; `progress` is told of each number of bytes.

    Raises HashMismatch if the whole file has another sha256 than `digest`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _alone(part):
        if digest is not None and target.is_file() and hash_of(target) == digest:
            discard(part)
            progress(target.stat().st_size)
            return
        resumed = part.exists() and part.stat().st_size > 0
        found = _transferred(transport, url, part, progress)
        if digest is not None and found != digest and resumed:
            # What was left here may have been of another file.
            discard(part)
            found = _transferred(transport, url, part, progress)
        if digest is not None and found != digest:
            discard(part)
            raise HashMismatch(f"{without_secrets(url)}: sha256 is {found}, not {digest}")
        part.replace(target)


def _transferred(transport: Transport, url: str, part: Path, progress: Callable[[int], Any]) -> str:
    """Bring `part` to the end of the file, over breaks, and return its SHA-256."""
    for attempt in range(ATTEMPTS):
        try:
            _continue(transport, url, part, progress)
            break
        except Unreachable as error:
            if error.permanent or attempt == ATTEMPTS - 1:
                raise
    return hash_of(part)


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep other processes and threads from the same part; leave no empty one behind."""
    held = _locked(part)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if part.stat().st_size == 0:
                part.unlink()
        if held is not None:
            held.close()


def _locked(part: Path) -> IO[bytes] | None:
    """Return the part, open and locked; None where the system has no such locks."""
    try:
        import fcntl
    except ImportError:
        return None
    while True:
        held = part.open("ab")
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(held.fileno()), part.stat()):
                return held
        except FileNotFoundError:
            pass
        except OSError:
            held.close()
            return None
        # Whoever held it has finished, and the name is another file's by now, or nobody's.
        held.close()


def _continue(transport: Transport, url: str, part: Path, progress: Callable[[int], Any]) -> None:
    """Bring `part` to the end of the file, from where it stands."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with transport.send(Request(url, headers)) as response:
        if response.status == 416 and have:
            # Nothing is left to send, or the part is of another file: the hash will tell.
            return
        if response.status not in {200, 206}:
            raise HttpFailure(without_secrets(response.url), response.status)
        resumed = have > 0 and _resumes(response, have)
        progress(have if resumed else 0)
        with part.open("ab" if resumed else "wb") as out:
            for chunk in response.chunks():
                out.write(chunk)
                progress(len(chunk))


def _resumes(response: Response, have: int) -> bool:
    stands = response.headers.get("content-range", "").lower().replace("=", " ")
    return response.status == 206 and stands.startswith(f"bytes {have}-")


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    found = sha256()
    with path.open("rb") as file:
        while chunk := file.read(4 * CHUNK):
            found.update(chunk)
    return found.hexdigest()


def discard(path: Path) -> None:
    """Delete a file if it is there."""
    with contextlib.suppress(OSError):
        path.unlink()
