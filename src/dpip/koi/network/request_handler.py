"""Requests to other nodes, as blocking calls: by RID or by URL, with a model or its fields."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import finalize

from ..envelopes import Envelopes
from ..errors import InvalidContents
from ..model import convert
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
from .address import AddressPolicy
from .background import Background
from .caller import Caller
from .transport import HttpTransport

if TYPE_CHECKING:
    from ..cache import BundleCache
    from ..rid import RID, KoiNetNode
    from .background import Runner
    from .graph import NetworkGraph

T = TypeVar("T")


class RequestHandler:
    """The five requests. All raise UnreachablePeer or UnusableAnswer.

    Each takes either a request model as `req`, or its fields by keyword. Made with a cache
    and a graph only, it calls on its own: see `standalone`.
    """

    cache: BundleCache
    graph: NetworkGraph

    def __init__(
        self,
        cache: BundleCache,
        graph: NetworkGraph,
        *,
        caller: Caller | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.cache = cache
        self.graph = graph
        self._caller = caller or standalone(graph)
        self._runner = runner or self._own_runner()

    def _own_runner(self) -> Runner:
        runner = Background()
        finalize(self, _end, runner, self._caller)
        return runner

    def get_url(self, node_rid: KoiNetNode | None, url: str | None) -> str:
        """Return where a node is called, or the URL given."""
        return self._runner.call(self._caller.peer(node_rid, url)).url

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


def standalone(graph: NetworkGraph) -> Caller:
    """Return a caller for the node whose graph this is, with connections of its own."""
    identity: Any = graph.identity
    envelopes = Envelopes(identity, graph, allow_unsigned=True)
    addresses = AddressPolicy.for_node(identity.profile.base_url)
    return Caller(identity, graph, envelopes, HttpTransport(addresses))


def _end(runner: Background, caller: Caller) -> None:
    if runner.running:
        runner.call(caller.transport.close())
        runner.close()


def _request(kind: type[T], req: T | None, fields: dict[str, Any]) -> T:
    if req is not None:
        return req
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(fields.keys() - known):
        raise InvalidContents(f"{kind.__name__} has no {', '.join(unknown)}")
    return convert(fields, kind)
