"""The rolling hashes that put cuts where Kubo puts them, and murmur3 for sharded directories.

Rabin: the bytes of a window of 16 are a polynomial over GF(2), taken modulo an irreducible
one of degree 53; a byte enters by a shift and a table, and leaves by a table. Buzhash: a
32-bit word is rotated by one for each byte and a random word per byte value is mixed in; 32
rotations are none, so a byte leaves by the word that it came in with. Parameters and the
table of buzhash are those that Kubo uses (boxo's `chunker`): other numbers, other CIDs.

`_rolling` is the same in C; these functions are what runs where it could not be built, and
what it is tested against.
"""

from __future__ import annotations

import functools
import struct

WINDOW = 16
POLYNOMIAL = 0x3DF305DFB2A805
DEGREE = 53

BUZ_WINDOW = 32
BUZ_MIN = 128 * 1024
BUZ_MAX = 512 * 1024
BUZ_MASK = (1 << 17) - 1
BUZ_WORDS = struct.unpack(
    ">256I",
    bytes.fromhex(
        "6236e7d510279b0b72818182dc5265142fd41e3d777ef8c883ee52852c8f36372f049c1a57df97919207151f"
        "9b54481874eef6582028ca600271d91a27ae587eecf9fa5f236e71cdf43a8a2e0bb133809e57912c89a26cdb"
        "9fcf3d71a86da6f19c49f376346aecc7f094a9eeea99e9cbb01713c6088acffb2960a0fb344a626c7ff22a46"
        "6d7a1aa56a71491641d454ca8325b8300b65f563447feccaf9d0ea5ec1d9d3d4cb5ec57455aae90286edc0e7"
        "0d3a9e33e70dc1e1e3c5f6399b43140ac6490ac55e4030fb8e976dd5a87468eaf830ef6fcc1ed5a5611f4e78"
        "ddd11905f2613904566c67b9905a5ccc7b37b3a44b53898a6b8fd29daad81575511be4143cfac1e78029a179"
        "d40efeda07380e02dc9beffd2d04908299bc7831ff5002a821ce764601cd049b0f43994fc3c6c5a5bbda5f50"
        "0ec15ec79adb19b60c1e80b9b9b52968ae1624192542b40591a42e9d6be0f6686ed7a6b9bc2777b4e162ce56"
        "4266aad560fdb70466f832a59595f6cafee83ced55228d9912bf0e28668964590789afda0282baa82367a343"
        "591491b02ff1a4b1410739b69b7055a02e0eb22924fc82523327d3dfb07826691c62e0697f503101f50593ae"
        "d9eb275de00eb6785917ccde97b9660add06202ded229e22a9c735bfd6316fe66fc72e4c0206dfa2d6b15c5a"
        "69d87b4909c9774513445d6135a975aa859aa9b965380013d1fb6391c29255fd784a3b91b9e74c2663ce4d40"
        "c07cbe9ee6e4529e0fb3632f9438d9c9682f94a8f8fd4611257ec1ed475ce3d660ee2db12afab0022b9e4878"
        "86b340de1482fdcafe41b3bfd4a412b0e09db98cc1af5d537e55e25fd3346b38b7a12cbd9c6827ba71f78bee"
        "8c3a0f52150491b0f26de912233e3a4ed309ebbaa0a9e0ffca2b5921eeb9893c33829e889870cc2a23c4b9d0"
        "eba32ea3bdac4d223bc8c44c1e8d0397f9327735783b009f0eb837422621dc71ed017d035c760aa15a69814b"
        "96e3047fa93c9cde615c86f5b4322aa54225534d0d2e2de3ccfccc4b0bac2a57f0a06d04bc78d737f2d1f766"
        "f5a7953cbcdfda855213b7d5bce8a328d38f5f18db094244fe571253317fa7ee4a324f433ffc39d951b3fa8e"
        "7a4bee9f78bbc6829f5c035002fe286c245ab686ed6bf7d70ac4988a3fe010fac65fe369a45749cb2b84e537"
        "de9ff36320540f9aaa8c9b345bc476b31d574bd7929100ad4721de4d27df1b0558b18546b7e76764df904e58"
        "97af57a1bd4dc433a6256dfdf63998f3f1e05833e20acf26f57fd9d690300b4d89df429068d01cbccf893ee3"
        "cc42a046778e181b67265c76e981a4c482991da1708f7294e6e2ae62fc44187095e1b0b60445f8255a93b47f"
        "5e9cf4be84da71e79d9582b09bf835ef591f61e2433259855d2de32e8d8fbf0f95b30f3807ad5b6e4e934edf"
        "3cd4990e9053e2595c41857d"
    ),
)

