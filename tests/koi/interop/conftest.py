from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi.interop.child import PLAIN, Child
from tests.koi.interop.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def coordinator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    """Return a coordinator of the release and wire that the test names (indirect)."""
    release, wire = request.param
    home = tmp_path_factory.mktemp("coordinator")
    kind = "full" if release == PLAIN[0] else "coordinator"
    with Child(release, kind, home, allow_unsigned=wire == "plain") as child:
        yield Subject(child, wire)
