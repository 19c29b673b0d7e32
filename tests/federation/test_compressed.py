from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from tests.app.nodes import node
from tests.federation.processes import fetch

from dpip.federation.compressed import RAW, Blocks
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.errors import NotFound
from dpip.ipfs.importer import FileHasher


def stored(home: Path, data: bytes) -> CID:
    kept: list[Block] = []
    hasher = FileHasher(sink=kept.append)
    hasher.update(data)
    cid = hasher.finish().cid
    store = DiskBlockstore(home / "blocks")
    store.put(kept)
    store.close()
    return cid


def test_blocks_move_compressed_to_those_who_ask_for_it(tmp_path: Path) -> None:
    data = b"the same words again and again; " * 2000
    cid = stored(tmp_path / "a", data)
    with node(tmp_path / "a", "--offline") as a:
        blocks = Blocks(a.url, timeout=10)
        assert blocks.get(cid) == data
        assert 0 < blocks.moved < len(data) / 20
        with pytest.raises(NotFound):
            blocks.get(stored(tmp_path / "elsewhere", b"not here"))
        blocks.close()
        url = f"{a.url}/ipfs/{cid}?format=raw"
        assert fetch(url, Accept=RAW) == data
        packed = fetch(url, **{"Accept": RAW, "Accept-Encoding": "zstd"})
        assert zstandard.decompress(packed, max_output_size=len(data)) == data
        assert fetch(f"{a.url}/ipfs/{cid}", **{"Accept-Encoding": "zstd"}) == data
