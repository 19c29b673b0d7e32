"""What a provenance object (PEP 740) says about a file, as far as that can be told offline.

Checked of every attestation, in this order:

`statement`    names this file and this SHA-256, and nothing else
`signature`    is right, by the key of the certificate that comes with it
`identity`     the certificate names the publisher that the index names
`log`          the log of the trusted root took in this statement, signature and certificate:
               its promise, the proof of inclusion, its checkpoint
`certificate`  comes from an authority of the trusted root, and was valid at that time

The last two need a trusted root (`attested.roots`). Without one a certificate could be
anybody's own, so `identity` then says only that the attestation agrees with itself. Never
checked: that the certificate is in a certificate transparency log, what the statement's
predicate says, and whether the publisher *should* publish this project: that is the index's
claim.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from dpip.simple.attested.encoded import octets
from dpip.simple.attested.log import Signed, logged_at
from dpip.simple.attested.model import Malformed, Provenance, Statement
from dpip.simple.attested.signature import certificate, is_by, signed_bytes, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dpip.simple.attested.model import Attestation
    from dpip.simple.attested.roots import Roots

STEPS = ("statement", "signature", "identity", "log", "certificate")
UNCHECKED = (
    "not checked: certificate transparency, predicates, and whether the publisher may publish"
    " the project"
)

_provenance = msgspec.json.Decoder(Provenance)
_statement = msgspec.json.Decoder(Statement)


@dataclass(frozen=True, slots=True)
class Attested:
    """What a provenance object says: who published, and what is wrong with it.

    `checked` are the steps that every attestation passed.
    """

    attestations: int
    publishers: tuple[str, ...]
    problems: tuple[str, ...]
    checked: tuple[str, ...] = field(default=())


def check(body: bytes, filename: str, sha256: str, roots: Roots | None = None) -> Attested:
    """Weigh a provenance object against the file that it came with; never raises."""
    try:
        provenance = _provenance.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Attested(0, (), (f"not a provenance object: {error}",))
    problems: list[str] = []
    passed: list[set[str]] = []
    for bundle in provenance.attestation_bundles:
        for attestation in bundle.attestations:
            passed.append(done := set[str]())
            try:
                statement = _about(attestation, filename, sha256)
                done.add("statement")
                for step in _steps(attestation, statement, bundle.publisher, roots):
                    done.add(step)
            except Malformed as error:
                problems.append(str(error))
    if not passed:
        problems.append("it holds no attestation")
    everywhere = set(STEPS).intersection(*passed) if passed else set[str]()
    publishers = [_publisher(bundle.publisher) for bundle in provenance.attestation_bundles]
    checked = tuple(step for step in STEPS if step in everywhere)
    return Attested(len(passed), tuple(publishers), tuple(problems), checked)


def _steps(
    attestation: Attestation,
    statement: bytes,
    publisher: Mapping[str, object],
    roots: Roots | None,
) -> Iterator[str]:
    """Go through the steps after the first, yielding those passed. Raises Malformed."""
    material = attestation.verification_material
    cert = certificate(octets(material.certificate, "the certificate"))
    signature = octets(attestation.envelope.signature, "the signature")
    verify(cert.public_key(), signature, signed_bytes(statement), "the signature")
    yield "signature"
    if is_by(cert, publisher):
        yield "identity"
    if roots is None:
        return
    if not material.transparency_entries:
        raise Malformed("there is no entry of a transparency log")
    signed = Signed(statement, signature, cert)
    times = [logged_at(entry, signed, roots.logs) for entry in material.transparency_entries]
    yield "log"
    for at in times:
        roots.vouch(cert, at)
    yield "certificate"


def _about(attestation: Attestation, filename: str, sha256: str) -> bytes:
    """Return the statement of an attestation, if it is about this file. Raises Malformed."""
    text = octets(attestation.envelope.statement, "a statement")
    try:
        statement = _statement.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"a statement cannot be read: {error}") from None
    if len(statement.subject) != 1:
        raise Malformed(f"a statement has {len(statement.subject)} subjects instead of one")
    subject = statement.subject[0]
    if subject.name != filename:
        raise Malformed(f"a statement is about {subject.name[:200]!r}")
    if subject.digest.get("sha256") != sha256:
        raise Malformed(f"a statement is about SHA-256 {subject.digest.get('sha256')}")
    return text


def _publisher(publisher: Mapping[str, object]) -> str:
    words = [publisher.get("kind"), publisher.get("repository") or publisher.get("email")]
    return " ".join(str(word) for word in words if word)
