"""A KOI-net peer made of plain parts: it shares no code with the library under test.

It signs what it is told to sign and sends what it is told to send, so a test can be an
honest peer, a careless one or a hostile one. Canonical JSON here is simply the order in
which a test writes its keys. Checked against real releases in `interop/`.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

NODE = "orn:koi-net.node"
EDGE = "orn:koi-net.edge"
BROADCAST = "/events/broadcast"
POLL = "/events/poll"
RIDS = "/rids/fetch"
MANIFESTS = "/manifests/fetch"
BUNDLES = "/bundles/fetch"
ECDSA = ec.ECDSA(hashes.SHA256())

Json = dict[str, Any]


def compact(value: Any) -> bytes:
    """Return JSON without spaces, non-ASCII as it is, keys in the order given."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data: bytes) -> str:
    """Return the lower-case hex digest."""
    return hashlib.sha256(data).hexdigest()


def content_hash(contents: Json) -> str:
    """Return the hash of rid-lib ≥ 3.2.6 for contents of ASCII keys and no floats."""
    text = json.dumps(contents, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return sha256(text.encode())


def timestamp(at: datetime | None = None) -> str:
    """Return a time as every release writes it (default: now)."""
    at = at or datetime.now(UTC)
    return at.isoformat().replace("+00:00", "Z")


def manifest(rid: str, contents: Json, at: datetime | str | None = None) -> Json:
    """Return the manifest of contents."""
    when = at if isinstance(at, str) else timestamp(at)
    return {"rid": rid, "timestamp": when, "sha256_hash": content_hash(contents)}


def bundle(rid: str, contents: Json, at: datetime | str | None = None) -> Json:
    """Return manifest and contents."""
    return {"manifest": manifest(rid, contents, at), "contents": contents}


def event(kind: str, rid: str, contents: Json | None = None, **more: Any) -> Json:
    """Return an event, with manifest and contents where there are contents."""
    out: Json = {"rid": rid, "event_type": kind}
    if contents is not None:
        out |= bundle(rid, contents, more.pop("at", None))
    return out | more


def edge_rid(source: str, target: str) -> str:
    """Return the edge RID of the signed wire."""
    return f"{EDGE}:{sha256((source + target).encode())}"


@dataclass(frozen=True)
class Answer:
    """Status, headers in lower case, and body of an HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Body as JSON."""
        return json.loads(self.body)


def post(
    base: str, path: str, body: bytes | Json, *, headers: dict[str, str] | None = None
) -> Answer:
    """POST one body; a dict is sent as compact JSON. No header is added but Host and length."""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    data = body if isinstance(body, bytes) else compact(body)
    try:
        connection.request("POST", parts.path.rstrip("/") + path, data, headers or {})
        response = connection.getresponse()
        lowered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lowered, response.read())
    finally:
        connection.close()


