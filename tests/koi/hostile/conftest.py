from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi.interop.child import OURS, Child
from tests.koi.interop.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Return a coordinator of ours, one for all tests of a module."""
    with Child(OURS, "coordinator", tmp_path_factory.mktemp("victim")) as child:
        yield Subject(child, "signed")


@pytest.fixture
def victim(running: Subject) -> Iterator[Subject]:
    """Return the node under attack; afterwards it must serve, and be itself, as before."""
    watcher = running.meet(name="watcher")
    before = watcher.held(running.url, running.rid, running.rid)
    rid = f"orn:test.kept:{watcher.rid[-16:]}"
    running.tell(watcher, _note(rid))
    running.settles(watcher, rid, {"kept": True})
    yield running
    assert running.child.alive()
    assert watcher.held(running.url, running.rid, running.rid) == before
    assert watcher.held(running.url, running.rid, rid) == {"kept": True}
    late = running.meet(name="latecomer")
    running.tell(late, _note(rid + "-late"))
    running.settles(late, rid + "-late", {"kept": True})


def _note(rid: str) -> dict[str, object]:
    from tests.koi import raw

    return raw.event("NEW", rid, {"kept": True})
