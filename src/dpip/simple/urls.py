"""URLs of files joined to their page's: what `urljoin` says, sooner for those that pages have.

A page has up to thousands of files. Their URLs are nearly always plain absolute ones, or climb
from the page to a folder of files and go down again.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urljoin

_BELOW = re.compile(
    r"(?:[A-Za-z0-9_~%+!@][A-Za-z0-9._~%+!@-]*/)*[A-Za-z0-9_~%+!@][A-Za-z0-9._~%+!@-]*"
)
_ABSOLUTE = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d+)?/[A-Za-z0-9._~%+!/@-]*")


def joined(base: str, url: str) -> str:
    """Return what `urljoin` does; raises ValueError as it does."""
    if _ABSOLUTE.fullmatch(url):
        return url
    climbs, last, below = url.rpartition("../")
    levels = len(climbs + last) // 3
    if not levels or climbs + last != "../" * levels or not _BELOW.fullmatch(below):
        return urljoin(base, url)
    return _folder(base, levels) + below


@lru_cache(maxsize=4096)
def _folder(base: str, levels: int) -> str:
    return urljoin(base, "../" * levels)
