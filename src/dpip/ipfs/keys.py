"""Ed25519 keys, and the names that they have.

A libp2p key is a protobuf of key type 1 and data 2; Ed25519 is type 1, its private data the
seed and the public key. An IPNS name is the CIDv1 (libp2p-key, identity hash) of the public
key's protobuf, written in base36 (k51…). https://specs.ipfs.tech/ipns/ipns-record/#ipns-keys
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cid import CID, IDENTITY, LIBP2P_KEY, multihash_of
from .errors import InvalidBlock, InvalidCid, InvalidKey
from .multibase import decode_base58
from .protobuf import blob, fields, number

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = 1


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key of 32 bytes."""

    raw: bytes

    @classmethod
    def of_name(cls, name: CID) -> PublicKey:
        """Return the key that a name carries. Raises InvalidKey for names that only hash one."""
        if name.hash_code != IDENTITY:
            raise InvalidKey(f"{name.encode('k')} is the hash of a key, not an Ed25519 key")
        return cls.from_protobuf(name.digest)

    @classmethod
    def from_protobuf(cls, data: bytes) -> PublicKey:
        """Return the key of a libp2p PublicKey message."""
        return cls(_key_data(data, 32))

    @property
    def name(self) -> CID:
        """The IPNS name and peer ID of this key."""
        message = number(1, ED25519) + blob(2, self.raw)
        return CID.v1(LIBP2P_KEY, multihash_of(message, IDENTITY))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether the signature over the message is by this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class PrivateKey:
    """An Ed25519 private key. Its seed is shown by no `repr`."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> PrivateKey:
        """Return a new key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> PrivateKey:
        """Return the key of a 32-byte seed. Raises InvalidKey."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            return cls(Ed25519PrivateKey.from_private_bytes(seed))
        except ValueError:
            raise InvalidKey(f"an Ed25519 seed has 32 bytes, not {len(seed)}") from None

    @classmethod
    def from_protobuf(cls, data: bytes) -> PrivateKey:
        """Return the key of a libp2p PrivateKey message, as `ipfs key export` writes it."""
        found = _key_data(data, 64)
        key = cls.from_seed(found[:32])
        if key.public.raw != found[32:]:
            raise InvalidKey("the public half of the key does not belong to its private half")
        return key

    @classmethod
    def from_pem(cls, data: bytes, password: bytes | None = None) -> PrivateKey:
        """Return the key of a PKCS#8 PEM file. Raises InvalidKey, also for a wrong password."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(data, password)
        except (TypeError, ValueError) as error:
            raise InvalidKey(f"cannot read the key: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidKey("only Ed25519 keys are supported")
        return cls(key)

    @property
    def name(self) -> CID:
        """The IPNS name and peer ID of this key."""
        return self.public.name

    def to_protobuf(self) -> bytes:
        """Return the libp2p PrivateKey message that Kubo imports. Not encrypted."""
        return number(1, ED25519) + blob(2, self._key.private_bytes_raw() + self.public.raw)

    def to_pem(self, password: bytes | None = None) -> bytes:
        """Return a PKCS#8 PEM file, encrypted if a password is given."""
        from cryptography.hazmat.primitives import serialization

        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password)
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        return self._key.sign(message)


def parse_name(text: str) -> CID:
    """Return an IPNS name of any spelling: CIDv1 in any base, or a peer ID (12D3…, Qm…).

    Raises InvalidCid if the text is neither, or a CID of something else than a key.
    """
    name = text.removeprefix("/ipns/")
    if name.startswith(("1", "Qm")):
        return CID.from_bytes(CID.v1(LIBP2P_KEY, decode_base58(name)).raw)
    found = CID.parse(name)
    if found.codec != LIBP2P_KEY:
        raise InvalidCid(f"{text} is a {found.codec_name} CID, not the name of a key")
    return found


def _key_data(message: bytes, length: int) -> bytes:
    kind, data = None, b""
    try:
        for field, _, value in fields(message):
            if field == 1:
                kind = value
            elif field == 2 and isinstance(value, bytes):
                data = value
    except InvalidBlock as error:
        raise InvalidKey(f"not a libp2p key: {error}") from None
    if kind != ED25519:
        raise InvalidKey("only Ed25519 keys are supported")
    if len(data) != length:
        raise InvalidKey(f"an Ed25519 key of {len(data)} bytes instead of {length}")
    return data