class Peer:
    """Somebody with a key: signs envelopes, introduces itself, keeps nothing."""

    def __init__(
        self,
        name: str = "raw",
        *,
        base_url: str | None = None,
        event: tuple[str, ...] = (),
        state: tuple[str, ...] = (),
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        der = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_key = base64.b64encode(der).decode()
        self.rid = f"{NODE}:{name}+{sha256(self.public_key.encode())}"
        self.base_url, self.event, self.state = base_url, event, state

    @property
    def profile(self) -> Json:
        """Contents of this peer's node bundle."""
        return {
            "base_url": self.base_url,
            "node_type": "FULL" if self.base_url else "PARTIAL",
            "provides": {"event": list(self.event), "state": list(self.state)},
            "public_key": self.public_key,
        }

    def introduction(self, **more: Any) -> list[Json]:
        """Return the events of a handshake: FORGET me, then NEW me."""
        return [event("FORGET", self.rid), event("NEW", self.rid, self.profile, **more)]

    def signature(self, message: bytes) -> str:
        """Return raw r||s in base64 over exactly these bytes."""
        r, s = decode_dss_signature(self.key.sign(message, ECDSA))
        return base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()

    def envelope(self, payload: Json, target: str, *, signed: Json | None = None) -> Json:
        """Return `payload` in an envelope; `signed` is what is signed in its place."""
        named = {"source_node": self.rid, "target_node": target}
        message = compact({"payload": payload if signed is None else signed, **named})
        return {"payload": payload, **named, "signature": self.signature(message)}

    def send(self, base: str, target: str, path: str, payload: Json) -> Answer:
        """Sign and POST; the answer's payload is to be read with `opened`."""
        return post(
            base,
            path,
            self.envelope(payload, target),
            headers={"Content-Type": "application/json"},
        )

    def open(self, answer: Answer, source: str) -> Json:
        """Return the payload of an answer from `source`."""
        return opened(answer, source, self.rid)

    def broadcast(self, base: str, target: str, events: list[Json]) -> Answer:
        """Send events in one signed body."""
        return self.send(base, target, BROADCAST, {"type": "events_payload", "events": events})

    def poll(self, base: str, target: str, limit: int = 0) -> list[Json]:
        """Poll and return the events, having checked the envelope."""
        answer = self.send(base, target, POLL, {"type": "poll_events", "limit": limit})
        events: list[Json] = self.open(answer, target)["events"]
        return events

    def rids(self, base: str, target: str, types: tuple[str, ...] = ()) -> list[str]:
        """Fetch RIDs of types (none: all)."""
        payload = {"type": "fetch_rids", "rid_types": list(types)}
        found: list[str] = self.open(self.send(base, target, RIDS, payload), target)["rids"]
        return found

    def manifests(
        self, base: str, target: str, rids: tuple[str, ...] = (), types: tuple[str, ...] = ()
    ) -> Json:
        """Fetch manifests by RID, else by type."""
        payload = {"type": "fetch_manifests", "rid_types": list(types), "rids": list(rids)}
        return self.open(self.send(base, target, MANIFESTS, payload), target)

    def bundles(self, base: str, target: str, *rids: str) -> Json:
        """Fetch bundles."""
        payload = {"type": "fetch_bundles", "rids": list(rids)}
        return self.open(self.send(base, target, BUNDLES, payload), target)

    def held(self, base: str, target: str, rid: str) -> Json | None:
        """Return the contents that the node holds for `rid`, or None."""
        found = self.bundles(base, target, rid)["bundles"]
        return found[0]["contents"] if found else None


class PlainPeer(Peer):
    """Somebody of the 1.0 wire: no key, no envelope, and no Content-Type."""

    def __init__(self, name: str = "plain", **profile: Any) -> None:
        super().__init__(name, **profile)
        self.rid = f"{NODE}:{name}+{uuid.uuid4()}"

    @property
    def profile(self) -> Json:
        """Contents of this peer's node bundle."""
        signed = super().profile
        del signed["public_key"]
        return signed

    def send(self, base: str, target: str, path: str, payload: Json) -> Answer:
        """POST the bare payload; who polls names itself in it."""
        bare = {key: value for key, value in payload.items() if key != "type"}
        return post(base, path, {"rid": self.rid} | bare if path == POLL else bare)

    def open(self, answer: Answer, source: str) -> Json:
        """Return the body."""
        assert answer.status == 200, (answer.status, answer.body)
        payload: Json = answer.json
        return payload


def opened(answer: Answer, source: str, target: str, public_key: str | None = None) -> Json:
    """Return the payload of an envelope; check the names and, given the key, the signature."""
    assert answer.status == 200, (answer.status, answer.body)
    envelope = answer.json
    assert (envelope["source_node"], envelope["target_node"]) == (source, target)
    if public_key is not None:
        assert verifies(envelope, public_key)
    payload: Json = envelope["payload"]
    return payload


def verifies(envelope: Json, public_key: str) -> bool:
    """Say whether an envelope is signed over itself, in the order in which it was received."""
    raw = base64.b64decode(envelope["signature"], validate=True)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    names = ("payload", "source_node", "target_node")
    key = serialization.load_der_public_key(base64.b64decode(public_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(der, compact({name: envelope[name] for name in names}), ECDSA)
    except InvalidSignature:
        return False
    return len(raw) == 64
