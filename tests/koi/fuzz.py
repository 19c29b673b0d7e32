"""Send a node what nobody would: mutated envelopes, bodies, RIDs, heads, and answers.

A mutation starts from a message that is right, so that it gets past the first check; half
of the signed ones are signed after they were mutated. Whatever is sent, the node answers
with 200, 400, 413 or 422, keeps what it holds, and goes on serving; to a request whose head
makes no sense it may say what it likes but 5xx, or hang up. `test_fuzz.py` runs a short part
of this; `python -m tests.koi.fuzz --minutes 60` runs for as long as one likes, prints each
find as a line of JSON, and at the end how long it ran and how many inputs of each kind it sent.
"""

from __future__ import annotations

import argparse
import base64
import copy
import http.client
import json
import random
import socket
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.koi import raw
from tests.koi.interop.child import OURS, Child
from tests.koi.interop.subjects import Subject
from tests.koi.listener import FullPeer

if TYPE_CHECKING:
    from collections.abc import Iterator

FINE = {200, 400, 413, 422}
HEADERS = {"Content-Type": "application/json"}
HEAD = (
    b"POST /koi-net/rids/fetch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
PIECES = ["orn", "urn", "https", "koi-net.node", "test.note", ":", ":", "::", "+", "/", "?", "#",
          "%2f", " ", "\n", "\x00", "\u202e", "\U0001f600", "e", "0" * 64, "x" * 300]  # fmt: skip
NOTE = "orn:test.note"
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 0.0, -0.0, 1e308,
    5e-324, "", " ", "\x00", "\ud800", "\U0001f600", "x" * 3000, "orn:", "orn:a.b:", "::",
    "orn:koi-net.node:a", "orn:koi-net.node:+", "orn:koi-net.edge:x", "orn:a.b:" + "y" * 5000,
    "https://h/p?#", "NEW", "FORGET", "POLL", "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", 1e20, [], {}, [[]],
    {"rid": 1}, [None] * 50, {"": {"": {}}}, {"@context": "orn:a.b:c"}, "null", "NaN", "-", "+",
]  # fmt: skip


