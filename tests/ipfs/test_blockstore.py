from __future__ import annotations

import pytest
from tests.ipfs.conformance.blockstore import BlockstoreConformance

from dpip.ipfs.blockstore import Blockstore, MemoryBlockstore


class TestMemoryBlockstore(BlockstoreConformance):
    @pytest.fixture
    def store(self) -> Blockstore:
        return MemoryBlockstore()
