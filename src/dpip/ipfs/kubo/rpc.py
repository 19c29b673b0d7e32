"""The calls of Kubo's RPC that dpip needs, typed. Reference: Kubo's `/api/v0` (0.40 to 0.43).

Errors of every call: NotFound, Refused (Unauthorized), Unavailable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cid import CID
from ..errors import InvalidArgument, NotFound
from .http import Http, Part, Refused
from .pubsub import PubSub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

LONG = 3600.0
"""Seconds that a call may wait which moves much data: an import, a recursive pin."""


@dataclass(frozen=True, slots=True)
class Stat:
    """An entry of the daemon's MFS; sizes in bytes, `kind` is "file" or "directory"."""

    cid: CID
    size: int
    cumulative_size: int
    kind: str


@dataclass(frozen=True, slots=True)
class Key:
    """An IPNS key of the daemon: its local name, and the IPNS name (`k51…`)."""

    name: str
    id: str


class Kubo:
    """One Kubo daemon.

    Example: `Kubo("http://127.0.0.1:5001").version()`. Thread-safe; close it when done.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:5001", *, authorization: str | None = None,
        timeout: float = 30,
    ) -> None:  # fmt: skip
        self._http = Http(url, authorization=authorization, timeout=timeout)
        self.pubsub = PubSub(self._http)

    def __enter__(self) -> Kubo:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def version(self) -> str:
        """Return the daemon's version, such as "0.43.0"."""
        return str(self._http.call("version")["Version"])

    def identity(self) -> dict[str, Any]:
        """Return the daemon's peer ID, addresses and agent (`ipfs id`)."""
        return self._http.call("id")

    # Blocks and DAGs

    def dag_import(
        self, car: Callable[[], Iterable[bytes]], *, pin_roots: bool = True
    ) -> list[CID]:
        """Hand over a CAR (called for its chunks) and return its roots.

        Kubo re-chunks nothing, so CIDs stay. A root that it could not pin raises NotFound:
        the CAR was incomplete, and the daemon does not hold the rest either.
        """
        roots: list[CID] = []
        params = [("pin-roots", _flag(pin_roots)), ("stats", "false")]
        for line in self._http.lines("dag/import", params, Part(car, "dpip.car"), timeout=LONG):
            root = line.get("Root")
            if root is None:
                continue
            if root.get("PinErrorMsg"):
                raise NotFound(f"{root['Cid']['/']} cannot be pinned: {root['PinErrorMsg']}")
            roots.append(CID.parse(root["Cid"]["/"]))
        return roots

    def dag_export(self, cid: CID) -> Iterator[bytes]:
        """Stream the whole DAG below a CID as a CAR."""
        return self._http.chunks("dag/export", [("arg", str(cid)), ("progress", "false")])

    def block_get(self, cid: CID, *, offline: bool = False) -> bytes:
        """Return a block's bytes, unverified; with `offline`, only if the daemon has it."""
        params = [("arg", str(cid)), ("offline", _flag(offline))]
        return b"".join(self._http.chunks("block/get", params))

    def block_size(self, cid: CID, *, offline: bool = False) -> int:
        """Return a block's size in bytes."""
        params = [("arg", str(cid)), ("offline", _flag(offline))]
        return int(self._http.call("block/stat", params)["Size"])

    def block_put(self, data: bytes, codec: str = "raw") -> CID:
        """Store one block under sha2-256 and a multicodec name; return its CID."""
        params = [("cid-codec", codec), ("mhtype", "sha2-256"), ("allow-big-block", "true")]
        return CID.parse(self._http.call("block/put", params, Part(lambda: [data]))["Key"])

    def block_rm(self, cids: Iterable[CID]) -> None:
        """Drop blocks; absent and pinned ones stay as they are."""
        params = [("force", "true"), *(("arg", str(cid)) for cid in cids)]
        if len(params) == 1:
            return
        for line in self._http.lines("block/rm", params):
            problem = str(line.get("Error") or "")
            if problem and not problem.startswith("pinned"):
                raise Refused(problem, 200)

    def refs_local(self) -> Iterator[CID]:
        """Stream the CIDs of all blocks that the daemon holds."""
        return (CID.parse(line["Ref"]) for line in self._http.lines("refs/local"))

    # Pins

    def pin_add(self, cid: CID, name: str = "") -> None:
        """Pin a DAG recursively, fetching what is missing."""
        params = [("arg", str(cid)), ("recursive", "true"), *_named(name)]
        self._http.call("pin/add", params, timeout=LONG)

    def pin_update(self, old: CID, new: CID) -> None:
        """Move a recursive pin; cheap where the two DAGs share much."""
        params = [("arg", str(old)), ("arg", str(new)), ("unpin", "true")]
        self._http.call("pin/update", params, timeout=LONG)

    def pin_rm(self, cid: CID) -> None:
        """Remove a recursive pin; NotFound if there is none."""
        self._http.call("pin/rm", [("arg", str(cid)), ("recursive", "true")])

    def pins(self) -> Iterator[CID]:
        """Stream the recursive pins."""
        lines = self._http.lines("pin/ls", [("type", "recursive"), ("stream", "true")])
        return (CID.parse(line["Cid"]) for line in lines)

    def is_pinned(self, cid: CID) -> bool:
        """Say whether a CID is pinned recursively."""
        try:
            self._http.call("pin/ls", [("arg", str(cid)), ("type", "recursive")])
        except NotFound:
            return False
        return True

    # MFS

    def files_cp(self, cid: CID, path: str) -> None:
        """Mount a CID at an absolute MFS path, replacing what is there; fetches nothing."""
        params = [
            ("arg", f"/ipfs/{cid}"),
            ("arg", _mfs(path)),
            ("parents", "true"),
            ("force", "true"),
        ]
        self._http.call("files/cp", params)

    def files_replace(self, cid: CID, path: str) -> None:
        """Mount a CID at a path where a directory may be mounted already."""
        staged = f"{_mfs(path)}.next"
        self.files_rm(staged)
        self.files_cp(cid, staged)
        self.files_rm(path)
        self._http.call("files/mv", [("arg", staged), ("arg", _mfs(path))])

    def files_rm(self, path: str) -> None:
        """Remove an MFS path with all below it; absent is no error."""
        params = [("arg", _mfs(path)), ("recursive", "true"), ("force", "true")]
        try:
            self._http.call("files/rm", params)
        except NotFound:
            return

    def files_mkdir(self, path: str) -> None:
        """Make an MFS directory with its parents."""
        self._http.call("files/mkdir", [("arg", _mfs(path)), ("parents", "true")])

    def files_stat(self, path: str) -> Stat:
        """Return what is at an MFS path."""
        found = self._http.call("files/stat", [("arg", _mfs(path))])
        return Stat(CID.parse(found["Hash"]), found["Size"], found["CumulativeSize"], found["Type"])

    def files_flush(self, path: str = "/") -> None:
        """Write MFS changes through to the datastore."""
        self._http.call("files/flush", [("arg", _mfs(path))])

    # Keys and names

    def key_list(self) -> list[Key]:
        """Return the daemon's keys; its own identity is named "self"."""
        rows = self._http.call("key/list", [("ipns-base", "base36")])["Keys"] or []
        return [Key(row["Name"], row["Id"]) for row in rows]

    def key_gen(self, name: str) -> Key:
        """Make an Ed25519 key."""
        params = [("arg", name), ("type", "ed25519"), ("ipns-base", "base36")]
        made = self._http.call("key/gen", params)
        return Key(made["Name"], made["Id"])

    def key_import(self, name: str, protobuf: bytes) -> Key:
        """Import a private key in its libp2p protobuf form, so both engines share a name."""
        params = [("arg", name), ("format", "libp2p-protobuf-cleartext"), ("ipns-base", "base36")]
        made = self._http.call("key/import", params, Part(lambda: [protobuf]))
        return Key(made["Name"], made["Id"])

    def key_rm(self, name: str) -> None:
        """Remove a key."""
        self._http.call("key/rm", [("arg", name)])

    def name_put(self, name: str, record: bytes) -> None:
        """Store and spread a signed IPNS record: the key stays with whoever signed it."""
        self._http.call("name/put", [("arg", name)], Part(lambda: [record]), timeout=LONG)

    def name_get(self, name: str) -> bytes:
        """Return the best signed record that the daemon finds for a name."""
        return b"".join(self._http.chunks("name/get", [("arg", name)]))

    def name_inspect(self, record: bytes, name: str) -> dict[str, Any]:
        """Return the daemon's reading of a record; ["Validation"]["Valid"] is its verdict."""
        return self._http.call("name/inspect", [("verify", name)], Part(lambda: [record]))

    def name_publish(
        self, cid: CID, key: str = "self", *, lifetime: str = "48h", allow_offline: bool = True
    ) -> str:
        """Sign and publish with a key of the daemon's own; return the name."""
        params = [
            ("arg", f"/ipfs/{cid}"),
            ("key", key),
            ("lifetime", lifetime),
            ("allow-offline", _flag(allow_offline)),
            ("ipns-base", "base36"),
        ]
        return str(self._http.call("name/publish", params, timeout=LONG)["Name"])

    def name_resolve(self, name: str, *, cached: bool = True) -> str:
        """Return the path that a name points at."""
        params = [("arg", name), ("nocache", _flag(not cached))]
        return str(self._http.call("name/resolve", params, timeout=90)["Path"])

    # The network

    def provide(self, cid: CID) -> None:
        """Announce a block to the routing systems now."""
        for _ in self._http.lines("routing/provide", [("arg", str(cid))], timeout=LONG):
            pass

    def swarm_connect(self, address: str) -> None:
        """Connect to a peer by its multiaddress with /p2p/ID."""
        self._http.call("swarm/connect", [("arg", address)])

    def swarm_peers(self) -> list[str]:
        """Return the IDs of connected peers."""
        return [row["Peer"] for row in self._http.call("swarm/peers").get("Peers") or []]


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _named(name: str) -> list[tuple[str, str]]:
    return [("name", name)] if name else []


def _mfs(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgument(f"an MFS path is absolute, not {path!r}")
    return path