class Mutator:
    """Random changes of JSON values, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def mutated(self, value: Any) -> Any:
        """Return a copy with one to four changes somewhere inside."""
        out = copy.deepcopy(value)
        for _ in range(self.random.choice([1, 1, 1, 2, 4])):
            out = self._change(out)
        return out

    def rid(self) -> str:
        """Return text that is a RID, or was meant to be one."""
        starts = ["", "orn:test.note:", "orn:koi-net.edge:", "orn:koi-net.node:x+", "https://"]
        rest = self.random.choices(PIECES, k=self.random.randint(1, 7))
        return self.random.choice(starts) + "".join(rest)

    def within(self, value: raw.Json) -> raw.Json:
        """Return a payload with changes in the contents of its events only."""
        out = copy.deepcopy(value)
        for event in out.get("events", []):
            changed = self.mutated(event.get("contents"))
            if isinstance(changed, dict):
                event["contents"] = changed
        return out

    def noise(self, data: bytes) -> bytes:
        """Return bytes with some of them changed, dropped, doubled or cut off."""
        out = bytearray(data)
        for _ in range(self.random.randint(1, 8)):
            at = self.random.randrange(len(out) + 1)
            kind = self.random.randrange(4)
            if kind == 0:
                out[at : at + 1] = bytes([self.random.randrange(256)])
            elif kind == 1:
                del out[at : at + self.random.randint(1, 20)]
            elif kind == 2:
                out[at:at] = out[max(0, at - 30) : at]
            else:
                del out[at:]
            if not out:
                break
        return bytes(out)

    def _change(self, value: Any) -> Any:
        inside = isinstance(value, dict | list) and value
        if not inside or self.random.random() < 0.1:
            return copy.deepcopy(self.random.choice(ODD))
        if isinstance(value, list):
            return self._change_list(value)
        key = self.random.choice(list(value))
        kind = self.random.random()
        if kind < 0.12:
            del value[key]
        elif kind < 0.2:
            value[str(self.random.choice(ODD))[:50]] = copy.deepcopy(self.random.choice(ODD))
        else:
            value[key] = self._change(value[key])
        return value

    def _change_list(self, value: list[Any]) -> list[Any]:
        at = self.random.randrange(len(value))
        kind = self.random.random()
        if kind < 0.15:
            del value[at]
        elif kind < 0.3:
            value.extend(copy.deepcopy(value[at : at + 1]) * self.random.choice([1, 2, 40]))
        else:
            value[at] = self._change(value[at])
        return value


class Fuzzer:
    """One node under fire: sends, watches, and tells what should not have been."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject, self.seed = subject, seed
        self.mutator = Mutator(seed)
        self.random = self.mutator.random
        self.peer = FullPeer(name="fuzz", state=(NOTE, raw.NODE), event=(NOTE,))
        self.connection: http.client.HTTPConnection | None = None
        self.sent = 0
        self.tally: Counter[str] = Counter()
        self.recent: deque[tuple[str, str]] = deque(maxlen=300)

    def __enter__(self) -> Fuzzer:
        self.peer.__enter__()
        self.peer.misbehave = self._answer
        subject = self.subject
        assert subject.wire in {"signed", "plain"}
        subject.tell(self.peer, *self.peer.introduction())
        self.watcher = raw.Peer(name="watcher")
        subject.tell(self.watcher, *self.watcher.introduction())
        subject.tell(self.watcher, raw.event("NEW", f"{NOTE}:kept", {"kept": True}))
        subject.settles(self.watcher, f"{NOTE}:kept", {"kept": True})
        self.self_before = self.watcher.held(subject.url, subject.rid, subject.rid)
        return self

    def __exit__(self, *_: object) -> None:
        self.peer.__exit__()
        if self.connection is not None:
            self.connection.close()

    def once(self) -> dict[str, Any] | None:
        """Send one body; return a find, or None."""
        kind, path, body = self._input()
        self.sent += 1
        self.tally[kind] += 1
        self.recent.append((path, encoded(body)))
        if kind == "heads":
            status = self.request(body)
            fine = status < 500
        else:
            status = self.post(path, body)
            fine = status in FINE
        self.tally[f"answered {status or 'by hanging up'}"] += 1
        if fine:
            return None
        return {"seed": self.seed, "path": path, "status": status, "body": encoded(body)}

    def post(self, path: str, body: bytes) -> int:
        """Send over a kept-alive connection; 0 stands for a node that hung up."""
        if self.connection is None:
            netloc = self.subject.url.split("/")[2]
            self.connection = http.client.HTTPConnection(netloc, timeout=15)
        try:
            self.connection.request("POST", "/koi-net" + path, body, HEADERS)
            response = self.connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            return 0
        return response.status

    def request(self, whole: bytes) -> int:
        """Send a request as it is, and nothing more; 0 stands for a node that hung up."""
        host, port = self.subject.url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=15) as connection:
            try:
                connection.sendall(whole)
                connection.shutdown(socket.SHUT_WR)
                words = connection.recv(65536).split(b" ", 2)
            except OSError:
                return 0
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    def well(self) -> str | None:
        """Return what is wrong with the node, or None: it serves, and holds what it held."""
        subject = self.subject
        if not subject.child.alive():
            return "the process ended"
        if self.watcher.held(subject.url, subject.rid, subject.rid) != self.self_before:
            return "it is no longer itself"
        if self.watcher.held(subject.url, subject.rid, f"{NOTE}:kept") != {"kept": True}:
            return "somebody else's note changed"
        rid = f"{NOTE}:alive-{self.sent}"
        subject.tell(self.watcher, raw.event("NEW", rid, {"n": self.sent}))
        try:
            subject.settles(self.watcher, rid, {"n": self.sent})
        except AssertionError:
            return "it takes events no longer"
        return None

    def _input(self) -> tuple[str, str, bytes]:
        """Return the kind of an input, the path that it is for, and its bytes."""
        path, payload = self._message()
        kind = self.random.random()
        target = self.subject.rid
        if kind < 0.4:
            change = self.random.choice([self.mutator.mutated, self.mutator.within])
            signed = self.peer.envelope(self._signable(change(payload)), target)
            return "signed after a mutation", path, raw.compact(signed)
        if kind < 0.55:
            strange = self._with_rids(payload)
            return "RIDs", path, raw.compact(self.peer.envelope(self._signable(strange), target))
        if kind < 0.7:
            mutated = self.mutator.mutated(self.peer.envelope(payload, target))
            return "envelopes", path, self._bytes(mutated)
        if kind < 0.8:
            bare = {k: v for k, v in payload.items() if k != "type"}
            return "plain bodies", path, self._bytes(self.mutator.mutated(bare))
        whole = raw.compact(self.peer.envelope(payload, target))
        if kind < 0.95:
            return "noise", path, self.mutator.noise(whole)
        return "heads", path, self.mutator.noise(HEAD % len(whole)) + whole

    def _with_rids(self, payload: raw.Json) -> raw.Json:
        """Return a payload with strange RIDs in the place of its own."""
        strange = copy.deepcopy(payload)
        for event in strange.get("events", []):
            event["rid"] = self.mutator.rid()
            if "manifest" in event:
                event["manifest"]["rid"] = self.random.choice([event["rid"], self.mutator.rid()])
        for key in ("rids", "rid_types"):
            if key in strange:
                strange[key] = [self.mutator.rid() for _ in range(self.random.randint(1, 5))]
        return strange

    def _message(self) -> tuple[str, raw.Json]:
        note = f"{NOTE}:{self.random.randrange(20)}"
        edge: raw.Json = {
            "source": self.random.choice([self.subject.rid, self.peer.rid]),
            "target": self.random.choice([self.peer.rid, self.subject.rid]),
            "edge_type": self.random.choice(["POLL", "WEBHOOK"]),
            "status": self.random.choice(["PROPOSED", "APPROVED"]),
            "rid_types": [raw.NODE],
        }
        events = [
            raw.event(self.random.choice(["NEW", "UPDATE"]), note, {"n": self.random.random()}),
            raw.event("FORGET", note),
            raw.event("NEW", note),
            raw.event("NEW", raw.edge_rid(edge["source"], edge["target"]), edge),
            raw.event("NEW", self.peer.rid, self.peer.profile),
        ]
        chosen = self.random.sample(events, self.random.randint(1, 3))
        messages: list[tuple[str, raw.Json]] = [
            (raw.BROADCAST, {"type": "events_payload", "events": chosen}),
            (raw.BROADCAST, {"type": "events_payload", "events": chosen}),
            (raw.POLL, {"type": "poll_events", "limit": 3}),
            (raw.RIDS, {"type": "fetch_rids", "rid_types": [NOTE]}),
            (raw.MANIFESTS, {"type": "fetch_manifests", "rid_types": [NOTE], "rids": [note]}),
            (raw.BUNDLES, {"type": "fetch_bundles", "rids": [note]}),
        ]
        return self.random.choice(messages)

    def _answer(self, path: str) -> Any:
        """Answer the node's own questions: well, mutated, or with noise."""
        self.tally["answers to its questions"] += 1
        kind = self.random.random()
        if kind < 0.3 or path.endswith(raw.BROADCAST):
            return "behave"
        note = f"{NOTE}:{self.random.randrange(20)}"
        bundle = raw.bundle(note, {"n": self.random.random()})
        payloads = {
            raw.RIDS: {"type": "rids_payload", "rids": [note]},
            raw.MANIFESTS: {
                "type": "manifests_payload",
                "manifests": [bundle["manifest"]],
                "not_found": [],
            },
            raw.BUNDLES: {
                "type": "bundles_payload",
                "bundles": [bundle],
                "not_found": [],
                "deferred": [],
            },
        }
        payload = payloads.get("/" + "/".join(path.split("/")[-2:]), {"events": []})
        mutated = self._signable(self.mutator.mutated(payload))
        if kind < 0.8:
            return 200, raw.compact(self.peer.envelope(mutated, self.subject.rid))
        return 200, self.mutator.noise(raw.compact(self.peer.envelope(payload, self.subject.rid)))

    def _signable(self, value: Any) -> Any:
        """Return the value without what cannot be encoded (lone surrogates)."""
        return json.loads(json.dumps(value).replace("\\ud800", "\\uFFFD"))

    def _bytes(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=self.random.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )


