from __future__ import annotations

import pytest
from tests.ipfs.gateway.asking import World
from tests.ipfs.gateway.asking import world as make


@pytest.fixture
def world() -> World:
    return make()
