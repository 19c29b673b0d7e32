"""Project pages: from the store while fresh, else asked for, with validators where known.

Freshness is what the server says (RFC 9111: `max-age`, `no-cache`); a page without any word
on it is asked for again on each run. Several indexes follow the first-index strategy: a name
belongs to the first index that knows it, extra indexes before the main one, so that nobody
can take a private name over by publishing it elsewhere. Files found by --find-links are
added to whatever the index lists.
"""

from __future__ import annotations

import re
import threading
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from dpip.resolve import pages
from dpip.resolve.asking import PAGE_HEADERS
from dpip.resolve.errors import HttpFailure
from dpip.resolve.facts import Project, Unavailable
from dpip.resolve.file_rows import url_on
from dpip.resolve.store import StoredPage
from dpip.resolve.transport import Request, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dpip.resolve.find_links import FindLinks
    from dpip.resolve.store import Store
    from dpip.resolve.transport import Response, Transport

_PARSING = threading.Semaphore(1)
"""Pages are parsed one by one: side by side is no faster and holds all their rows at once."""
NOT_FOUND = b""
"""The digest, and the record, of a page that is not there: that too is worth remembering."""


class Read(msgspec.Struct, frozen=True):
    """A page that a result stands on: asked again, it must still have this digest."""

    index: str
    """Base URL of the index, without secrets."""
    name: str
    digest: bytes
    fresh_until: float


class Indexes:
    """All places that list files; thread-safe.

    `urls` are in order of priority and may carry credentials. `now` is the one moment that
    the whole run takes for the present, in seconds since the epoch.
    """

    def __init__(
        self,
        urls: Iterable[str],
        transport: Transport,
        store: Store,
        *,
        now: float,
        find_links: FindLinks | None = None,
        offline: bool = False,
        refresh: bool = False,
    ) -> None:
        self._urls = tuple(url if url.endswith("/") else url + "/" for url in urls)
        self._transport = transport
        self._store = store
        self._now = now
        self._find_links = find_links
        self._offline = offline
        self._refresh = refresh
        self._lock = threading.Lock()
        self._reads: dict[tuple[str, str], Read] = {}

    @property
    def urls(self) -> tuple[str, ...]:
        """The indexes, in order of priority, with their secrets."""
        return self._urls

    @property
    def reads(self) -> tuple[Read, ...]:
        """What was read so far, in a fixed order."""
        with self._lock:
            return tuple(self._reads[key] for key in sorted(self._reads))

    def at_hand(self, name: str) -> Project | Unavailable | None:
        """Return what the store can say for sure, without asking anybody."""
        if self._refresh:
            return None
        for index in self._urls:
            url = page_url(index, name)
            held = self._store.page(without_secrets(url))
            if held is None or not (self._offline or held.fresh_until > self._now):
                return None
            self._note(index, name, held)
            if held.record != NOT_FOUND:
                return self._fact(name, held.record)
        return self._fact(name, NOT_FOUND)

    def project(self, name: str) -> Project | Unavailable:
        """Return a project from the first index that has it.

        Raises Unreachable, HttpFailure or BadAnswer where an index cannot be believed to lack
        the name: going on with the next one would let an outage change the result.
        """
        for index in self._urls:
            held = self._current(index, name)
            if isinstance(held, Unavailable):
                return held
            if held.record != NOT_FOUND:
                return self._fact(name, held.record)
        return self._fact(name, NOT_FOUND)

    def _fact(self, name: str, record: bytes) -> Project | Unavailable:
        page = pages.decode(record) if record != NOT_FOUND else None
        if page is not None and _LOCAL.search(record):
            page = _without_local(page)
        if self._find_links is not None:
            page = self._find_links.added_to(page, name)
        if page is None:
            if self._offline:
                return Unavailable("offline", "it is not stored, and --offline forbids to ask")
            return Unavailable("not-found", f"no index has a project {name}")
        return pages.project(page)

    def _current(self, index: str, name: str) -> StoredPage | Unavailable:
        url = page_url(index, name)
        held = self._store.page(without_secrets(url))
        if held is None or not (self._offline or held.fresh_until > self._now) or self._refresh:
            if self._offline:
                return StoredPage(None, None, 0, NOT_FOUND, NOT_FOUND)
            answer = self._ask(index, name, url, held)
            if isinstance(answer, Unavailable):
                return answer
            held = answer
        self._note(index, name, held)
        return held

    def _ask(
        self, index: str, name: str, url: str, held: StoredPage | None
    ) -> StoredPage | Unavailable:
        bare = without_secrets(url)
        with self._transport.send(Request(url, _request_headers(held))) as response:
            until = self._now + max_age(response.headers)
            if response.status == 304 and held is not None:
                self._store.refresh_page(bare, until)
                return held._replace(fresh_until=until)
            if response.status in {404, 410}:
                fresh = StoredPage(None, None, until, NOT_FOUND, NOT_FOUND)
            elif response.status in {401, 403}:
                return Unavailable("refused", f"{bare} answers {response.status}")
            elif response.status != 200:
                raise HttpFailure(bare, response.status)
            else:
                fresh = _read(response, index, name, until, held)
        self._store.put_page(bare, fresh)
        return fresh

    def check(self, index: str, name: str) -> Read | None:
        """Return what a page is now, asking its index if that is due; None if it refuses."""
        held = self._current(index, name)
        if isinstance(held, Unavailable):
            return None
        return Read(without_secrets(index), name, held.digest, held.fresh_until)

    def _note(self, index: str, name: str, held: StoredPage) -> None:
        bare = without_secrets(index)
        with self._lock:
            self._reads[bare, name] = Read(bare, name, held.digest, held.fresh_until)


_LOCAL = re.compile(rb"file:", re.IGNORECASE)


def _without_local(page: pages.PageRecord) -> pages.PageRecord:
    """Leave out files of this machine: an index has no say about those."""
    kept = [row for row in pages.rows(page) if not _is_local(url_on(page.base, row.url))]
    return pages.group(kept, page.name, page.base, page.index)


def _is_local(url: str) -> bool:
    return url.lstrip().lower().startswith("file:")


def _request_headers(held: StoredPage | None) -> dict[str, str]:
    headers = dict(PAGE_HEADERS)
    if held is not None and held.etag:
        headers["If-None-Match"] = held.etag
    elif held is not None and held.modified:
        headers["If-Modified-Since"] = held.modified
    return headers


def _read(
    response: Response, index: str, name: str, until: float, held: StoredPage | None
) -> StoredPage:
    body = response.read(pages.MAX_PAGE)
    digest = blake2b(body, digest_size=16).digest()
    headers = response.headers
    if held is not None and held.digest == digest:
        record = held.record
    else:
        kind = headers.get("content-type", "")
        base, listed = without_secrets(response.url), without_secrets(index)
        with _PARSING:
            record = pages.encode(pages.parse(body, kind, name, base, listed))
    return StoredPage(headers.get("etag"), headers.get("last-modified"), until, digest, record)


def page_url(index: str, name: str) -> str:
    """Return the URL of a project's page (PEP 503)."""
    return f"{index}{quote(name)}/"


def max_age(headers: Mapping[str, str]) -> float:
    """Return for how many seconds an answer may be used unasked."""
    age = 0.0
    for part in headers.get("cache-control", "").lower().split(","):
        directive, _, value = part.strip().partition("=")
        if directive in {"no-cache", "no-store"}:
            return 0.0
        if directive == "max-age" and value.strip('"').isdigit():
            age = float(value.strip('"'))
    spent = headers.get("age", "")
    return max(0.0, age - (float(spent) if spent.isdigit() else 0.0))