def encoded(body: bytes) -> str:
    """Return bytes as text for a line of JSON."""
    return base64.b64encode(body).decode()


def finds(fuzzer: Fuzzer, until: float, most: int, every: int = 200) -> Iterator[dict[str, Any]]:
    """Yield what went wrong, until the time or the number of bodies is used up."""
    while time.monotonic() < until and fuzzer.sent < most:
        found = fuzzer.once()
        if found is not None:
            yield found
        if fuzzer.sent % every == 0:
            wrong = fuzzer.well()
            if wrong is not None:
                yield {"seed": fuzzer.seed, "wrong": wrong, "before": list(fuzzer.recent)}
                return


def main() -> int:
    """Run for a while, restarting on a new seed at intervals; print finds, and what was sent."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--bodies", type=int, default=20_000, help="inputs for each seed")
    parser.add_argument(
        "--allow-unsigned", action="store_true", help="with all seeds, not with every second one"
    )
    given = parser.parse_args()
    started = time.monotonic()
    until, seed, found, sent = started + given.minutes * 60, given.seed, 0, 0
    tally: Counter[str] = Counter()
    while time.monotonic() < until:
        home = Path(tempfile.mkdtemp(prefix="koi-fuzz-"))
        unsigned = given.allow_unsigned or seed % 2 == 0
        child = Child(OURS, "coordinator", home, allow_unsigned=unsigned)
        with child, Fuzzer(Subject(child, "signed"), seed) as fuzzer:
            for find in finds(fuzzer, until, given.bodies):
                found += 1
                print(json.dumps(find | {"log": str(child.log)}), flush=True)
            if "Traceback" in child.log.read_text():
                found += 1
                print(json.dumps({"seed": seed, "traceback": str(child.log)}), flush=True)
            sent += fuzzer.sent
            tally += fuzzer.tally
        seed += 1
        print(f"{sent} inputs, {found} finds", file=sys.stderr, flush=True)
    seconds = round(time.monotonic() - started)
    summary = {"seconds": seconds, "seeds": seed - given.seed, "inputs": sent, "finds": found}
    print(json.dumps(summary | {"of which": dict(sorted(tally.items()))}), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
