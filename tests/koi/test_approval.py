"""Nothing falls between the look at what a provider has and its approval of the subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dpip.koi import RID, Bundle, HandlerType, KnowledgeHandler, KnowledgeSource, RIDType
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.rid import KoiNetEdge
from dpip.koi.testing import Ring

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.koi import KnowledgeObject
    from dpip.koi.processor.interface import ProcessorInterface

NOTE = RIDType.from_string("orn:test.note")
LATE = Bundle.generate(RID.from_string("orn:test.note:late"), {})


def learn(processor: ProcessorInterface, kobj: KnowledgeObject) -> None:
    """As the first node: keep a note, and tell nobody, on the point of approving an edge."""
    me = processor.identity.rid
    if me.name == "node0" and (kobj.contents or {}).get("source") == str(me):
        processor.cache.write(LATE)


@pytest.mark.parametrize("journal", [True, False], ids=["with a journal", "without one"])
def test_what_a_provider_learned_before_it_approved_is_learned_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, journal: bool
) -> None:
    late = KnowledgeHandler(learn, HandlerType.Bundle, [KoiNetEdge], KnowledgeSource.External)
    if not journal:
        monkeypatch.setattr("dpip.koi.network.interface.Journal", lambda _: None)
    with Ring(2, tmp_path, rid_types=[NOTE], handlers=[late, *coordinator_handlers]) as ring:
        for _ in range(2):
            ring.advance(5.0)
            ring.settle()
        assert ring[0].cache.exists(LATE.rid)
        assert ring[1].cache.exists(LATE.rid)
