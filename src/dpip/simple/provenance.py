"""What a provenance object (PEP 740) says about a file, as far as that can be told offline.

Checked: the form, and that the signed statement of every attestation names this file and this
SHA-256. Not checked: the signature itself, the certificate behind it, and its entry in a
transparency log; that needs the trust root of the signing service, and a network.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec

UNCHECKED = "signatures, certificates and transparency log entries were not checked"


class _Subject(msgspec.Struct):
    name: str = ""
    digest: dict[str, str] = {}


class _Statement(msgspec.Struct):
    subject: list[_Subject] = []
    predicate_type: str = msgspec.field(name="predicateType", default="")


class _Envelope(msgspec.Struct):
    statement: str
    signature: str = ""


class _Attestation(msgspec.Struct):
    envelope: _Envelope
    version: int = 1


class _Bundle(msgspec.Struct):
    attestations: list[_Attestation]
    publisher: dict[str, object] = {}


class _Provenance(msgspec.Struct):
    attestation_bundles: list[_Bundle]
    version: int = 1


_provenance = msgspec.json.Decoder(_Provenance)
_statement = msgspec.json.Decoder(_Statement)


@dataclass(frozen=True, slots=True)
class Attested:
    """What a provenance object says: who published, and what is wrong with it."""

    attestations: int
    publishers: tuple[str, ...]
    problems: tuple[str, ...]


def check(body: bytes, filename: str, sha256: str) -> Attested:
    """Weigh a provenance object against the file that it came with; never raises."""
    try:
        provenance = _provenance.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Attested(0, (), (f"not a provenance object: {error}",))
    problems: list[str] = []
    count = 0
    for bundle in provenance.attestation_bundles:
        for attestation in bundle.attestations:
            count += 1
            problems += _of_statement(attestation.envelope.statement, filename, sha256)
    if not count:
        problems.append("it holds no attestation")
    publishers = [_publisher(bundle.publisher) for bundle in provenance.attestation_bundles]
    return Attested(count, tuple(publishers), tuple(problems))


def _of_statement(text: str, filename: str, sha256: str) -> list[str]:
    try:
        statement = _statement.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        return [f"a statement cannot be read: {error}"]
    if len(statement.subject) != 1:
        return [f"a statement has {len(statement.subject)} subjects instead of one"]
    subject = statement.subject[0]
    problems = []
    if subject.name != filename:
        problems.append(f"a statement is about {subject.name[:200]!r}")
    if subject.digest.get("sha256") != sha256:
        problems.append(f"a statement is about SHA-256 {subject.digest.get('sha256')}")
    return problems


def _publisher(publisher: dict[str, object]) -> str:
    words = [publisher.get("kind"), publisher.get("repository") or publisher.get("email")]
    return " ".join(str(word) for word in words if word)
