"""Archives that are stored and that no page has ever listed: left by hand, or by a lost page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.mirror.differences import Difference
from dpip.simple.filenames import release_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from dpip.mirror.catalog import Catalog

CHUNK = 500
_QUERY = """
SELECT sha256, filename FROM archives WHERE sha256>?
  AND NOT EXISTS (SELECT 1 FROM files WHERE files.key=archives.sha256)
ORDER BY sha256 LIMIT ?
"""


def unlisted(catalog: Catalog, private: Container[str]) -> Iterator[Difference]:
    """Yield them in order of their hash; files whose hash is in `private` are known elsewhere.

    What a page listed once has a tombstone that says why it went, and is no difference.
    """
    last = ""
    while rows := catalog.read(_QUERY, last, CHUNK):
        for sha256, filename in rows:
            if sha256 not in private:
                release = release_of(filename)
                name = release[0] if release else ""
                why = "stored, but no page lists it"
                yield Difference("extra", name, filename, None, None, sha256, why)
        last = rows[-1][0]
