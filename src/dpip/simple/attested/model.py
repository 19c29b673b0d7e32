"""The form of a provenance object and of the attestations in it (PEP 740).

Byte strings stand in base64. Numbers of a transparency log stand as decimal text, as protobuf
writes 64-bit integers in JSON.
"""

from __future__ import annotations

import msgspec


class Malformed(Exception):
    """Something in an attestation is not of the form that it must have, or does not verify."""


class Subject(msgspec.Struct):
    """What a statement is about."""

    name: str = ""
    digest: dict[str, str] = {}


class Statement(msgspec.Struct):
    """An in-toto statement."""

    subject: list[Subject] = []
    predicate_type: str = msgspec.field(name="predicateType", default="")


class Envelope(msgspec.Struct):
    """A statement as it was signed, and the signature (DSSE)."""

    statement: str
    signature: str = ""


class KeyId(msgspec.Struct, rename="camel"):
    """SHA-256 of a log's public key."""

    key_id: str = ""


class Promise(msgspec.Struct, rename="camel"):
    """The log's signature over when it took an entry in."""

    signed_entry_timestamp: str = ""


class Checkpoint(msgspec.Struct):
    """A signed note about the log's root."""

    envelope: str = ""


class Proof(msgspec.Struct, rename="camel"):
    """That an entry is in a tree: the hashes beside its path, and the root that they make."""

    log_index: str = ""
    root_hash: str = ""
    tree_size: str = ""
    hashes: list[str] = []
    checkpoint: Checkpoint = msgspec.field(default_factory=Checkpoint)


class Entry(msgspec.Struct, rename="camel"):
    """An entry of a transparency log (Rekor, as sigstore's bundles hold it)."""

    log_index: str = ""
    log_id: KeyId = msgspec.field(default_factory=KeyId)
    integrated_time: str = ""
    inclusion_promise: Promise | None = None
    inclusion_proof: Proof | None = None
    canonicalized_body: str = ""


class Material(msgspec.Struct):
    """What a signature is checked with."""

    certificate: str = ""
    transparency_entries: list[Entry] = []


class Attestation(msgspec.Struct):
    """One signed statement."""

    envelope: Envelope
    verification_material: Material = msgspec.field(default_factory=Material)
    version: int = 1


class Bundle(msgspec.Struct):
    """Attestations of one publisher, as the index names it."""

    attestations: list[Attestation]
    publisher: dict[str, object] = {}


class Provenance(msgspec.Struct):
    """A provenance object."""

    attestation_bundles: list[Bundle]
    version: int = 1
