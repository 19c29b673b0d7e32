from __future__ import annotations

import gzip
import shutil
import subprocess
import zlib
from collections.abc import Iterator

import pytest
from tests import peers
from tests.ipfs.archive import made

from dpip.ipfs.archive import encoders
from dpip.ipfs.archive.match import Search, reproduces

TEXT = memoryview(made.text(1, 400_000))


@pytest.mark.parametrize("encoder", encoders.ALL.values(), ids=lambda one: one.name)
def test_every_encoder_writes_deflate_and_the_same_twice(encoder: encoders.Encoder) -> None:
    stream = b"".join(encoder.encode(TEXT))
    if not stream:
        peers.absent("gnu-gzip", "install GNU gzip")
    assert zlib.decompress(stream, -15) == TEXT
    assert reproduces(encoder, TEXT, memoryview(stream))
    assert not reproduces(encoder, TEXT, memoryview(stream + b"x"))
    assert not reproduces(encoder, TEXT, memoryview(stream[:-1]))


@pytest.mark.parametrize("level", range(1, 10))
def test_the_search_finds_what_zlib_wrote(level: int) -> None:
    deflater = zlib.compressobj(level, zlib.DEFLATED, -15)
    stream = memoryview(deflater.compress(TEXT) + deflater.flush())
    found = Search().find(TEXT, stream, "zip")
    assert found is not None
    assert reproduces(found, TEXT, stream)


def test_the_search_finds_what_gnu_gzip_wrote() -> None:
    if encoders._gnu_gzip() is None:
        peers.absent("gnu-gzip", "install GNU gzip")
    program = shutil.which("gzip")
    assert program is not None
    packed = subprocess.run(
        [program, "-6", "-n"], input=TEXT, capture_output=True, check=True
    ).stdout
    search = Search()
    found = search.find(TEXT, memoryview(packed[10:-8]), "gzip")
    assert found == encoders.GnuGzip(6)
    assert search.hopeful(TEXT, memoryview(packed[10:-8]), "gzip")
    assert packed != gzip.compress(TEXT, 6, mtime=0), "zlib's blocks would end elsewhere"


def test_what_matched_last_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    encode = encoders.Zlib.encode

    def watched(self: encoders.Zlib, content: memoryview) -> Iterator[bytes]:
        tried.append(self.name)
        return encode(self, content)

    monkeypatch.setattr(encoders.Zlib, "encode", watched)
    search = Search()
    stream = memoryview(b"".join(encode(encoders.Zlib(3), TEXT)))
    search.find(TEXT, stream, "zip")
    tried.clear()
    search.find(TEXT, stream, "zip")
    assert tried == ["zlib:3"]


def test_probes_tell_encoders_apart() -> None:
    probes = {encoders.probe(f"zlib:{level}") for level in range(1, 10)}
    assert len(probes) == 9
    assert encoders.probe("no such encoder") == b""
