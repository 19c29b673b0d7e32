"""`graph.dg`: the graph itself, with the vocabulary of networkx for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..rid import KoiNetEdge, KoiNetNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..protocol.node import NodeProfile

Pair = tuple[KoiNetNode, KoiNetNode]
Edges = dict[Pair, dict[str, KoiNetEdge]]


class NodeView(list[KoiNetNode]):
    """The nodes; may be called, as `dg.nodes()`."""

    def __call__(self) -> NodeView:
        """Return the nodes."""
        return self


class EdgeView(Edges):
    """(source, target) to `{"rid": edge RID}`; may be called, as `dg.edges(data=True)`."""

    def __call__(self, *, data: bool | str = False) -> list[Any]:
        """Return pairs; with `data`, triples that end in the edge's dict, or in one value."""
        if data is False:
            return list(self)
        return [
            (*pair, dict(held) if data is True else held.get(str(data)))
            for pair, held in self.items()
        ]


class DirectedGraph:
    """A view of the nodes and edges that `NetworkGraph` knows. Edges point as events flow."""

    def __init__(self, nodes: dict[KoiNetNode, NodeProfile], edges: Edges) -> None:
        self._nodes = nodes
        self._edges = edges

    @property
    def nodes(self) -> NodeView:
        """Every node that has a profile or an edge."""
        ends = [end for pair in list(self._edges) for end in pair]
        return NodeView(dict.fromkeys([*self._nodes, *ends]))

    @property
    def edges(self) -> EdgeView:
        """Every edge, by its ends."""
        return EdgeView(self._edges)

    def out_edges(self, node: KoiNetNode | None = None) -> list[Pair]:
        """Return the pairs of ends of the edges that leave a node, or of all."""
        return [pair for pair in list(self._edges) if node is None or pair[0] == node]

    def in_edges(self, node: KoiNetNode | None = None) -> list[Pair]:
        """Return the pairs of ends of the edges that lead to a node, or of all."""
        return [pair for pair in list(self._edges) if node is None or pair[1] == node]

    def get_edge_data(
        self, source: KoiNetNode, target: KoiNetNode, default: Any = None
    ) -> dict[str, KoiNetEdge] | Any:
        """Return `{"rid": edge RID}` of the edge between two nodes."""
        found = self._edges.get((source, target))
        return default if found is None else dict(found)

    def successors(self, node: KoiNetNode) -> Iterator[KoiNetNode]:
        """Yield the subscribers of a node."""
        return iter([target for _, target in self.out_edges(node)])

    def neighbors(self, node: KoiNetNode) -> Iterator[KoiNetNode]:
        """Yield the subscribers of a node."""
        return self.successors(node)

    def predecessors(self, node: KoiNetNode) -> Iterator[KoiNetNode]:
        """Yield the nodes that a node is subscribed to."""
        return iter([source for source, _ in self.in_edges(node)])

    def has_node(self, node: KoiNetNode) -> bool:
        """Say whether the node is known."""
        return node in self._nodes or node in self.nodes

    def has_edge(self, source: KoiNetNode, target: KoiNetNode) -> bool:
        """Say whether events flow from `source` to `target`."""
        return (source, target) in self._edges

    def number_of_nodes(self) -> int:
        """Return how many nodes there are."""
        return len(self.nodes)

    def number_of_edges(self) -> int:
        """Return how many edges there are."""
        return len(self._edges)

    def __contains__(self, node: object) -> bool:
        return node in self.nodes

    def __iter__(self) -> Iterator[KoiNetNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)
