"""ECDSA on P-256: keys, signatures, and the identity that follows from a key.

A signature is raw `r || s`, 32 bytes each, over SHA-256, in base64. A public key is the
base64 of its DER SubjectPublicKeyInfo, and the id of a node is the SHA-256 of that *text*.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from .errors import UnreadableKey
from .rid import KoiNetNode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA = ec.ECDSA(Prehashed(hashes.SHA256()))
_SIZE = 64


class PrivateKey:
    """The key of one node: signs digests and knows its public half as text."""

    __slots__ = ("_key", "public_text")

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_text = base64.b64encode(der).decode()

    @classmethod
    def generate(cls) -> PrivateKey:
        """Make a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path, password: str | None = None) -> PrivateKey:
        """Read a PKCS#8 PEM file; raise UnreadableKey. An unencrypted key needs no password."""
        try:
            pem = path.read_bytes()
            secret = password.encode() if password and b"ENCRYPTED" in pem else None
            key = serialization.load_pem_private_key(pem, secret)
        except (OSError, ValueError, TypeError) as error:
            raise UnreadableKey(f"{path}: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise UnreadableKey(f"{path}: not a key on the curve P-256")
        return cls(key)

    def save(self, path: Path, password: str | None = None) -> None:
        """Write the key where there is none yet, readable by its owner only."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password.encode())
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)

    def sign(self, message: bytes) -> str:
        """Return the signature of a message, base64."""
        return self.sign_digest(sha256(message).digest())

    def sign_digest(self, digest: bytes) -> str:
        """Return the signature of a SHA-256 digest, base64."""
        r, s = decode_dss_signature(self._key.sign(digest, _ECDSA))
        return base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()

    def node_rid(self, name: str) -> KoiNetNode:
        """Return the RID of the node of this name that holds this key."""
        return KoiNetNode(name, key_id(self.public_text))


@lru_cache(maxsize=4096)
def key_id(public_text: str) -> str:
    """Return the id that a node with this public key must have."""
    return sha256(public_text.encode()).hexdigest()


def verifies(public_text: str, message: bytes, signature: str) -> bool:
    """Say whether a base64 signature is the key's over the message; never raises."""
    return bool(verified(public_text, (message,), signature))


def verified(public_text: str, messages: Iterable[bytes], signature: str) -> bytes:
    """Return the replay token of a signature that is the key's over one of the messages.

    Nothing (b"") if it is over none of them, or no signature at all; never raises.
    """
    halves = _halves(signature)
    key = _public_key(public_text)
    if halves is None or key is None:
        return b""
    der = encode_dss_signature(*halves)
    for message in messages:
        try:
            key.verify(der, sha256(message).digest(), _ECDSA)
        except InvalidSignature:
            continue
        return _token(*halves)
    return b""


def replay_token(signature: str) -> bytes:
    """Return what is the same for every copy of a signature, its mirror image included."""
    halves = _halves(signature)
    return b"" if halves is None else _token(*halves)


def _token(r: int, s: int) -> bytes:
    """Return a short name for (r, s) and (r, n - s): anyone can make either of the other."""
    return sha256(b"%d,%d" % (r, min(s, _ORDER - s))).digest()[:16]


def _halves(signature: str) -> tuple[int, int] | None:
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _SIZE:
        return None
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


@lru_cache(maxsize=4096)
def _public_key(public_text: str) -> ec.EllipticCurvePublicKey | None:
    try:
        key = serialization.load_der_public_key(base64.b64decode(public_text, validate=True))
    except (binascii.Error, ValueError, TypeError):
        return None
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return key
    return None
