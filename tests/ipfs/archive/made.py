"""Small archives made on the spot, as the tools of Python packaging make them."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping

from dpip.ipfs.archive.importer import Imported, take_apart
from dpip.ipfs.archive.rebuild import rebuild
from dpip.ipfs.blockstore import MemoryBlockstore

Files = Mapping[str, bytes]


def text(seed: int, size: int = 20_000) -> bytes:
    """Return compressible bytes that differ by seed."""
    words = [hashlib.sha256(b"%d/%d" % (seed, n)).hexdigest()[:7] for n in range(40)]
    out, state = bytearray(), seed + 1
    while len(out) < size:
        state = (state * 1103515245 + 12345) % 2**31
        out += " ".join(words[(state >> shift) % 40] for shift in (3, 7, 11, 15)).encode() + b"\n"
    return bytes(out[:size])


PACKAGE: Files = {
    "demo/__init__.py": b'__version__ = "1.0"\n',
    "demo/data/table.txt": text(1),
    "demo/data/empty": b"",
    "demo/big.txt": text(2, 300_000),
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\n",
    "demo-1.0.dist-info/RECORD": text(3, 500),
}


def wheel(
    files: Files = PACKAGE,
    *,
    level: int = 6,
    year: int = 2025,
    change: Callable[[zipfile.ZipInfo], None] = lambda info: None,
) -> bytes:
    """Return a zip of `files`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (year, 6, 1, 12, 30, 2))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            change(info)
            archive.writestr(info, data, compresslevel=level)
    return out.getvalue()


def sdist(
    files: Files = PACKAGE, *, level: int = 9, mtime: float = 1_750_000_000.25, form: int = 2
) -> bytes:
    """Return a tar.gz of `files` under one directory; `form` is tarfile's (2: pax)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        top = tarfile.TarInfo("demo-1.0")
        top.type, top.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(top)
        for name, data in files.items():
            info = tarfile.TarInfo(f"demo-1.0/{name}")
            info.size, info.mtime, info.uname = len(data), mtime, "builder"
            archive.addfile(info, io.BytesIO(data))
    packed = io.BytesIO()
    with gzip.GzipFile("demo-1.0.tar", "wb", level, packed, mtime=1_750_000_000) as wrapped:
        wrapped.write(out.getvalue())
    return packed.getvalue()


def import_into(store: MemoryBlockstore, archive: bytes) -> Imported:
    """Take an archive apart into `store`."""
    return take_apart(memoryview(archive), lambda block: store.put([block]))


def rebuilt(store: MemoryBlockstore, imported: Imported) -> bytes:
    """Return the archive made again from `store`."""
    out = io.BytesIO()
    rebuild(store.get, imported.cid, out.write)
    return out.getvalue()


def round_trip(archive: bytes) -> tuple[MemoryBlockstore, Imported]:
    """Take an archive apart and assert that it comes back bit for bit."""
    store = MemoryBlockstore()
    imported = import_into(store, archive)
    assert rebuilt(store, imported) == archive
    return store, imported
