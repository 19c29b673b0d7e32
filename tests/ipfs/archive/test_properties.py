"""Any bytes in: the same bytes out, or a clear refusal; never anything else."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ipfs.archive import made

from dpip.ipfs.archive import plan, spool
from dpip.ipfs.archive.importer import take_apart
from dpip.ipfs.archive.rebuild import rebuild
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.errors import InvalidArchive, IpfsError

PARTS = st.text(
    st.characters(exclude_characters="/\\\0", codec="utf-8"), min_size=1, max_size=12
).filter(lambda part: part not in {".", ".."})
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
TEXTS = st.builds(lambda data, times: data * times, st.binary(max_size=400), st.integers(1, 300))
CONTENTS = st.one_of(TEXTS, TEXTS.map(lambda data: gzip.compress(data, mtime=1)))
FILES = st.dictionaries(NAMES, CONTENTS, max_size=6).filter(
    lambda files: not any(other.startswith(name + "/") for name in files for other in files)
)
TIMES = st.tuples(st.integers(1980, 2107), st.integers(1, 12), st.integers(1, 28))


def outcome(archive: bytes) -> bytes | None:
    """Return what comes back of an archive, or None if it is refused."""
    store = MemoryBlockstore()
    try:
        imported = made.import_into(store, archive)
    except InvalidArchive:
        return None
    return made.rebuilt(store, imported)


@settings(max_examples=30, deadline=None)
@given(
    files=FILES,
    level=st.integers(0, 9),
    stored=st.booleans(),
    day=TIMES,
    note=st.binary(max_size=20),
)
def test_any_zip_comes_back(
    files: dict[str, bytes], level: int, stored: bool, day: tuple[int, int, int], note: bytes
) -> None:
    out = io.BytesIO()
    kind = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(out, "w", kind, compresslevel=level) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (*day, 1, 2, 4))
            info.compress_type = kind
            archive.writestr(info, data, compresslevel=level)
        archive.comment = note
    if files:
        assert outcome(out.getvalue()) == out.getvalue()


@settings(max_examples=30, deadline=None)
@given(
    files=FILES,
    level=st.integers(1, 9),
    form=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    times=st.lists(st.floats(0, 2**33 - 1), min_size=6, max_size=6),
    owner=st.integers(0, 2**21),
)
def test_any_tar_comes_back(
    files: dict[str, bytes], level: int, form: int, times: list[float], owner: int
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for (name, data), when in zip(files.items(), times, strict=False):
            info = tarfile.TarInfo(name)
            info.size, info.uid = len(data), owner
            info.mtime = when if form == tarfile.PAX_FORMAT else int(when)
            archive.addfile(info, io.BytesIO(data))
    packed = gzip.compress(out.getvalue(), level, mtime=5)
    if files:
        assert outcome(packed) == packed


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_comes_back_or_is_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["zip", "tar.gz"]))
    archive = bytearray(SMALL[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(archive) - 1))
        how = data.draw(st.sampled_from(["change", "cut", "insert", "remove"]))
        if how == "change":
            archive[at] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del archive[max(at, 1) :]
        elif how == "insert":
            archive[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        elif len(archive) > 20:
            del archive[at : at + 4]
    back = outcome(bytes(archive))
    assert back is None or back == bytes(archive)


SMALL = {
    "zip": made.wheel({"a/one.txt": made.text(1, 300), "a/two.gz": gzip.compress(b"two" * 50)}),
    "tar.gz": made.sdist({"a/one.txt": made.text(1, 300), "a/b.txt": b"b"}),
}


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_damaged_recipe_never_gives_wrong_bytes(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["zip", "tar.gz"]))
    store = MemoryBlockstore()
    imported = made.import_into(store, SMALL[kind])
    hashes = sorted(store.multihashes())
    victim = data.draw(st.sampled_from(hashes))
    spoilt = bytearray(store.get(CID(victim)))
    if spoilt:
        at = data.draw(st.integers(0, len(spoilt) - 1))
        spoilt[at] ^= data.draw(st.integers(1, 255))
    else:
        spoilt = bytearray(b"x")
    store.put([Block(CID(victim), bytes(spoilt))])
    out = io.BytesIO()
    try:
        rebuild(store.get, imported.cid, out.write)
    except IpfsError:
        return
    assert out.getvalue() == SMALL[kind]


@given(
    head=st.binary(max_size=300)
    | st.builds(lambda n, b: b + bytes(n) + b, st.integers(0, 900), st.binary()),
    encoder=st.integers(0, 300),
    inner=st.integers(0, 3),
    flags=st.integers(0, 15),
)
def test_rows_come_back(head: bytes, encoder: int, inner: int, flags: int) -> None:
    header = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" if inner else b""
    rows = [plan.Row(head, encoder, inner, header, flags)] * 2
    assert list(plan.decode(b"".join(map(plan.encode, rows)))) == rows


@given(st.binary(max_size=200))
def test_any_plan_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidArchive):
        list(plan.decode(data))


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(0, 300))
def test_a_spool_gives_what_it_took(pieces: list[bytes], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spool, "IN_MEMORY", limit)
        assert bytes(spool.gather(pieces)) == b"".join(pieces)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b""]))
def test_any_bytes_are_refused_or_come_back(data: bytes, start: bytes) -> None:
    archive = start + data
    try:
        take_apart(memoryview(archive), lambda block: None)
    except InvalidArchive:
        return
    assert outcome(archive) == archive
