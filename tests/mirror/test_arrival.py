from __future__ import annotations

import asyncio
from pathlib import Path

from dpip.mirror.arrival import Arrival
from dpip.simple.repository import WholeFile


def test_a_reader_that_comes_as_the_part_is_renamed_waits_for_the_file(tmp_path: Path) -> None:
    async def story() -> None:
        part, whole = tmp_path / "part", tmp_path / "whole"
        part.write_bytes(b"data")
        arrival = Arrival("key")
        arrival.start(part, 4)
        arrival.advance(4)
        part.rename(whole)
        reader = asyncio.create_task(_all(arrival))
        await asyncio.sleep(0)
        arrival.finish(WholeFile(whole, 4, "0" * 64))
        assert await reader == b"data"

    asyncio.run(story())


async def _all(arrival: Arrival) -> bytes:
    return b"".join([chunk async for chunk in arrival.chunks()])