_MASK32, _MASK64 = (1 << 32) - 1, (1 << 64) - 1


def rabin(data: bytes, start: int, smallest: int, largest: int, mask: int) -> int:
    """Return where the chunk that begins at `start` ends: where the bits of `mask` are zero."""
    out_table, mod_table = _tables()
    end = min(len(data), start + largest)
    at = start + smallest - WINDOW
    digest = 0
    for first in range(at, end):
        if first >= at + WINDOW:
            digest ^= out_table[data[first - WINDOW]]
        digest = ((digest << 8) & _MASK64 | data[first]) ^ mod_table[digest >> (DEGREE - 8)]
        if first + 1 - start >= smallest and digest & mask == 0:
            return first + 1
    return end


@functools.cache
def _tables() -> tuple[list[int], list[int]]:
    """Return what a byte leaves by (after 15 more have entered), and what its shift reduces by."""
    out_table = [_modulo(byte << 8 * (WINDOW - 1)) for byte in range(256)]
    mod_table = [_modulo(top << DEGREE) | top << DEGREE for top in range(256)]
    return out_table, mod_table


def _modulo(value: int) -> int:
    while value.bit_length() > DEGREE:
        value ^= POLYNOMIAL << (value.bit_length() - 1 - DEGREE)
    return value


def buzhash(data: bytes, start: int) -> int:
    """Return where the chunk that begins at `start` ends."""
    end = min(len(data), start + BUZ_MAX)
    at = start + BUZ_MIN
    if at >= end:
        return end
    state = 0
    for byte in data[at - BUZ_WINDOW : at]:
        state = _rotated(state) ^ BUZ_WORDS[byte]
    while at < end and state & BUZ_MASK:
        state = _rotated(state) ^ BUZ_WORDS[data[at - BUZ_WINDOW]] ^ BUZ_WORDS[data[at]]
        at += 1
    return at


def _rotated(state: int) -> int:
    return (state << 1 | state >> 31) & _MASK32


def murmur3(data: bytes) -> int:
    """Return the first 64 bits of MurmurHash3 x64 128 with seed 0 (multihash murmur3-x64-64)."""
    one = two = 0
    whole = len(data) // 16 * 16
    for at in range(0, whole, 16):
        first, second = struct.unpack_from("<QQ", data, at)
        one = _spun(one ^ _mixed_one(first), 27)
        one = ((one + two) * 5 + 0x52DCE729) & _MASK64
        two = _spun(two ^ _mixed_two(second), 31)
        two = ((two + one) * 5 + 0x38495AB5) & _MASK64
    tail = data[whole:]
    two ^= _mixed_two(int.from_bytes(tail[8:], "little"))
    one ^= _mixed_one(int.from_bytes(tail[:8], "little"))
    one, two = one ^ len(data), two ^ len(data)
    one = one + two & _MASK64
    two = two + one & _MASK64
    return _finished(one) + _finished(two) & _MASK64


_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def _mixed_one(word: int) -> int:
    return _spun(word * _C1 & _MASK64, 31) * _C2 & _MASK64


def _mixed_two(word: int) -> int:
    return _spun(word * _C2 & _MASK64, 33) * _C1 & _MASK64


def _spun(word: int, by: int) -> int:
    return (word << by | word >> (64 - by)) & _MASK64


def _finished(word: int) -> int:
    word = (word ^ word >> 33) * 0xFF51AFD7ED558CCD & _MASK64
    word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53 & _MASK64
    return word ^ word >> 33
