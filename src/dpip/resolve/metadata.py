"""Where the metadata of a listed file comes from, cheapest way first.

    facts store → metadata file beside the wheel (PEP 658, 714) → ranges of the wheel (see
    `remote_zip.py`) → the whole wheel, kept as the download that it is → for source archives
    `sdist.py`

No way's failure is fatal while another is left. A host that advertises metadata files and
mostly fails to send them, or sends others than the page's hash says, is not asked for them
again for an hour.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
import zipfile
import zlib
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dpip.resolve import core_metadata, held, records
from dpip.resolve.errors import (
    BadAnswer,
    BadMetadata,
    BuildFailed,
    HashMismatch,
    HttpFailure,
    NotOffline,
    Unreachable,
)
from dpip.resolve.facts import Unavailable
from dpip.resolve.names import file_version, normalize, wheel_name
from dpip.resolve.remote_zip import RemoteFile, RemoteZip, Way
from dpip.resolve.transport import Request, origin, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.resolve.downloads import Downloads
    from dpip.resolve.facts import CandidateFile, Dependencies
    from dpip.resolve.sdist import Builder
    from dpip.resolve.store import Store
    from dpip.resolve.transport import Transport

DAY = 86400.0
HOUR = 3600.0


class HostMemory:
    """Range habits of hosts, in the facts store: a RangeMemory that outlives the run."""

    def __init__(self, store: Store, now: float) -> None:
        self._store = store
        self._now = now
        self._ways: dict[str, Way] = {}

    def way(self, host: str) -> Way:
        """Return the way to start with."""
        if host not in self._ways:
            self._ways[host] = Way(self._store.host(host, "range", self._now) or 0)
        return self._ways[host]

    def learned(self, host: str, way: Way) -> None:
        """Note that nothing above `way` works, for a day."""
        if way > self.way(host):
            self._ways[host] = way
            self._store.put_host(host, "range", int(way), self._now + DAY)


class SidecarTrust:
    """Which hosts keep their word on metadata files; in the facts store for an hour."""

    def __init__(self, store: Store, now: float) -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._balance: dict[str, int] = {}
        """Files sent minus files missed, by host; below zero: not asked any more."""

    def trusted(self, host: str) -> bool:
        """Say whether it is worth asking."""
        with self._lock:
            return self._of(host) >= 0

    def sent(self, host: str) -> None:
        """Note a file that came and was right."""
        self._add(host, 1)

    def missed(self, host: str) -> None:
        """Note a file that was advertised and is not there."""
        self._add(host, -1)

    def lied(self, host: str) -> None:
        """Note a file that is not what the page says."""
        self._add(host, -1_000_000)

    def _of(self, host: str) -> int:
        if host not in self._balance:
            known = self._store.host(host, "no-metadata", self._now)
            self._balance[host] = -1_000_000 if known else 0
        return self._balance[host]

    def _add(self, host: str, change: int) -> None:
        with self._lock:
            before = self._of(host)
            self._balance[host] = after = before + change
        if (before < 0) != (after < 0):
            self._store.put_host(host, "no-metadata", int(after < 0), self._now + HOUR)


class Metadata:
    """Dependency records of listed files; thread-safe."""

    def __init__(
        self,
        transport: Transport,
        store: Store,
        downloads: Downloads,
        builder: Callable[[], Builder],
        *,
        now: float | None = None,
        offline: bool = False,
    ) -> None:
        self._transport = transport
        self._store = store
        self._downloads = downloads
        self._builder = builder
        self._now = time.time() if now is None else now
        self._offline = offline
        self._memory = HostMemory(store, self._now)
        self._sidecars = SidecarTrust(store, self._now)

    def at_hand(self, file: CandidateFile) -> Dependencies | None:
        """Return what the store says, without asking anybody."""
        return held.at_hand(self._store, file)

    def read(self, file: CandidateFile) -> Dependencies | Unavailable:
        """Return the record of a file, by whichever way works."""
        known = self.at_hand(file)
        if known is not None:
            return known
        if not is_readable(file.url):
            return Unavailable("broken", f"{file.filename}: what is given for its URL is none")
        try:
            found = self._sdist(file) if file.kind == "sdist" else self._wheel(file)
        except NotOffline as error:
            return Unavailable("offline", error.message)
        except BuildFailed as error:
            return Unavailable("build-failed", error.message)
        except (BadMetadata, BadAnswer, HashMismatch, HttpFailure) as error:
            return Unavailable("broken", error.message)
        held.keep(self._store, file, found)
        return found

    def _sdist(self, file: CandidateFile) -> Dependencies:
        path, _ = self._downloads.get(file.url, file.filename, file.sha256)
        return checked(self._builder().metadata(path, file.filename), file)

    def _wheel(self, file: CandidateFile) -> Dependencies:
        kept = self._downloads.kept(file.sha256, file.filename)
        if kept is not None or file.url.startswith("file:"):
            path = kept or self._downloads.get(file.url, file.filename, file.sha256)[0]
            return checked(wheel_metadata(path, file.filename), file)
        if self._offline:
            raise NotOffline(f"the metadata of {file.filename} is not stored")
        text = self._sidecar(file)
        if text is not None:
            try:
                return checked(text, file)
            except BadMetadata:
                self._sidecars.lied(_host(file.url))
        return checked(self._by_ranges(file), file)

    # -- the metadata file beside the wheel

    def _sidecar(self, file: CandidateFile) -> bytes | None:
        """Return the advertised metadata file, or None where the wheel itself must be read."""
        host = _host(file.url)
        if file.metadata_sha256 is None or not self._sidecars.trusted(host):
            return None
        url = file.url.partition("#")[0] + ".metadata"
        try:
            with self._transport.send(Request(url, {"Accept-Encoding": "gzip"})) as response:
                if response.status != 200:
                    self._sidecars.missed(host)
                    return None
                text = response.read(core_metadata.MAX_SIZE)
        except (BadAnswer, Unreachable):
            return None
        if file.metadata_sha256 not in {"", sha256(text).hexdigest()}:
            self._sidecars.lied(host)
            return None
        self._sidecars.sent(host)
        return text

    # -- the wheel itself

    def _by_ranges(self, file: CandidateFile) -> bytes:
        """Read METADATA where the wheel lies; a wheel that came whole is kept."""
        with ExitStack() as room:
            arrived: Path | None = None

            def spool() -> IO[bytes]:
                # Rarely needed; and a directory that is made is one that a kill leaves behind.
                nonlocal arrived
                made = tempfile.TemporaryDirectory(prefix="dpip-wheel-")
                arrived = Path(room.enter_context(made)) / "wheel"
                return arrived.open("w+b")

            remote = RemoteFile(
                file.url.partition("#")[0],
                self._transport,
                size=file.size,
                memory=self._memory,
                spool=spool,
            )
            try:
                with RemoteZip(remote) as archive:
                    text = archive.read(metadata_member(archive, file.filename))
            except ZIP_ERRORS as error:
                raise BadMetadata(f"{file.filename}: {error}") from None
            finally:
                remote.close()
            if arrived is not None:
                self._take(arrived, file)
        return text

    def _take(self, arrived: Path, file: CandidateFile) -> None:
        path, digest = self._downloads.adopt(arrived, file.filename)
        if file.sha256 not in {None, digest}:
            shutil.rmtree(path.parent, ignore_errors=True)
            raise HashMismatch(
                f"{without_secrets(file.url)}: sha256 is {digest}, not {file.sha256}"
            )


ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)


def checked(text: bytes, file: CandidateFile) -> Dependencies:
    """Return the record in METADATA text; raises BadMetadata if it is of something else."""
    found = core_metadata.parse(text, file.filename)
    wheel = wheel_name(file.filename)
    name = wheel.name if wheel else normalize(found.name)
    claimed = file_version(file.filename, name)
    if claimed is None:
        raise BadMetadata(f"{file.filename}: its metadata is of {found.name!r}")
    core_metadata.check_identity(found, name, str(claimed), file.filename)
    return records.from_metadata(found, file.filename)


def wheel_metadata(path: Path, filename: str) -> bytes:
    """Return METADATA of a wheel on disk; raises BadMetadata."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(metadata_member(archive, filename))
    except (*ZIP_ERRORS, OSError) as error:
        raise BadMetadata(f"{filename}: {error}") from None


def metadata_member(archive: zipfile.ZipFile, filename: str) -> zipfile.ZipInfo:
    """Return the entry of the wheel's own METADATA; raises BadMetadata.

    The directory is found by the project's name (its version may be written otherwise).
    """
    wheel = wheel_name(filename)
    found = [
        info
        for info in archive.infolist()
        if info.filename.endswith(".dist-info/METADATA")
        and info.filename.count("/") == 1
        and (wheel is None or normalize(info.filename.partition("-")[0]) == wheel.name)
    ]
    if len(found) != 1:
        raise BadMetadata(f"{filename}: {len(found)} METADATA files inside, not one")
    if found[0].file_size > core_metadata.MAX_SIZE:
        raise BadMetadata(f"{filename}: METADATA of {found[0].file_size:,} bytes is not read")
    return found[0]


def is_readable(url: str) -> bool:
    """Say whether a URL is one that files are read from."""
    if url.startswith("file:"):
        return True
    try:
        scheme, host, _ = origin(url)
    except ValueError:
        return False
    return scheme in {"http", "https"} and bool(host)


def _host(url: str) -> str:
    return ":".join(map(str, origin(url)[1:]))
