"""A short part of `fuzz.py` for every change; what it once found stays here by its bytes."""

from __future__ import annotations

import random
import time

import pytest
from tests.ipfs import fuzz

from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID
from dpip.ipfs.disk import frames
from dpip.ipfs.errors import Damaged


def test_readers_answer_or_refuse() -> None:
    seed = random.randrange(10**12)
    count, wrong = fuzz.run(fuzz.readers(), time.monotonic() + 2, seed)
    assert count > 0
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readers_answer_or_refuse_for_longer() -> None:
    _, wrong = fuzz.run(fuzz.readers(), time.monotonic() + 60, random.randrange(10**12))
    assert not wrong, "\n".join(wrong)


def test_a_frame_whose_content_claims_a_huge_size_takes_no_memory() -> None:
    good = frames.encode([Block(CID.of(b"text" * 5000), b"text" * 5000)])
    at = frames.decode(good).data_at
    claimed = b"\x28\xb5\x2f\xfd\xe0" + (2**60).to_bytes(8, "little")
    with pytest.raises(Damaged):
        frames.blocks(good[:at] + claimed + good[at + len(claimed) :])


def test_a_frame_without_a_header_is_damaged() -> None:
    with pytest.raises(Damaged):
        frames.blocks(b"dpf1" + bytes(5000))
