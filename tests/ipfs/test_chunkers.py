from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.ipfs import rolling
from dpip.ipfs.chunkers import Chunker, Fixed, Splitter, chunker
from dpip.ipfs.errors import InvalidArgument


def noise(size: int, seed: bytes = b"") -> bytes:
    return hashlib.shake_128(seed).digest(size)


def cuts(chosen: Chunker, data: bytes, step: int) -> list[int]:
    splitter = Splitter(chosen)
    chunks = []
    for at in range(0, len(data), step):
        chunks += [bytes(chunk) for chunk in splitter.push(data[at : at + step])]
    chunks += [bytes(chunk) for chunk in splitter.finish()]
    assert b"".join(chunks) == data
    return [len(chunk) for chunk in chunks]


@pytest.mark.parametrize(
    "text", ["size-1000", "rabin-16-64-128", "fastcdc-1024", "buzhash", "rabin"]
)
def test_read_sizes_do_not_move_cuts(text: str) -> None:
    data = noise(700_000)
    chosen = chunker(text)
    expected = cuts(chosen, data, len(data))
    assert all(size <= chosen.max_size for size in expected)
    for step in (997, 65536, 262144):
        assert cuts(chosen, data, step) == expected


@pytest.mark.parametrize("text", ["rabin-64-128-256", "fastcdc-1024"])
def test_a_change_moves_only_the_cuts_near_it(text: str) -> None:
    data = noise(100_000)
    before = set(chunks_of(text, data))
    after = set(chunks_of(text, data[:50_000] + b"inserted" + data[50_000:]))
    assert len(after - before) < 0.1 * len(after)


def chunks_of(text: str, data: bytes) -> list[bytes]:
    chunks, at = [], 0
    for size in cuts(chunker(text), data, len(data)):
        chunks.append(data[at : at + size])
        at += size
    return chunks


@given(st.binary(max_size=3000), st.integers(16, 64), st.integers(1, 64), st.integers(1, 400))
def test_rabin_in_c_cuts_as_in_python(data: bytes, low: int, more: int, most: int) -> None:
    native = pytest.importorskip("dpip.ipfs._rolling")
    mask = (1 << (low + more).bit_length() - 1) - 1
    for start in (0, len(data) // 3, len(data)):
        args = (data, start, low, low + more + most, mask)
        assert native.rabin(*args) == rolling.rabin(*args)


@pytest.mark.parametrize("size", [0, 1, 131_071, 131_072, 131_073, 400_000, 600_000])
@pytest.mark.parametrize("seed", [b"a", b"b", b"zero"])
def test_buzhash_in_c_cuts_as_in_python(size: int, seed: bytes) -> None:
    native = pytest.importorskip("dpip.ipfs._rolling")
    data = bytes(size) if seed == b"zero" else noise(size, seed)
    assert native.buzhash(data, 0) == rolling.buzhash(data, 0)


@given(st.binary(max_size=100))
def test_murmur3_in_c_is_as_in_python(data: bytes) -> None:
    assert pytest.importorskip("dpip.ipfs._rolling").murmur3(data) == rolling.murmur3(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"hello", 0xCBD8A7B341BD9B02), (b"hello, world", 0x342FAC623A5EBC8E)],
)
def test_murmur3_known_values(data: bytes, expected: int) -> None:
    assert rolling.murmur3(data) == expected


def test_buzhash_table_is_whole() -> None:
    words = "".join(f"{word:#x}\n" for word in rolling.BUZ_WORDS)
    assert hashlib.sha256(words.encode()).hexdigest().startswith("f5d321e793044ae0")


@pytest.mark.parametrize(
    "text",
    [
        *("", "size", "size-0", "size-2096897", "size--1", "size-1e3", "size-\u0663", "gear"),
        *("rabin-15-20-30", "rabin-20-20-30", "rabin-1-2", "rabin-16-64-9999999"),
        *("buzhash-1", "fastcdc-1"),
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument):
        chunker(text)


def test_takes_labels_as_kubo_does() -> None:
    assert chunker("rabin-min:16-avg:64-max:128") == chunker("rabin-16-64-128")
    assert chunker("size-2096896") == Fixed(2096896)


def test_without_the_extension_everything_works() -> None:
    code = (
        "import sys; sys.modules['dpip.ipfs._rolling'] = None\n"
        "from dpip.ipfs import chunkers, hamt, rolling\n"
        "assert chunkers.rolling is rolling and hamt.key('hello') == rolling.murmur3(b'hello')\n"
        "splitter = chunkers.Splitter(chunkers.chunker('rabin-16-64-128'))\n"
        "print([len(c) for c in [*splitter.push(bytes(range(256)) * 4), *splitter.finish()]])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(cuts(chunker("rabin-16-64-128"), bytes(range(256)) * 4, 99))
