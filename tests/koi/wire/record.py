"""Record what real releases put on the wire, to the byte, into `recorded.json`.

Run again with `python -m tests.koi.wire.record` where the releases are installed. Each
record is a whole body with the key that verifies it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.koi import raw
from tests.koi.interop.child import PLAIN, SIGNED, Child, eventually
from tests.koi.interop.subjects import Subject
from tests.koi.listener import FullPeer

RECORDS = Path(__file__).with_name("recorded.json")
NOTE = "orn:test.note:recorded"
CONTENTS = {"z": 1.0, "a": [None, True, 1e21, -0.5, 2**60], "é": "\u2028😀/\\"}


def record(release: str, home: Path) -> list[raw.Json]:
    """Return what a coordinator of a release says, asked and unasked."""
    wire = "signed" if release in SIGNED else "plain"
    with FullPeer() as peer, Child(release, "coordinator", home) as child:
        subject = Subject(child, wire)
        asker = subject.meet()
        subject.tell(asker, raw.event("NEW", NOTE, CONTENTS))
        subject.settles(asker, NOTE, CONTENTS)
        asks: dict[str, raw.Json] = {
            raw.RIDS: {"type": "fetch_rids", "rid_types": []},
            raw.MANIFESTS: {"type": "fetch_manifests", "rid_types": [], "rids": []},
            raw.BUNDLES: {"type": "fetch_bundles", "rids": [NOTE, subject.rid, "orn:x.y:z"]},
            raw.POLL: {"type": "poll_events", "limit": 0},
        }
        me = asker.held(subject.url, subject.rid, subject.rid) or {}
        common = {"release": release, "wire": wire, "public_key": me.get("public_key")}
        said = [
            common | {"path": path, "answer": True, "body": answer.body.decode()}
            for path, ask in asks.items()
            for answer in [asker.send(subject.url, subject.rid, path, ask)]
        ]
        if wire == "signed":
            subject.tell(peer, *peer.introduction())
            eventually(lambda: bool(peer.listener.received), "the coordinator calls")
            path, body = peer.listener.received[0]
            path = path.removeprefix("/koi-net")
            said.append(common | {"path": path, "answer": False, "body": body.decode()})
    return said


def main() -> None:
    """Write the file anew."""
    with tempfile.TemporaryDirectory() as home:
        releases = (PLAIN[1], *SIGNED)
        records = [r for release in releases for r in record(release, Path(home) / release)]
    RECORDS.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
