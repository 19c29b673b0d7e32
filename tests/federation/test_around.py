from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from dpip.federation import around
from dpip.federation.around import Around
from dpip.ipfs.cid import CID
from dpip.ipfs.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from dpip.ipfs.connections import Dial

DATA = b"a block"
BLOCK = CID.of(DATA)


class FakeGateway:
    """A neighbour that has one block, or none."""

    made: ClassVar[list[str]] = []

    def __init__(self, url: str, *, timeout: float, dial: Dial | None) -> None:
        assert timeout <= 10
        assert dial is None
        self.url = url
        self.made.append(url)

    def close(self) -> None:
        """Nothing is open."""

    def block(self, cid: CID) -> bytes:
        if "has" in self.url:
            return DATA
        raise NotFound(str(cid))

    def size(self, cid: CID) -> int:
        return len(self.block(cid))


@pytest.fixture(autouse=True)
def gateways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(around, "Gateway", FakeGateway)
    monkeypatch.setattr(around, "LOOK_AGAIN", -1.0)
    FakeGateway.made.clear()
    return FakeGateway.made


def test_a_block_comes_from_whoever_has_it(gateways: list[str]) -> None:
    near = Around(lambda: ["http://none", "http://has"])
    assert near.get(BLOCK) == DATA
    assert near.has(BLOCK)
    assert near.size(BLOCK) == len(DATA)
    assert gateways == ["http://none", "http://has"], "the same neighbours are kept"
    near.close()


def test_neighbours_come_and_go() -> None:
    urls: list[str] = []
    near = Around(lambda: urls)
    assert not near.has(BLOCK)
    with pytest.raises(NotFound):
        near.get(BLOCK)
    urls.append("http://has")
    assert near.get(BLOCK) == DATA
    urls[0] = "http://none"
    with pytest.raises(NotFound):
        near.get(BLOCK)
    near.close()


def test_no_more_than_a_few_are_asked(gateways: list[str]) -> None:
    near = Around(lambda: [f"http://none-{number}" for number in range(50)])
    assert not near.has(BLOCK)
    assert len(gateways) == around.MOST_ASKED
    near.close()


def test_neighbours_are_read_only() -> None:
    near = Around(list)
    for refused in (lambda: near.put([]), lambda: near.delete([]), near.multihashes):
        with pytest.raises(InvalidArgument):
            refused()
