"""Networks of nodes in one process and one thread, for tests of your own handlers.

>>> from tempfile import mkdtemp
>>> from dpip.koi import RID, Bundle
>>> with Ring(3, mkdtemp()) as ring:
...     note = ring[0].cache.write(Bundle.generate(RID.from_string("orn:test.note:1"), {"n": 1}))
...     ring[0].processor.handle(rid=note.rid)
...     ring.settle()
"""

from __future__ import annotations

from .cache import MemoryCache
from .clock import FakeClock
from .network import FakeNetwork, Faults, Line
from .ring import Ring
from .scheduler import Scheduler

__all__ = ["FakeClock", "FakeNetwork", "Faults", "Line", "MemoryCache", "Ring", "Scheduler"]
