"""Whether a statement is in a transparency log, and since when (Rekor version 1).

Four things must hold together: the entry is about this statement, this signature and this
certificate; the log promised (signed) to have taken it in at a time; the hashes beside it lead
to a root (RFC 9162, section 2.1.3.2); and the log signed a checkpoint with that root. All with
keys of the trusted root, so no log is asked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from dpip.simple.attested.encoded import number, octets
from dpip.simple.attested.model import Malformed
from dpip.simple.attested.signature import verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from dpip.simple.attested.model import Entry, Proof

HINT = 4
"""Bytes in front of a signature of a note, to recognize the key by."""
SIGNED_BY = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class Signed:
    """What an entry must be about."""

    statement: bytes
    signature: bytes
    certificate: x509.Certificate


def logged_at(entry: Entry, signed: Signed, keys: Sequence[PublicKeyTypes]) -> int:
    """Return when a log took a statement in, in seconds since the epoch. Raises Malformed."""
    body = octets(entry.canonicalized_body, "the log's entry")
    _is_about(body, signed)
    at = _promised(entry, keys)
    if entry.inclusion_proof is None:
        raise Malformed("the log's entry has no proof of inclusion")
    _is_included(entry.inclusion_proof, body, keys)
    return at


def root_of(leaf: bytes, index: int, size: int, hashes: Iterable[bytes]) -> bytes:
    """Return the root to which the hashes beside a leaf's path lead. Raises Malformed."""
    if index >= size:
        raise Malformed("the log's entry lies outside of its tree")
    at, last, found = index, size - 1, leaf
    for beside in hashes:
        if last == 0:
            raise Malformed("the proof of inclusion is too long")
        if at & 1 or at == last:
            found = _inner(beside, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = _inner(found, beside)
        at, last = at >> 1, last >> 1
    if last:
        raise Malformed("the proof of inclusion is too short")
    return found


def leaf_of(body: bytes) -> bytes:
    """Return the hash of an entry as a leaf."""
    return hashlib.sha256(b"\0" + body).digest()


def _inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _is_about(body: bytes, signed: Signed) -> None:
    try:
        entry = json.loads(body)
        spec = entry["spec"]
        digest, signatures = spec["payloadHash"]["value"], spec["signatures"]
        found = [(one["signature"], one["verifier"]) for one in signatures]
        kind = entry["kind"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("the log's entry is not of the form of a signed statement") from None
    if kind != "dsse" or digest != hashlib.sha256(signed.statement).hexdigest():
        raise Malformed("the log's entry is about another statement")
    if not any(_is_same(one, signed) for one in found):
        raise Malformed("the log's entry is of another signature")


def _is_same(one: tuple[Any, Any], signed: Signed) -> bool:
    from cryptography import x509

    try:
        signature, verifier = (octets(str(text), "the log's entry") for text in one)
        return signature == signed.signature and (
            x509.load_pem_x509_certificate(verifier) == signed.certificate
        )
    except (Malformed, ValueError):
        return False


def _promised(entry: Entry, keys: Sequence[PublicKeyTypes]) -> int:
    """Check the log's promise and return the time in it."""
    if entry.inclusion_promise is None:
        raise Malformed("the log's entry has no signed time")
    at = number(entry.integrated_time, "the log's time")
    said = {
        "body": entry.canonicalized_body,
        "integratedTime": at,
        "logID": octets(entry.log_id.key_id, "the log's id").hex(),
        "logIndex": number(entry.log_index, "the index in the log"),
    }
    message = msgspec.json.encode(said, order="sorted")
    signature = octets(entry.inclusion_promise.signed_entry_timestamp, "the log's promise")
    _by_any(keys, signature, message, "the log's promise")
    return at


def _is_included(proof: Proof, body: bytes, keys: Sequence[PublicKeyTypes]) -> None:
    index, size = number(proof.log_index, "an index"), number(proof.tree_size, "a size")
    hashes = [octets(one, "a hash of the proof") for one in proof.hashes]
    root = root_of(leaf_of(body), index, size, hashes)
    if root != octets(proof.root_hash, "the root of the proof"):
        raise Malformed("the proof of inclusion leads to another root")
    note, _, signatures = proof.checkpoint.envelope.partition("\n\n")
    lines = note.split("\n")
    if len(lines) < 3 or number(lines[1], "the checkpoint's size") != size:
        raise Malformed("the log's checkpoint is of another tree")
    if octets(lines[2], "the checkpoint's root") != root:
        raise Malformed("the log's checkpoint has another root")
    _is_noted(f"{note}\n".encode(), signatures, keys)


def _is_noted(note: bytes, signatures: str, keys: Sequence[PublicKeyTypes]) -> None:
    """Check that a log signed a note (the signed note format of checkpoints)."""
    for line in signatures.splitlines():
        if line.startswith(SIGNED_BY):
            signature = octets(line.rpartition(" ")[2], "the checkpoint's signature")[HINT:]
            try:
                _by_any(keys, signature, note, "the log's checkpoint")
            except Malformed:
                continue
            return
    raise Malformed("the log's checkpoint is signed by no log of the trusted root")


def _by_any(keys: Sequence[PublicKeyTypes], signature: bytes, message: bytes, what: str) -> None:
    for key in keys:
        try:
            verify(key, signature, message, what)
        except Malformed:
            continue
        return
    raise Malformed(f"{what} is signed by no log of the trusted root")
