"""Full nodes in one process that all know each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..node import NodeInterface
from ..processor.default_handlers import coordinator_handlers
from ..protocol.consts import PREFIX
from ..protocol.node import NodeProfile, NodeProvides, NodeType
from ..responder import Responder
from ..rid import KoiNetEdge, KoiNetNode, RIDType
from .clock import FakeClock
from .network import FakeNetwork
from .scheduler import Scheduler

if TYPE_CHECKING:
    from typing import Self


class Ring:
    """`count` nodes that provide and want the same RID types; the first one coordinates.

    Their state is below `directory`, so that a node can be killed and started again.
    `options` go to every NodeInterface.
    """

    def __init__(
        self,
        count: int,
        directory: Path | str,
        *,
        rid_types: Sequence[RIDType] = (),
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.network = FakeNetwork(seed=seed)
        self.clock = FakeClock()
        self.rid_types = [KoiNetNode, KoiNetEdge, *rid_types]
        self._directory = Path(directory)
        self._options = options
        self._schedulers: list[Scheduler] = []
        self.nodes: list[NodeInterface] = []
        self.down: set[int] = set()
        """The nodes that were killed and not started again."""
        for number in range(count):
            self._schedulers.append(Scheduler())
            self.nodes.append(self._make(number))
            self._begin(number)
            self.settle()

    def __getitem__(self, number: int) -> NodeInterface:
        return self.nodes[number]

    def __len__(self) -> int:
        return len(self.nodes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make(self, number: int) -> NodeInterface:
        home = self._directory / f"node{number}"
        home.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {
            "allow_unsigned": False,
            "rid_types_of_interest": self.rid_types,
            "handlers": coordinator_handlers,
            "transport": self.network.line(f"node{number}"),
            **self._options,
        }
        return NodeInterface(
            f"node{number}",
            NodeProfile(
                base_url=f"http://node{number}{PREFIX}",
                node_type=NodeType.FULL,
                provides=NodeProvides(event=self.rid_types, state=self.rid_types),
            ),
            home / "identity.json",
            home / "event_queues.json",
            home / "rid_cache",
            first_contact=f"http://node0{PREFIX}" if number else None,
            clock=self.clock,
            runner=self._schedulers[number],
            **options,
        )

    def _begin(self, number: int) -> None:
        self.network.join(f"node{number}", Responder(self.nodes[number]))
        self.nodes[number].start()

    def kill(self, number: int) -> None:
        """End a node as a kill -9 would: nothing is written that was not written yet."""
        self.network.leave(f"node{number}")
        self._schedulers[number].close()
        self.nodes[number].store.abandon()
        self.down.add(number)

    def restart(self, number: int) -> None:
        """Start a killed node again, on the state that it left."""
        self._schedulers[number] = Scheduler()
        self.nodes[number] = self._make(number)
        self.down.discard(number)
        self._begin(number)

    @property
    def up(self) -> list[NodeInterface]:
        """The nodes that run."""
        return [node for number, node in enumerate(self.nodes) if number not in self.down]

    def step(self) -> None:
        """Let every node process its queue and do what it does on the side."""
        for number, node in enumerate(self.nodes):
            if number in self.down:
                continue
            if self._schedulers[number].turn() or node.processor.queue_size:
                node.processor.flush_kobj_queue()

    def settle(self, *, rounds: int = 200) -> None:
        """Go on, letting time pass, until nothing moves any more."""
        for _ in range(rounds):
            before = self.network.requests
            self.step()
            queued = sum(node.processor.queue_size for node in self.up)
            waiting = sum(len(node.network.outbox.targets()) for node in self.up)
            if not queued and not waiting and before == self.network.requests:
                return
            self.advance(1.0 if before == self.network.requests else 0.0)

    def advance(self, seconds: float) -> None:
        """Let time pass for every node."""
        self.clock.advance(seconds)
        for scheduler in self._schedulers:
            scheduler.advance(seconds)

    def close(self) -> None:
        """End all nodes."""
        for number in set(range(len(self.nodes))) - self.down:
            self.kill(number)
