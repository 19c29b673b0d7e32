"""Kubo reads our archives: the published file, the recipe's members, and the profile's CID."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ipfs.archive import made

from dpip.ipfs import car
from dpip.ipfs.disk import hot
from dpip.ipfs.disk.leaves import WithLeaves
from dpip.ipfs.walk import walk

if TYPE_CHECKING:
    from tests.ipfs.disk.conftest import Adder, Clock
    from tests.ipfs.kubo import Kubo

    from dpip.ipfs.cid import CID
    from dpip.ipfs.disk.archives import Archives

FILES = {**made.PACKAGE, "demo/large.txt": made.text(8, 2_500_000)}


def hand_over(kubo: Kubo, archives: Archives, root: CID) -> None:
    blocks = walk(WithLeaves(archives), root)
    kubo.rpc("dag/import", body=b"".join(car.write([root], blocks)))


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_kubo_reads_the_archive_and_browses_its_members(
    kubo: Kubo, archives: Archives, add: Adder, clock: Clock, kind: str
) -> None:
    data, top = (made.wheel(FILES), "") if kind == "wheel" else (made.sdist(FILES), "/demo-1.0")
    archive = add(data, "demo-1.0.tar.gz" if top else "demo-1.0-py3-none-any.whl")
    clock.now += 1000
    assert hot.trim(archives, 0).dropped == 1
    assert archive.recipe is not None
    for root in (archive.root, archive.recipe):
        hand_over(kubo, archives, root)
    assert kubo.rpc("cat", str(archive.root)) == data
    assert kubo.add(data, only_hash=True, cid_version=1, chunker="size-1048576",
                    raw_leaves=True, max_file_links=1024) == str(archive.profile)  # fmt: skip
    members = f"/ipfs/{archive.recipe}/members{top}"
    listed = kubo.run("ls", "--size=false", members).decode()
    assert {line.split()[-1] for line in listed.splitlines()} == {"demo/", "demo-1.0.dist-info/"}
    assert kubo.rpc("cat", f"{members}/demo/large.txt") == FILES["demo/large.txt"]
