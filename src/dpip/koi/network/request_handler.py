"""Requests to other nodes, as blocking calls: by RID or by URL, with a model or its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InvalidContents
from ..protocol.api_models import (
    BundlesPayload,
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    ManifestsPayload,
    PollEvents,
    RidsPayload,
)
from ..protocol.consts import (
    FETCH_BUNDLES_PATH,
    FETCH_MANIFESTS_PATH,
    FETCH_RIDS_PATH,
    POLL_EVENTS_PATH,
)

if TYPE_CHECKING:
    from ..rid import RID
    from .background import Runner
    from .caller import Caller

T = TypeVar("T")


class RequestHandler:
    """The five requests. All raise UnreachablePeer or UnusableAnswer.

    Each takes either a request model as `req`, or its fields by keyword.
    """

    def __init__(self, caller: Caller, runner: Runner) -> None:
        self._caller = caller
        self._runner = runner

    def broadcast_events(
        self,
        node: RID | None = None,
        url: str | None = None,
        req: EventsPayload | None = None,
        **kwargs: Any,
    ) -> None:
        """Deliver events now."""
        payload = _request(EventsPayload, req, kwargs)

        async def deliver() -> None:
            await self._caller.broadcast(await self._caller.peer(node, url), payload.events)

        self._runner.call(deliver())

    def poll_events(
        self,
        node: RID | None = None,
        url: str | None = None,
        req: PollEvents | None = None,
        **kwargs: Any,
    ) -> EventsPayload:
        """Take the events that a node has queued for this one."""
        payload = _request(PollEvents, req, kwargs)
        return self._ask(node, url, POLL_EVENTS_PATH, payload, EventsPayload)

    def fetch_rids(
        self,
        node: RID | None = None,
        url: str | None = None,
        req: FetchRids | None = None,
        **kwargs: Any,
    ) -> RidsPayload:
        """Ask which RIDs of some types a node holds."""
        return self._ask(node, url, FETCH_RIDS_PATH, _request(FetchRids, req, kwargs), RidsPayload)

    def fetch_manifests(
        self,
        node: RID | None = None,
        url: str | None = None,
        req: FetchManifests | None = None,
        **kwargs: Any,
    ) -> ManifestsPayload:
        """Ask for manifests by RID or by type."""
        payload = _request(FetchManifests, req, kwargs)
        return self._ask(node, url, FETCH_MANIFESTS_PATH, payload, ManifestsPayload)

    def fetch_bundles(
        self,
        node: RID | None = None,
        url: str | None = None,
        req: FetchBundles | None = None,
        **kwargs: Any,
    ) -> BundlesPayload:
        """Ask for bundles by RID."""
        payload = _request(FetchBundles, req, kwargs)
        return self._ask(node, url, FETCH_BUNDLES_PATH, payload, BundlesPayload)

    def _ask(self, node: RID | None, url: str | None, path: str, payload: Any, kind: type[T]) -> T:
        async def ask() -> T:
            return await self._caller.ask(await self._caller.peer(node, url), path, payload, kind)

        return self._runner.call(ask())


def _request(kind: type[T], req: T | None, fields: dict[str, Any]) -> T:
    if req is not None:
        return req
    try:
        return kind(**fields)
    except TypeError as error:
        raise InvalidContents(f"{kind.__name__}: {error}") from None
