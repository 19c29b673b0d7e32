"""What a node's KOI state says, read from its database: also while the node runs, or does not.

Rows are plain dictionaries, ready for `--json`.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST_CHANGE = "SELECT ifnull((SELECT seq FROM journal ORDER BY seq DESC LIMIT 1), 0)"
NODE, EDGE = "orn:koi-net.node", "orn:koi-net.edge"
PAGE = 1000


class NoNetworkState(DpipError):
    """The home has never taken part in a network."""

    slug = "no-network-state"
    exit_code = 6
    default_hint = "start a node with `dpip node start`"


class NotHeld(DpipError):
    """The node holds no object of that RID."""

    slug = "not-held"
    default_hint = "`dpip koi rids` lists what it holds"


class Inspection:
    """Reads one home's KOI state; `directory` is its `koi/`. Raises NoNetworkState."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def rid(self) -> str:
        """The node's own RID."""
        try:
            return str(json.loads((self._directory / "identity.json").read_bytes())["rid"])
        except (OSError, ValueError, KeyError):
            raise NoNetworkState(f"{self._directory} holds no identity of a node") from None

    def status(self) -> dict[str, Any]:
        """Return the node's RID, counts of what it holds, and how much waits for peers."""
        with self._database() as database:
            counts = database.execute("SELECT type, count(*) FROM bundle GROUP BY type ORDER BY 1")
            held = dict(counts.fetchall())
            [waiting] = database.execute("SELECT count(*) FROM outbox").fetchone()
            [last] = database.execute(LAST_CHANGE).fetchone()
        peers = max(0, held.get(NODE, 0) - 1)
        return {"rid": self.rid, "peers": peers, "held": held, "waiting": waiting, "last": last}

    def peers(self) -> list[dict[str, Any]]:
        """Return each other node: where it is, who tells whom, and how many events wait for it."""
        with self._database() as database:
            nodes = _bundles(database, NODE)
            edges = list(_bundles(database, EDGE).values())
            waiting = dict(
                database.execute("SELECT target, count(*) FROM outbox GROUP BY target").fetchall()
            )
            read = {row[0] for row in database.execute("SELECT node FROM cursor")}
        me = self.rid
        return [
            {
                "rid": rid,
                "url": profile.get("base_url"),
                "type": profile.get("node_type"),
                "tells_us": _edge(edges, rid, me),
                "we_tell": _edge(edges, me, rid),
                "waiting": waiting.get(rid, 0),
                "journal": rid in read,
            }
            for rid, profile in nodes.items()
            if rid != me
        ]

    def rids(self, kind: str | None = None) -> Iterator[str]:
        """Yield the RIDs that are held, of one type or all, in order."""
        clause, last = ("rid>? AND type=?", ("", kind)) if kind else ("rid>?", ("",))
        query = f"SELECT rid FROM bundle WHERE {clause} ORDER BY rid LIMIT {PAGE}"
        with self._database() as database:
            while rows := database.execute(query, last).fetchall():
                for (rid,) in rows:
                    yield rid
                last = (rid, *last[1:])

    def get(self, rid: str) -> dict[str, Any]:
        """Return a bundle, and who introduced it (None: this node). Raises NotHeld."""
        with self._database() as database:
            row = database.execute(
                "SELECT manifest, contents, source FROM bundle WHERE rid=?", (rid,)
            ).fetchone()
        if row is None:
            raise NotHeld(f"nothing is held of {rid[:200]!r}")
        return {"manifest": json.loads(row[0]), "contents": json.loads(row[1]), "source": row[2]}

    def events(self, since: int, limit: int = PAGE) -> list[dict[str, Any]]:
        """Return what was kept and forgotten after number `since`, oldest first.

        Each RID is there once, with its latest change.
        """
        with self._database() as database:
            rows = database.execute(
                "SELECT seq, at, forgotten, rid FROM journal WHERE seq>? ORDER BY seq LIMIT ?",
                (since, limit),
            ).fetchall()
        return [
            {
                "number": seq,
                "at": datetime.fromtimestamp(at, UTC).isoformat() if at else None,
                "what": "kept" if forgotten is None else "forgotten",
                "rid": rid,
            }
            for seq, at, forgotten, rid in rows
        ]

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self._directory / "koi.sqlite3"
        if not path.is_file():
            raise NoNetworkState(f"{self._directory} holds no state of a node")
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                yield database
        except sqlite3.Error as error:
            raise NoNetworkState(f"cannot read {path}: {error}") from None


def _bundles(database: sqlite3.Connection, kind: str) -> dict[str, dict[str, Any]]:
    rows = database.execute("SELECT rid, contents FROM bundle WHERE type=? ORDER BY rid", (kind,))
    return {rid: json.loads(contents) for rid, contents in rows}


def _edge(edges: list[dict[str, Any]], source: str, target: str) -> str | None:
    """Return the status of the edge on which events flow from one node to another."""
    for edge in edges:
        if (edge.get("source"), edge.get("target")) == (source, target):
            return str(edge.get("status")).lower()
    return None
