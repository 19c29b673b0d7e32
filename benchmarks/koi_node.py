"""The nodes that benchmarks/koi.py measures: processes of ours and of koi-net, and their caches."""

from __future__ import annotations

import base64
import json
import tempfile
import time
from pathlib import Path

from benchmarks.koi_load import Connection
from tests.koi import raw
from tests.koi.interop.child import Child, eventually

PEER = "2.1.2"
TYPE = "orn:test.file"
FILLER = {"text": "x" * 280}


class Node:
    """A coordinator under load, with one stranger that it knows."""

    def __init__(self, release: str, home: Path) -> None:
        self.child = Child(release, "coordinator", home, wait=1.0)  # the peer's default
        started = time.monotonic()
        self.child.start()
        assert self.child.url is not None
        self.url, self.rid = self.child.url, self.child.rid
        self.client = raw.Peer(name="client")
        self.client.broadcast(self.url, self.rid, self.client.introduction())
        self.started = time.monotonic() - started
        eventually(lambda: self.answers(self.client), "the client is known")
        self.connection = Connection(self.url)

    def answers(self, peer: raw.Peer) -> bool:
        payload = {"type": "fetch_rids", "rid_types": ["orn:test.none"]}
        return peer.send(self.url, self.rid, raw.RIDS, payload).status == 200

    def prepared(self, path: str, payload: raw.Json) -> bytes:
        return self.signed(self.client, path, payload)

    def signed(self, peer: raw.Peer, path: str, payload: raw.Json) -> bytes:
        """Return a whole request of another peer."""
        return self.connection.request(path, raw.compact(peer.envelope(payload, self.rid)))

    def holds(self, rid: str) -> bool:
        payload = {"type": "fetch_bundles", "rids": [rid]}
        answer = self.connection.send(self.prepared(raw.BUNDLES, payload))
        return bool(json.loads(answer)["payload"]["bundles"])

    def memory(self) -> float:
        """Return the resident memory in MB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def processor_time(self) -> float:
        """Return the seconds that the process has spent on a processor, all threads together."""
        threads = Path(f"/proc/{self.child.pid}/task").iterdir()
        return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9

    def stop(self) -> None:
        self.connection.close()
        self.child.stop()


def fresh(release: str, prefill: int = 0) -> Node:
    """Start a node of a release in a directory of its own, with a cache of a size."""
    home = Path(tempfile.mkdtemp(prefix="bench-koi-"))
    if prefill:
        fill_files(home, prefill) if release == PEER else fill_ours(home, prefill)
    return Node(release, home)


def fill_ours(home: Path, count: int) -> None:
    """Write our cache before the node starts."""
    from dpip.koi import Bundle, Cache
    from dpip.koi.rid import RID

    cache = Cache(home / "rid_cache")
    for n in range(count):
        bundle = Bundle.generate(RID.from_string(f"{TYPE}:{n}"), FILLER | {"n": n})
        cache.put(bundle, source=None, verified=True, later=n % 10_000 != 0)
    cache.store.close()


def fill_files(home: Path, count: int) -> None:
    """Write the cache of koi-net before it starts: one file for each bundle."""
    directory = home / ".rid_cache"
    directory.mkdir(parents=True)
    for n in range(count):
        rid = f"{TYPE}:{n}"
        name = base64.urlsafe_b64encode(rid.encode()).decode().rstrip("=")
        text = json.dumps(raw.bundle(rid, FILLER | {"n": n}), indent=2)
        (directory / f"{name}.json").write_text(text)
