"""The nodes and edges that this node knows of, as a directed graph. No I/O but the cache.

Edges point the way that events flow: from `source` to `target`. The graph is built once
from the cache and then updated in place; contents that are not a profile are no part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..cache import Cache
from ..errors import InvalidContents
from ..model import convert
from ..protocol.edge import EdgeProfile, EdgeStatus
from ..protocol.node import NodeProfile
from ..rid import RID, KoiNetEdge, KoiNetNode, RIDType
from .directed import DirectedGraph, Edges

if TYPE_CHECKING:
    from collections.abc import Container

    from ..cache import BundleCache

Direction = Literal["in", "out"]


class _Identity(Protocol):
    @property
    def rid(self) -> KoiNetNode: ...


class NetworkGraph:
    """Look-ups over the graph; `dg` is the graph itself."""

    cache: BundleCache
    identity: _Identity
    dg: DirectedGraph

    def __init__(self, cache: BundleCache, identity: _Identity) -> None:
        self.cache = cache
        self.identity = identity
        self._nodes: dict[KoiNetNode, NodeProfile] = {}
        self._edges: dict[KoiNetEdge, EdgeProfile] = {}
        self._pairs: Edges = {}
        self._touching: dict[KoiNetNode, dict[KoiNetEdge, None]] = {}
        self._vouched: set[KoiNetEdge] = set()
        self.dg = DirectedGraph(self._nodes, self._pairs)
        self._keyed = _Keyed(self._nodes)

    def generate(self) -> None:
        """Build the graph anew from the cache."""
        self._nodes.clear()
        self._edges.clear()
        self._pairs.clear()
        self._touching.clear()
        self._vouched.clear()
        for rid in self.cache.list_rids([KoiNetNode, KoiNetEdge]):
            bundle = self.cache.read(rid)
            if bundle is not None:
                self.apply(rid, bundle.contents, told_by=self._introducer(rid))

    def _introducer(self, rid: RID) -> RID | None:
        record = self.cache.record(rid) if isinstance(self.cache, Cache) else None
        if record is None or record.source == "":
            return None
        return self.identity.rid if record.source is None else RID.from_string(record.source)

    def apply(
        self, rid: RID, contents: dict[str, Any] | None, *, told_by: RID | None = None
    ) -> None:
        """Take over one change of the cache; None means that the object is gone.

        `told_by` is who said so and signed it, or this node. Anybody may tell of edges between
        others; an edge that one of its ends has told of, and so is *vouched for*, goes before.
        """
        if isinstance(rid, KoiNetNode):
            profile = None if contents is None else _profile(contents, NodeProfile)
            if profile is None:
                self._nodes.pop(rid, None)
            else:
                self._nodes[rid] = profile
        elif isinstance(rid, KoiNetEdge):
            vouched = self._edges[rid] if rid in self._vouched else None
            self._unlink(rid)
            edge = None if contents is None else _profile(contents, EdgeProfile)
            if edge is not None:
                ends = (edge.source, edge.target)
                if told_by in ends or (vouched and (vouched.source, vouched.target) == ends):
                    self._vouched.add(rid)
                self._link(rid, edge)

    def _link(self, rid: KoiNetEdge, edge: EdgeProfile) -> None:
        self._edges[rid] = edge
        for end in (edge.source, edge.target):
            self._touching.setdefault(end, {})[rid] = None
        other = self.edge_between(edge.source, edge.target)
        if other is None or rid in self._vouched or other not in self._vouched:
            self._pairs[edge.source, edge.target] = {"rid": rid}

    def _unlink(self, rid: KoiNetEdge) -> None:
        old = self._edges.pop(rid, None)
        self._vouched.discard(rid)
        if old is None:
            return
        for end in {old.source, old.target}:
            del self._touching[end][rid]
            if not self._touching[end]:
                del self._touching[end]
        if self._pairs[old.source, old.target]["rid"] != rid:
            return
        del self._pairs[old.source, old.target]
        # Nothing stops peers from making two edges between the same nodes.
        for other in self.edges_of(old.source):
            edge = self._edges[other]
            if (edge.source, edge.target) == (old.source, old.target):
                self._pairs[old.source, old.target] = {"rid": other}

    def get_edges(self, direction: Direction | None = None) -> list[KoiNetEdge]:
        """Return this node's edges: those that bring events ("in"), carry them ("out"), all."""
        me = self.identity.rid
        found = []
        for rid in self.edges_of(me):
            edge = self._edges.get(rid)
            if edge is None or self.edge_between(edge.source, edge.target) != rid:
                continue
            if (direction != "in" and edge.source == me) or (
                direction != "out" and edge.target == me
            ):
                found.append(rid)
        return found

    def get_neighbors(
        self,
        direction: Direction | None = None,
        status: EdgeStatus | None = None,
        allowed_type: RIDType | None = None,
    ) -> list[KoiNetNode]:
        """Return the nodes at the other end of this node's edges, each once.

        `status` and `allowed_type` keep only edges of that status, or that carry that type.
        """
        me = self.identity.rid
        neighbors: dict[KoiNetNode, None] = {}
        for rid in self.get_edges(direction):
            edge = self._edges.get(rid)
            if edge is None or (status and edge.status != status):
                continue
            if allowed_type is not None and allowed_type not in edge.rid_types:
                continue
            neighbors[edge.target if edge.source == me else edge.source] = None
        return list(neighbors)

    def get_node_profile(self, rid: KoiNetNode) -> NodeProfile | None:
        """Return what a node says about itself, if it is known."""
        return self._nodes.get(rid)

    def get_edge_profile(
        self,
        rid: KoiNetEdge | None = None,
        source: KoiNetNode | None = None,
        target: KoiNetNode | None = None,
    ) -> EdgeProfile | None:
        """Return an edge by its RID or by its two ends, if it is known."""
        if rid is None and source is not None and target is not None:
            rid = self.edge_between(source, target)
        return None if rid is None else self._edges.get(rid)

    def tells(self, source: KoiNetNode, target: KoiNetNode, kind: RIDType) -> bool:
        """Say whether a node has agreed to tell another of a type, as one of the two says."""
        edge = self.vouched_edge(source, target)
        return edge is not None and edge.status == EdgeStatus.APPROVED and kind in edge.rid_types

    def vouched_edge(self, source: KoiNetNode, target: KoiNetNode) -> EdgeProfile | None:
        """Return the edge from one node to another, if one of them has told of it."""
        rid = self.edge_between(source, target)
        return self._edges.get(rid) if rid is not None and rid in self._vouched else None

    def edge_between(self, source: KoiNetNode, target: KoiNetNode) -> KoiNetEdge | None:
        """Return the RID of the edge from one node to another."""
        data = self._pairs.get((source, target))
        return None if data is None else data["rid"]

    def edges_of(self, node: KoiNetNode) -> list[KoiNetEdge]:
        """Return every known edge that touches a node."""
        return list(self._touching.get(node, ()))

    def profiles(self) -> list[tuple[KoiNetNode, NodeProfile]]:
        """Return every known node with its profile."""
        return list(self._nodes.items())

    @property
    def keyed(self) -> Container[KoiNetNode]:
        """The nodes that sign: those with a key in their profile, or in their RID."""
        return self._keyed

    def node_at(self, url: str, *, besides: Container[KoiNetNode] = ()) -> KoiNetNode | None:
        """Return the node that claims a base URL; `besides` are not meant."""
        wanted = url.rstrip("/")
        for rid, profile in self.profiles():
            if (profile.base_url or "").rstrip("/") == wanted and rid not in besides:
                return rid
        return None


class _Keyed:
    __slots__ = ("_nodes",)

    def __init__(self, nodes: dict[KoiNetNode, NodeProfile]) -> None:
        self._nodes = nodes

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, KoiNetNode):
            return False
        profile = self._nodes.get(node)
        return node.names_key or (profile is not None and profile.public_key is not None)


def _profile(contents: dict[str, Any], kind: type[Any]) -> Any:
    try:
        return convert(contents, kind)
    except InvalidContents:
        return None
