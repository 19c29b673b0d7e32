from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests import peers
from tests.ipfs import kubo as scratch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[scratch.Kubo]:
    """A closed Kubo daemon, one for each test process."""
    yield from scratch.running(peers.require("kubo"), tmp_path_factory.mktemp("kubo"))
