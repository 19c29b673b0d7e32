"""Why a file is not offered any more, or only to those who pin it.

A tombstone is written in the transaction that changes a project's page, so that no moment
exists in which a file has vanished without a reason. It goes away when the file is offered
again.

A file whose name now stands for other bytes leaves one too, which stays. The page lists what
upstream says it is now; what it was is still served by its hash, to those who pin that.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from dpip.mirror.rows import Rows
    from dpip.simple.model import Project


QUARANTINED = "quarantined"
"""The status (PEP 792) of a project of which nothing is offered."""
SHA256_HEX = 64
"""Length of a key that is a hash; others are made from URLs."""


class Reason(enum.StrEnum):
    """What became of a file.

    A yanked one is still listed (PEP 592); of a replaced one the name is, for other bytes.
    """

    DELETED = "deleted"
    YANKED = "yanked"
    QUARANTINED = "quarantined"
    FILTERED = "filtered"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One file that is gone; `since` is seconds since the epoch, `detail` for people."""

    project: str
    filename: str
    key: str
    reason: Reason
    detail: str
    since: float


Said = dict[str, tuple[Reason, str]]
"""File name to what its page, or a filter, says became of it, with a detail."""


def said_of(project: Project, left_out: Mapping[str, str]) -> Said:
    """Return what a page and the filter over it say: left out, quarantined, yanked."""
    said: Said = {name: (Reason.FILTERED, why) for name, why in left_out.items()}
    if project.status == QUARANTINED:
        detail = project.status_reason or ""
        return said | {f.filename: (Reason.QUARANTINED, detail) for f in project.files}
    yanked = {f.filename: (Reason.YANKED, f.yanked) for f in project.files if f.yanked is not None}
    return said | yanked


def settle(
    connection: sqlite3.Connection,
    project: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    said: Said,
    *,
    now: float,
    otherwise: Reason = Reason.DELETED,
) -> None:
    """Write and remove tombstones for a page that changes, inside its transaction.

    `before` and `after` map the names of listed files to their keys. What vanished without a
    word vanished for the reason `otherwise`.
    """
    gone: Said = {
        filename: said.get(filename, (otherwise, ""))
        for filename in before
        if filename not in after or filename in said
    }
    gone |= {name: said[name] for name in after.keys() - before.keys() if name in said}
    gone |= _replaced(before, after, said)
    lie = connection.execute("SELECT filename FROM tombstones WHERE project=?", (project,))
    back = [(project, name) for (name,) in lie if name in after and name not in gone]
    connection.executemany(
        "DELETE FROM tombstones WHERE project=? AND filename=? AND reason!='replaced'", back
    )
    keys = {**after, **before}
    connection.executemany(
        "INSERT INTO tombstones (project, filename, key, reason, detail, since)"
        " SELECT ?, ?, coalesce(?, (SELECT key FROM files WHERE project=? AND filename=?), ''),"
        "  ?, ?, ?"
        " WHERE true ON CONFLICT (project, filename) DO UPDATE SET"
        "  since=CASE WHEN reason=excluded.reason THEN since ELSE excluded.since END,"
        "  reason=excluded.reason, detail=excluded.detail, key=excluded.key",
        [
            (project, name, keys.get(name), project, name, reason, detail, now)
            for name, (reason, detail) in gone.items()
        ],
    )


def gone(catalog: Rows, reasons: Iterable[Reason], before: float) -> set[str]:
    """Return the hashes of files that went for these reasons, and that no page lists now.

    Only those that went before `before`, in seconds since the epoch.
    """
    wanted = list(reasons)
    rows = catalog.read(
        "SELECT DISTINCT coalesce(was.sha256, was.key) AS hash FROM tombstones AS gone"
        " JOIN files AS was ON was.key = gone.key AND was.filename = gone.filename"
        f" WHERE gone.since < ? AND gone.reason IN ({','.join('?' * len(wanted))})"
        " AND NOT EXISTS (SELECT 1 FROM files WHERE files.key IN (hash, gone.key) AND listed)",
        before,
        *wanted,
    )
    return {row[0] for row in rows}


def _replaced(before: Mapping[str, str], after: Mapping[str, str], said: Said) -> Said:
    """Return the files whose names stand for other bytes now, as far as hashes can say."""
    hashed = {name: key for name, key in before.items() if len(key) == SHA256_HEX}
    return {
        name: (Reason.REPLACED, f"sha256 {key} is now {after[name]}")
        for name, key in hashed.items()
        if name in after and name not in said and len(after[name]) == SHA256_HEX
        if after[name] != key
    }


def of_project(catalog: Rows, project: str) -> list[Tombstone]:
    """Return what is known of a project's files that are gone, or yanked."""
    rows = catalog.read(
        "SELECT project, filename, key, reason, detail, since FROM tombstones"
        " WHERE project=? ORDER BY filename",
        project,
    )
    return [Tombstone(row[0], row[1], row[2], Reason(row[3]), *row[4:]) for row in rows]
