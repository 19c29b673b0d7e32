"""An authority, a transparency log and a publisher of our own, and attestations by them.

Everything is made here, so that each part can be made wrong. `Maker` holds what a right
attestation is made of; tests change one thing of it.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

NOW = 1_790_000_000
WORKFLOW = "https://github.com/acme/thing/.github/workflows/release.yml@refs/tags/v1"
ISSUER = "https://token.actions.githubusercontent.com"
PUBLISHER = {"kind": "GitHub", "repository": "acme/thing", "workflow": "release.yml"}
SHA = "a" * 64

Key = ec.EllipticCurvePrivateKey


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def sign(by: Key, message: bytes) -> bytes:
    return by.sign(message, ec.ECDSA(hashes.SHA256()))


def public(of: Key) -> bytes:
    return of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(
    subject: Key, issuer: x509.Name, by: Key, *extensions: x509.ExtensionType, minutes: int = 10
) -> x509.Certificate:
    begun = dt.datetime.fromtimestamp(NOW, dt.UTC) - dt.timedelta(minutes=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "someone")]))
        .issuer_name(issuer)
        .public_key(subject.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begun)
        .not_valid_after(begun + dt.timedelta(minutes=minutes))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(by, hashes.SHA256())


@dataclass
class Authority:
    """A root that signs certificates."""

    key: Key = field(default_factory=key)
    name: x509.Name = field(
        default_factory=lambda: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "someone")])
    )

    def own(self, *, ca: bool = True) -> x509.Certificate:
        constraints = x509.BasicConstraints(ca=ca, path_length=None)
        return certificate(self.key, self.name, self.key, constraints, minutes=10_000)


@dataclass
class Log:
    """A transparency log with some entries of others in front."""

    key: Key = field(default_factory=key)
    others: int = 5

    def entry(self, body: bytes, at: int) -> dict[str, Any]:
        leaves = [leaf(b"%d" % number) for number in range(self.others)] + [leaf(body)]
        leaves += [leaf(b"later %d" % number) for number in range(self.others)]
        root, beside = proof(leaves, self.others)
        note = f"log.invalid\n{len(leaves)}\n{b64(root)}\n"
        signature = b64(b"hint" + sign(self.key, note.encode()))
        log_id = hashlib.sha256(public(self.key)).digest()
        said = {
            "body": b64(body),
            "integratedTime": at,
            "logID": log_id.hex(),
            "logIndex": 1000 + self.others,
        }
        promised = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        return {
            "logIndex": str(1000 + self.others),
            "logId": {"keyId": b64(log_id)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(at),
            "inclusionPromise": {"signedEntryTimestamp": b64(sign(self.key, promised))},
            "inclusionProof": {
                "logIndex": str(self.others),
                "rootHash": b64(root),
                "treeSize": str(len(leaves)),
                "hashes": [b64(one) for one in beside],
                "checkpoint": {"envelope": f"{note}\n\u2014 log.invalid {signature}\n"},
            },
            "canonicalizedBody": b64(body),
        }


def leaf(body: bytes) -> bytes:
    return hashlib.sha256(b"\0" + body).digest()


def tree(leaves: list[bytes]) -> bytes:
    """Return the root by the definition (RFC 9162, 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def proof(leaves: list[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """Return the root and the proof of inclusion by the definition (RFC 9162, 2.1.3.1)."""
    if len(leaves) == 1:
        return leaves[0], []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return tree(leaves), [*proof(leaves[:half], index)[1], tree(leaves[half:])]
    return tree(leaves), [*proof(leaves[half:], index - half)[1], tree(leaves[:half])]


@dataclass
class Maker:
    """What an attestation is made of; every part may be another one."""

    authority: Authority = field(default_factory=Authority)
    signer: Authority | None = None
    log: Log = field(default_factory=Log)
    logged_by: Log | None = None
    filename: str = "f.whl"
    sha256: str = SHA
    identity: x509.GeneralName = field(
        default_factory=lambda: x509.UniformResourceIdentifier(WORKFLOW)
    )
    issuer: str = ISSUER
    publisher: dict[str, Any] = field(default_factory=lambda: dict(PUBLISHER))
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING
    at: int = NOW
    ca: bool = True

    def trusted_root(self) -> bytes:
        chain = [{"rawBytes": b64(self.authority.own(ca=self.ca).public_bytes(Encoding.DER))}]
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{"publicKey": {"rawBytes": b64(public(self.log.key))}}],
            "certificateAuthorities": [{"certChain": {"certificates": chain}}],
        }
        return json.dumps(root).encode()

    def attestation(self) -> dict[str, Any]:
        signer, subject = self.signer or self.authority, key()
        issuer = self.issuer.encode()
        cert = certificate(
            subject,
            signer.name,
            signer.key,
            x509.SubjectAlternativeName([self.identity]),
            x509.ExtendedKeyUsage([self.usage]),
            x509.UnrecognizedExtension(
                x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8"),
                bytes([0x0C, len(issuer)]) + issuer,
            ),
        )
        statement = json.dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{"name": self.filename, "digest": {"sha256": self.sha256}}],
                "predicateType": "https://attestations.invalid/publish/v1",
                "predicate": None,
            }
        ).encode()
        kind = b"application/vnd.in-toto+json"
        signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(statement), statement)
        signature = sign(subject, signed)
        entry = {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "payloadHash": {
                    "algorithm": "sha256",
                    "value": hashlib.sha256(statement).hexdigest(),
                },
                "signatures": [
                    {
                        "signature": b64(signature),
                        "verifier": b64(cert.public_bytes(Encoding.PEM)),
                    }
                ],
            },
        }
        log = self.logged_by or self.log
        return {
            "version": 1,
            "verification_material": {
                "certificate": b64(cert.public_bytes(Encoding.DER)),
                "transparency_entries": [log.entry(json.dumps(entry).encode(), self.at)],
            },
            "envelope": {"statement": b64(statement), "signature": b64(signature)},
        }

    def provenance(self, *attestations: dict[str, Any]) -> bytes:
        found = list(attestations) or [self.attestation()]
        bundles = [{"publisher": self.publisher, "attestations": found}]
        return json.dumps({"version": 1, "attestation_bundles": bundles}).encode()
