"""Who signed a statement, and whether the signature is right (DSSE, Fulcio certificates).

Source: the DSSE protocol; Fulcio's list of certificate extensions. A certificate names an
identity: for a publisher on a forge the workflow that ran, else an e-mail address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.simple.attested.model import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

PAYLOAD = b"application/vnd.in-toto+json"
_ISSUER = "1.3.6.1.4.1.57264.1.8"
_ISSUER_OLD = "1.3.6.1.4.1.57264.1.1"
_MOST_DER = 0x80
UTF8_STRING = 0x0C


def certificate(der: bytes) -> x509.Certificate:
    """Return a certificate. Raises Malformed."""
    from cryptography import x509

    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise Malformed(f"the certificate cannot be read: {error}") from None


def signed_bytes(statement: bytes) -> bytes:
    """Return what is signed in place of a statement (DSSE's pre-authentication encoding)."""
    head = b"DSSEv1 %d %b %d " % (len(PAYLOAD), PAYLOAD, len(statement))
    return head + statement


def verify(key: PublicKeyTypes, signature: bytes, message: bytes, what: str) -> None:
    """Check a signature: ECDSA with SHA-256 or Ed25519. Raises Malformed."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            raise Malformed(f"{what} is by a kind of key that is not known here")
    except InvalidSignature:
        raise Malformed(f"{what} is broken") from None


def is_by(cert: x509.Certificate, publisher: Mapping[str, object]) -> bool:
    """Check that a certificate names the publisher that the index names. Raises Malformed.

    Returns False for a kind of publisher that names nobody who could be compared.
    """
    kind = publisher.get("kind")
    expected = _EXPECTED.get(kind) if isinstance(kind, str) else None
    if expected is None:
        return False
    issuer, begins = expected(publisher)
    if _issuer(cert) != issuer:
        raise Malformed(f"the certificate's identity is vouched for by {_issuer(cert)!r}")
    names = _names(cert)
    if not any(name.lower().startswith(begins.lower()) for name in names):
        raise Malformed(f"the certificate names {', '.join(names) or 'nobody'}, not {begins}")
    return True


def _github(publisher: Mapping[str, object]) -> tuple[str, str]:
    place = f"https://github.com/{_text(publisher, 'repository')}"
    begins = f"{place}/.github/workflows/{_text(publisher, 'workflow')}@"
    return "https://token.actions.githubusercontent.com", begins


def _gitlab(publisher: Mapping[str, object]) -> tuple[str, str]:
    place = f"https://gitlab.com/{_text(publisher, 'repository')}"
    return "https://gitlab.com", f"{place}//{_text(publisher, 'workflow_filepath')}@"


def _google(publisher: Mapping[str, object]) -> tuple[str, str]:
    # An e-mail address is compared whole: the mark at the end is put there by `_names`.
    return "https://accounts.google.com", f"{_text(publisher, 'email')}\0"


_EXPECTED: dict[str, Callable[[Mapping[str, object]], tuple[str, str]]] = {
    "GitHub": _github,
    "GitLab": _gitlab,
    "Google": _google,
}


def _text(publisher: Mapping[str, object], key: str) -> str:
    value = publisher.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed(f"the index names a publisher without {key}")
    return value


def _names(cert: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    emails = [f"{name}\0" for name in found.get_values_for_type(x509.RFC822Name)]
    return [*found.get_values_for_type(x509.UniformResourceIdentifier), *emails]


def _issuer(cert: x509.Certificate) -> str:
    """Return who vouched for the identity when the certificate was made."""
    from cryptography import x509

    for oid, is_der in ((_ISSUER, True), (_ISSUER_OLD, False)):
        try:
            found = cert.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
        except (x509.ExtensionNotFound, ValueError):
            continue
        if isinstance(found, x509.UnrecognizedExtension):
            return _utf8(found.value) if is_der else found.value.decode("utf-8", "replace")
    return ""


def _utf8(der: bytes) -> str:
    """Return the text of a short DER UTF8String."""
    if len(der) < 2 or der[0] != UTF8_STRING or der[1] >= _MOST_DER or der[1] != len(der) - 2:
        raise Malformed("the certificate's issuer extension cannot be read")
    return der[2:].decode("utf-8", "replace")
