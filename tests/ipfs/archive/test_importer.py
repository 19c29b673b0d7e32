from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
import zlib

import pytest
from tests.ipfs.archive import made

from dpip.ipfs.archive import content, recipe
from dpip.ipfs.archive.importer import take_apart
from dpip.ipfs.archive.rebuild import read_about, rebuild
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.errors import HashMismatch, InvalidArchive, NotFound, Unavailable


def members(store: MemoryBlockstore, cid: CID) -> dict[str, bytes]:
    found = content.walk(store.get, cid)
    return {path: b"".join(content.read(store.get, one)) for path, one in found}


def tree(store: MemoryBlockstore, cid: CID) -> dict[str, bytes]:
    everything = members(store, cid)
    prefix = recipe.MEMBERS + "/"
    return {path.removeprefix(prefix): data for path, data in everything.items() if "/" in path}


@pytest.mark.parametrize("level", range(1, 10))
def test_wheels_of_every_level_come_back(level: int) -> None:
    _, imported = made.round_trip(made.wheel(level=level))
    assert imported.kept == 0


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("level", [1, 6, 9])
def test_sdists_of_every_form_come_back(form: int, level: int) -> None:
    long = {**made.PACKAGE, "deep/" * 25 + "long-name.txt": b"long", "ünïcode.txt": b"u"}
    mtime = 1_750_000_000 if form != tarfile.PAX_FORMAT else 1_750_000_000.123456
    made.round_trip(made.sdist(long, form=form, level=level, mtime=mtime))


def test_members_are_an_ordinary_directory() -> None:
    store, imported = made.round_trip(made.wheel())
    assert tree(store, imported.cid) == made.PACKAGE


def test_wheel_and_sdist_share_contents() -> None:
    store = MemoryBlockstore()
    made.import_into(store, made.wheel())
    before = sum(map(len, (store.get(CID(mh)) for mh in store.multihashes())))
    made.import_into(store, made.sdist())
    after = sum(map(len, (store.get(CID(mh)) for mh in store.multihashes())))
    assert after - before < 3000


def test_the_next_release_adds_little_even_if_every_time_changes() -> None:
    files = {f"demo/p{n % 20}/module_{n}.py": made.text(n, 3000) for n in range(400)}
    store = MemoryBlockstore()
    first = made.wheel(files, year=2024)
    made.import_into(store, first)
    before = set(store.multihashes())
    second = made.wheel({**files, "demo/p7/module_7.py": b"changed\n"}, year=2025)
    imported = made.import_into(store, second)
    assert made.rebuilt(store, imported) == second
    added = sum(store.size(CID(mh)) for mh in set(store.multihashes()) - before)
    assert added < len(second) * 0.06


def test_gzip_members_are_opened() -> None:
    inner = gzip.compress(made.text(5), 6, mtime=77)
    store, imported = made.round_trip(made.wheel({"data/model.json.gz": inner}))
    assert tree(store, imported.cid) == {"data/model.json.gz!gunzip": made.text(5)}


def test_gzip_that_is_not_one_member_is_kept_closed() -> None:
    double = gzip.compress(b"one") + gzip.compress(b"two")
    odd = {"two.gz": double, "cut.gz": gzip.compress(made.text(1))[:-3], "not.gz": b"\x1f\x8b\x08"}
    store, imported = made.round_trip(made.wheel(odd))
    assert tree(store, imported.cid) == odd


def test_a_stream_of_an_unknown_encoder_is_kept_raw() -> None:
    odd = _deflate_in_two_flushes(made.text(9))
    archive = _replace_stream(made.wheel({"a.txt": made.text(9)}), odd)
    store, imported = made.round_trip(archive)
    assert imported.kept == len(odd)
    assert tree(store, imported.cid) == {"a.txt!deflate": odd}


def test_a_tar_of_an_unknown_encoder_stays_whole() -> None:
    tar = gzip.decompress(made.sdist())
    odd = gzip.compress(b"", 9, mtime=0)[:10] + _deflate_in_two_flushes(tar)
    odd += gzip.compress(tar)[-8:]
    assert gzip.decompress(odd) == tar
    with pytest.raises(InvalidArchive, match="no encoder"):
        take_apart(memoryview(odd), lambda block: None)


def test_directories_stored_members_and_comments() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("pkg/", b"")
        archive.writestr("pkg/stored.txt", made.text(4))
        archive.writestr("pkg/empty", b"")
        archive.comment = b"a comment"
    made.round_trip(out.getvalue())


def test_streamed_zips_with_descriptors() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in made.PACKAGE.items():
            archive.writestr(name, data)
    made.round_trip(out.getvalue())


def test_rebuild_needs_every_block_and_says_which_is_missing() -> None:
    store, imported = made.round_trip(made.wheel())
    for multihash in list(store.multihashes()):
        data = store.get(CID(multihash))
        store.delete([CID(multihash)])
        with pytest.raises(NotFound):
            made.rebuilt(store, imported)
        store.put([Block(CID(multihash), data)])


def test_rebuild_refuses_an_encoder_that_writes_other_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dpip.ipfs.archive import encoders

    store, imported = made.round_trip(made.wheel(level=6))
    monkeypatch.setitem(encoders.ALL, "zlib:6", encoders.Zlib(1))
    with pytest.raises(HashMismatch):
        rebuild(store.get, imported.cid, lambda piece: None)
    monkeypatch.delitem(encoders.ALL, "zlib:6")
    with pytest.raises(Unavailable, match="zlib:6"):
        rebuild(store.get, imported.cid, lambda piece: None)


def test_about_tells_size_and_hash() -> None:
    archive = made.sdist()
    store, imported = made.round_trip(archive)
    about = read_about(store.get, imported.cid)
    assert (about.format, about.size, about.encoders) == ("tar.gz", len(archive), ("zlib:9",))


def test_import_is_the_same_every_time() -> None:
    archive = made.wheel({f"m{n}.py": made.text(n, 5000) for n in range(60)})
    assert len({made.round_trip(archive)[1].cid for _ in range(3)}) == 1


def test_proved_streams_are_not_compressed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from dpip.ipfs.archive.match import Search

    proved: dict[bytes, str] = {}
    archive = memoryview(made.wheel())
    first = take_apart(archive, lambda block: None, proved=proved)
    monkeypatch.setattr(Search, "find", lambda *args: pytest.fail("searched again"))
    assert take_apart(archive, lambda block: None, proved=proved) == first


def _deflate_in_two_flushes(data: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    half = len(data) // 2
    return (
        deflater.compress(data[:half])
        + deflater.flush(zlib.Z_FULL_FLUSH)
        + deflater.compress(data[half:])
        + deflater.flush()
    )


def _replace_stream(archive: bytes, stream: bytes) -> bytes:
    """Put another stream of the same content into a zip of one member."""
    from dpip.ipfs.archive import zips

    data = memoryview(archive)
    (member,) = zips.read(data).members
    head = zips.take_head(data, member)
    assert head is not None
    local, central = zips.fill_head(head, member.crc, len(stream), member.content_size, 0)
    end = zips.fill_end(zips.read(data).end, 1, len(central), len(local) + len(stream))
    return local + stream + central + end


def test_random_bytes_are_refused_or_come_back() -> None:
    noise = random.Random(1)
    for start in (b"", b"PK\x03\x04", b"\x1f\x8b\x08"):
        with pytest.raises(InvalidArchive):
            take_apart(memoryview(start + noise.randbytes(5000)), lambda block: None)
