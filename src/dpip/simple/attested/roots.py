"""Whom to believe without asking anybody: a trusted root file, as sigstore distributes it.

It is JSON (`application/vnd.dev.sigstore.trustedroot+json`) with the certificates of the
authorities and the keys of the transparency logs. It comes from outside, by whatever way its
user trusts; dpip brings none and fetches none.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from dpip.simple.attested.encoded import octets
from dpip.simple.attested.model import Malformed
from dpip.simple.attested.signature import certificate

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


class _Raw(msgspec.Struct, rename="camel"):
    raw_bytes: str


class _Chain(msgspec.Struct):
    certificates: list[_Raw]


class _Authority(msgspec.Struct, rename="camel"):
    cert_chain: _Chain


class _Log(msgspec.Struct, rename="camel"):
    public_key: _Raw


class _File(msgspec.Struct, rename="camel"):
    certificate_authorities: list[_Authority]
    tlogs: list[_Log]


@dataclass(frozen=True, slots=True)
class Roots:
    """Chains of authorities, each from the one that signs certificates up; keys of logs."""

    chains: tuple[tuple[x509.Certificate, ...], ...]
    logs: tuple[PublicKeyTypes, ...]

    def vouch(self, cert: x509.Certificate, at: int) -> None:
        """Check that a certificate comes from an authority and was valid at a time.

        `at` is seconds since the epoch. Raises Malformed.
        """
        try:
            when = dt.datetime.fromtimestamp(at, dt.UTC)
        except (ValueError, OverflowError, OSError):
            raise Malformed("the log's time is none") from None
        if not cert.not_valid_before_utc <= when <= cert.not_valid_after_utc:
            raise Malformed("the certificate was not valid when the statement was logged")
        if not _is_for_code(cert):
            raise Malformed("the certificate is not one for signing code")
        if not any(_leads(cert, chain, when) for chain in self.chains):
            raise Malformed("the certificate comes from no authority of the trusted root")


def read(text: bytes) -> Roots:
    """Return the roots in a trusted root file. Raises Malformed."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        found = msgspec.json.decode(text, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(f"not a trusted root file: {error}") from None
    chains = tuple(
        tuple(certificate(octets(one.raw_bytes, "a certificate")) for one in chain)
        for chain in (
            authority.cert_chain.certificates for authority in found.certificate_authorities
        )
    )
    try:
        logs = tuple(
            load_der_public_key(octets(log.public_key.raw_bytes, "a log's key"))
            for log in found.tlogs
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed(f"a log's key cannot be read: {error}") from None
    return Roots(chains, logs)


def _leads(cert: x509.Certificate, chain: tuple[x509.Certificate, ...], when: dt.datetime) -> bool:
    from cryptography.exceptions import InvalidSignature

    if not chain:
        return False
    try:
        for issued, issuer in zip((cert, *chain), chain, strict=False):
            if not issuer.not_valid_before_utc <= when <= issuer.not_valid_after_utc:
                return False
            if not _is_authority(issuer):
                return False
            issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(cert: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _is_for_code(cert: x509.Certificate) -> bool:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.CODE_SIGNING in usage
