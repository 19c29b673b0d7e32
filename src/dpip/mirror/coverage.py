"""How complete a mirror is: counts and sizes, and what is missing, late or failing.

The counts read whole indexes of the catalog: seconds for millions of files, so they belong to
a person's question and not to a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.mirror.worklist import Worklist

if TYPE_CHECKING:
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.follow import Followed

_STORED = "EXISTS (SELECT 1 FROM archives WHERE archives.sha256=files.sha256)"


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that a page lists and the mirror lacks; `size` is bytes if upstream tells it."""

    project: str
    filename: str
    sha256: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts; sizes are bytes, as far as they are known before a file is here.

    `late` projects are due, `failing` ones have failed since.

    `gone` counts tombstones by reason.
    """

    projects: int
    late: int
    failing: int
    files: int
    size: int
    stored: int
    stored_size: int
    gone: dict[str, int]
    serial: int | None

    @property
    def complete(self) -> bool:
        """Whether nothing is late, failing or missing."""
        return not self.late and not self.failing and self.stored == self.files


def coverage(catalog: Catalog) -> Coverage:
    """Count what the mirror follows, lists and stores."""
    worklist = Worklist(catalog)
    counts = worklist.counts()
    files, size, stored, stored_size = catalog.read(
        "SELECT count(*), coalesce(sum(coalesce(archives.size, files.size)), 0),"
        " count(archives.sha256), coalesce(sum(archives.size), 0)"
        " FROM files LEFT JOIN archives ON archives.sha256=files.sha256 WHERE listed=1"
    )[0]
    gone = catalog.read("SELECT reason, count(*) FROM tombstones GROUP BY reason ORDER BY reason")
    serial = worklist.mark("serial")
    return Coverage(
        projects=counts["followed"],
        late=counts["due"] - counts["failing"],
        failing=counts["failing"],
        files=files,
        size=size,
        stored=stored,
        stored_size=stored_size,
        gone=dict(gone),
        serial=int(serial) if serial else None,
    )


def missing(catalog: Catalog, limit: int) -> list[Missing]:
    """Return some of the listed files that are not stored."""
    rows = catalog.read(
        "SELECT project, filename, sha256, size FROM files"
        f" WHERE listed=1 AND NOT {_STORED} LIMIT ?",
        limit,
    )
    return [Missing(*row) for row in rows]


def failing(catalog: Catalog, limit: int) -> list[Followed]:
    """Return some of the projects that failed, the worst first, with their last problem."""
    return Worklist(catalog).waiting(limit)
