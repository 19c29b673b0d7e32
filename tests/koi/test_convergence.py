"""Five nodes, bad weather: whatever happens, all end up with the same notes.

The machine writes, changes and forgets notes, each at the node that owns it, while requests
are lost, repeated, delayed and reordered, and nodes are killed and started again. Then the
weather clears, and every node must hold exactly what the owners hold.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dpip.koi import RID, Bundle, EventType, RIDType
from dpip.koi.testing import Faults, Ring

NOTE = RIDType.from_string("orn:test.note")
COUNT = 5
NODES = st.integers(0, COUNT - 1)
NAMES = st.integers(0, 3)


class Weather(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.directory = tempfile.mkdtemp()
        self.ring = Ring(COUNT, self.directory, rid_types=[NOTE], seed=seed)
        self.model: dict[RID, dict[str, Any]] = {}
        self.count = 0

    def _rid(self, node: int, name: int) -> RID:
        return RID.from_string(f"orn:test.note:{node}/{name}")

    @rule(node=NODES, name=NAMES)
    def write(self, node: int, name: int) -> None:
        self.count += 1
        rid, contents = self._rid(node, name), {"version": self.count}
        self.model[rid] = contents
        bundle = Bundle.generate(rid, contents, now=self.ring.clock())
        self.ring[node].processor.handle(bundle=bundle)

    @rule(node=NODES, name=NAMES)
    def forget(self, node: int, name: int) -> None:
        rid = self._rid(node, name)
        self.model.pop(rid, None)
        self.ring[node].processor.handle(rid=rid, event_type=EventType.FORGET)

    @rule(
        lost=st.sampled_from([0.0, 0.3]),
        unanswered=st.sampled_from([0.0, 0.3]),
        repeated=st.sampled_from([0.0, 0.5]),
        late=st.sampled_from([0.0, 0.3]),
    )
    def weather(self, lost: float, unanswered: float, repeated: float, late: float) -> None:
        self.ring.network.faults = Faults(lost, unanswered, repeated, late)

    @rule(seconds=st.sampled_from([0.0, 0.6, 5.0]))
    def go_on(self, seconds: float) -> None:
        self.ring.step()
        self.ring.advance(seconds)

    @rule()
    def late_requests_arrive(self) -> None:
        self.ring.network.deliver_late()

    @rule(node=NODES)
    def kill_and_restart(self, node: int) -> None:
        self.ring.kill(node)
        self.ring.restart(node)

    @invariant()
    def nothing_failed(self) -> None:
        assert all(node.processor.failures == 0 for node in self.ring.nodes)

    def teardown(self) -> None:
        if not hasattr(self, "ring"):
            return
        self.ring.network.faults = Faults()
        self.ring.network.deliver_late()
        for _ in range(3):
            self.ring.advance(120.0)
            self.ring.settle()
        for node in self.ring.nodes:
            held = {rid: node.cache.read(rid) for rid in node.cache.list_rids([NOTE])}
            assert {rid: bundle.contents for rid, bundle in held.items() if bundle} == self.model
        self.ring.close()
        shutil.rmtree(self.directory, ignore_errors=True)


TestWeather = Weather.TestCase
TestWeather.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class LongWeather(Weather):
    """The same for longer."""


TestLongWeather = pytest.mark.slow(pytest.mark.timeout(1800)(LongWeather.TestCase))
TestLongWeather.settings = settings(TestWeather.settings, max_examples=60, stateful_step_count=50)
