"""Content identifiers: what a block's bytes hash to, and how to read them.

A multihash is <hash function><length><digest>. CIDv0 is a bare sha2-256 multihash, written
in base58 (Qm…), and always means DAG-PB. CIDv1 is <1><codec><multihash>, written in any
multibase. Two CIDs with one multihash name the same bytes.
https://github.com/multiformats/cid, https://github.com/multiformats/multihash
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from . import multibase, varint
from .errors import HashMismatch, InvalidBlock, InvalidCid

RAW = 0x55
DAG_PB = 0x70
DAG_CBOR = 0x71
LIBP2P_KEY = 0x72
DAG_JSON = 0x0129
JSON = 0x0200
CBOR = 0x51

IDENTITY = 0x00
SHA2_256 = 0x12
SHA2_512 = 0x13
BLAKE2B_256 = 0xB220

CODEC_NAMES = {
    RAW: "raw",
    DAG_PB: "dag-pb",
    DAG_CBOR: "dag-cbor",
    LIBP2P_KEY: "libp2p-key",
    DAG_JSON: "dag-json",
    JSON: "json",
    CBOR: "cbor",
}

MAX_IDENTITY = 128
"""Longest digest of an identity CID, in bytes, as Kubo limits it."""

_SHA256_PREFIX = bytes((SHA2_256, 32))
_V1_PREFIX = {codec: b"\x01" + varint.encode(codec) for codec in CODEC_NAMES}


@dataclass(frozen=True, slots=True, order=True)
class CID:
    """A content identifier, held in its binary form.

    >>> CID.parse("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn").to_v1().codec_name
    'dag-pb'
    """

    raw: bytes

    @classmethod
    def v1(cls, codec: int, multihash: bytes) -> CID:
        """Return the CIDv1 of a codec and a multihash; neither is checked."""
        return cls((_V1_PREFIX.get(codec) or b"\x01" + varint.encode(codec)) + multihash)

    @classmethod
    def v0(cls, digest: bytes) -> CID:
        """Return the CIDv0 of a 32-byte sha2-256 digest."""
        return cls(_SHA256_PREFIX + digest)

    @classmethod
    def of(cls, data: bytes, codec: int = RAW, hash_code: int = SHA2_256) -> CID:
        """Hash `data` and return its CIDv1."""
        return cls.v1(codec, multihash_of(data, hash_code))

    @classmethod
    def from_bytes(cls, raw: bytes) -> CID:
        """Return the CID that `raw` holds from its first to its last byte. Raises InvalidCid."""
        cid, end = cls.read(raw)
        if end != len(raw):
            raise InvalidCid(f"{len(raw) - end} bytes after the CID")
        return cid

    @classmethod
    def read(cls, data: bytes, at: int = 0) -> tuple[CID, int]:
        """Return the CID at `at` and the offset after it. Raises InvalidCid."""
        end = at + 34 if data[at : at + 2] == _SHA256_PREFIX else _v1_end(data, at)
        if end > len(data):
            raise InvalidCid("CID is cut off")
        return cls(bytes(data[at:end])), end

    @classmethod
    def parse(cls, text: str) -> CID:
        """Return the CID of its text form, v0 (Qm…) or multibase. Raises InvalidCid."""
        if len(text) == 46 and text.startswith("Qm"):
            return cls.from_bytes(multibase.decode_base58(text))
        cid = cls.from_bytes(multibase.decode(text))
        if cid.version == 0:
            raise InvalidCid(f"a CIDv0 has no multibase prefix: {text!r}")
        return cid

    @property
    def version(self) -> int:
        """0 or 1."""
        return 0 if len(self.raw) == 34 and self.raw[0] == SHA2_256 else 1

    @property
    def codec(self) -> int:
        """The multicodec that says how to read the block."""
        return DAG_PB if self.version == 0 else varint.decode(self.raw, 1)[0]

    @property
    def codec_name(self) -> str:
        """The codec in words, or in hexadecimal if it is not one of those handled here."""
        return CODEC_NAMES.get(self.codec, hex(self.codec))

    @property
    def multihash(self) -> bytes:
        """Hash function, length and digest: what the bytes are found by."""
        raw = self.raw
        if raw[0] == SHA2_256:
            return raw
        return raw[2:] if raw[1] < 0x80 else raw[varint.decode(raw, 1)[1] :]

    @property
    def hash_code(self) -> int:
        """The multicodec of the hash function."""
        return varint.decode(self.multihash)[0]

    @property
    def digest(self) -> bytes:
        """The hash value; for an identity CID, the block itself."""
        multihash = self.multihash
        _, at = varint.decode(multihash)
        _, at = varint.decode(multihash, at)
        return multihash[at:]

    def to_v1(self) -> CID:
        """Return the same content and codec as a CIDv1."""
        return CID.v1(DAG_PB, self.raw) if self.version == 0 else self

    def encode(self, base: str = "b") -> str:
        """Return the text form; `base` is the multibase letter for a CIDv1."""
        if self.version == 0:
            return multibase.encode_base58(self.raw)
        return multibase.encode(self.raw, base)

    def __str__(self) -> str:
        return self.encode()

    def __repr__(self) -> str:
        return f"CID({self})"


def _v1_end(data: bytes, at: int) -> int:
    try:
        version, at = varint.decode(data, at)
        if version != 1:
            raise InvalidCid(f"CID version {version} is not known")
        _, at = varint.decode(data, at)
        code, at = varint.decode(data, at)
        length, at = varint.decode(data, at)
    except InvalidBlock as error:
        raise InvalidCid(f"not a CID: {error}") from None
    if length > MAX_IDENTITY:
        raise InvalidCid(f"a digest of {length} bytes is too long")
    if code == SHA2_256 and length != 32:
        raise InvalidCid(f"a sha2-256 digest of {length} bytes")
    return at + length


def multihash_of(data: bytes, hash_code: int = SHA2_256) -> bytes:
    """Return the multihash of `data`. Raises InvalidCid for a hash function not supported."""
    if hash_code == SHA2_256:
        return _SHA256_PREFIX + hashlib.sha256(data).digest()
    if hash_code == IDENTITY:
        digest = bytes(data)
    elif hash_code == SHA2_512:
        digest = hashlib.sha512(data).digest()
    elif hash_code == BLAKE2B_256:
        digest = hashlib.blake2b(data, digest_size=32).digest()
    else:
        raise InvalidCid(f"hash function {hash_code:#x} is not supported")
    return varint.encode(hash_code) + varint.encode(len(digest)) + digest


def verify(cid: CID, data: bytes) -> bytes:
    """Return `data` if it hashes to `cid`; the one door for bytes from outside.

    Raises HashMismatch, or InvalidCid for a hash function not supported.
    """
    if multihash_of(data, cid.hash_code) != cid.multihash:
        raise HashMismatch(f"{len(data)} bytes do not hash to {cid}")
    return data


def inline(cid: CID) -> bytes | None:
    """Return the block that an identity CID carries in itself, or None for any other CID."""
    return cid.digest if cid.multihash[0] == IDENTITY else None
