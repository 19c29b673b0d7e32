"""The changelog of an index, over XML-RPC: what happened since a serial.

`changelog_since_serial` answers some tens of thousands of events at most, in the order of their
serials, so it is asked again from the last one until nothing comes. `changelog_last_serial` and
`list_packages_with_serial` say where the index and its projects are now. An index whose pages
are at `…/simple/` answers at `…/pypi`; whether it does is found out by asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpip.simple.model import is_valid_name
from dpip.simple.names import normalize
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable
from dpip.simple.transport import body, without_credentials
from dpip.simple.xmlrpc import AnswerReader, encode_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dpip.simple.transport import Transport

REMOVED = "remove project"
MOST_PAGES = 100
"""Answers that are read before the root list is the cheaper way."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a project (normalized name); `action` as the index words it."""

    name: str
    serial: int
    action: str

    @property
    def is_removal(self) -> bool:
        """Whether the project as a whole went away."""
        return self.action == REMOVED


def changelog_url(index_url: str) -> str | None:
    """Return where an index would answer, None where its URL does not say."""
    location = index_url.rstrip("/")
    return f"{location.removesuffix('/simple')}/pypi" if location.endswith("/simple") else None


class Changelog:
    """The changelog at a URL. Raises UpstreamUnavailable where there is none, UpstreamInvalid."""

    def __init__(self, url: str, transport: Transport) -> None:
        self._url = url
        self._transport = transport

    @property
    def origin(self) -> str:
        """What its serials belong to."""
        return without_credentials(self._url)

    async def last_serial(self) -> int:
        """Return the newest serial."""
        found = await self._call("changelog_last_serial")
        if not _is_serial(found):
            raise UpstreamInvalid(f"{self.origin} tells no serial")
        return int(found)

    async def packages(self) -> dict[str, int]:
        """Return the newest serial of every project, by normalized name."""
        found = await self._call("list_packages_with_serial")
        if not isinstance(found, dict) or not all(map(_is_serial, found.values())):
            raise UpstreamInvalid(f"{self.origin} tells no serials of projects")
        return {normalize(name): serial for name, serial in found.items() if is_valid_name(name)}

    async def since(self, serial: int) -> AsyncIterator[Event]:
        """Yield what happened after `serial`, in order."""
        for _ in range(MOST_PAGES):
            rows = await self._call("changelog_since_serial", serial)
            if not isinstance(rows, list):
                raise UpstreamInvalid(f"{self.origin} tells no list of events")
            if not rows:
                return
            before = serial
            for row in rows:
                event = _event(row)
                if event.serial < serial:
                    raise UpstreamInvalid(f"{self.origin} tells events out of order")
                serial = event.serial
                if is_valid_name(event.name):
                    yield event
            if serial == before:
                raise UpstreamInvalid(f"{self.origin} tells the same events again")
        raise UpstreamUnavailable(f"{self.origin} tells too many events")

    async def _call(self, method: str, *numbers: int) -> Any:
        reader = AnswerReader()
        async with self._transport.post(self._url, encode_call(method, *numbers)) as response:
            if response.status != 200:
                raise UpstreamUnavailable(f"{self.origin} answers {response.status}")
            async for piece in body(response, self._url):
                reader.feed(piece)
        return reader.finish()


def _is_serial(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _event(row: Any) -> Event:
    """Read (name, version, time, action, serial)."""
    match row:
        case [str(name), _, _, action, serial] if _is_serial(serial):
            return Event(normalize(name), serial, action if isinstance(action, str) else "")
    raise UpstreamInvalid("upstream's changelog has an event that makes no sense")
