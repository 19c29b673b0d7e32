"""A filtered mirror whose upstream is gone: installed from it, by its name, and by Kubo alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.app.nodes import dpip, node
from tests.app.test_indexes import NOWHERE, pip, publish
from tests.app.test_kubo import fetching_kubo, free_port
from tests.app.test_mirror_clients import mirrored
from tests.simple.fixture_index import FixtureIndex, wheel


def travels(home: Path, folder: Path) -> None:
    """Install flask from the node of a mirror, from one that knows its name, and from Kubo."""

    def install(index_url: str, into: str) -> None:
        done = pip(index_url, folder / into, "flask")
        assert done.returncode == 0, done.stderr
        assert (folder / into / "flask" / "__init__.py").is_file()
        assert (folder / into / "click" / "__init__.py").is_file()

    name, follower = publish(home), folder / "follower"
    with node(home, "--offline", port=free_port()) as first:
        install(first.simple, "from-the-mirror")
        dpip("index", "use", f"{name}@{first.url}", DPIP_HOME=str(follower))
        found = dpip("index", "refresh", "--wait", "--json", DPIP_HOME=str(follower))
        assert json.loads(found.stdout)[0]["sequence"] == 1
        with node(follower, "--index-url", NOWHERE) as second:
            install(second.simple, "from-the-name")
        with fetching_kubo(folder / "kubo", first.url) as daemon:
            install(f"{daemon.gateway}/ipns/{name}/", "from-kubo")


@pytest.mark.slow
def test_a_small_index_travels(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("flask", *(wheel("flask", v, requires=["click<3"]) for v in ("1.0", "2.0")))
        index.add("click", *(wheel("click", f"{v}.0") for v in (1, 2, 3, 4, 5)))
        mirrored(tmp_path / "home", "--index-url", index.url)
    travels(tmp_path / "home", tmp_path)


@pytest.mark.outside
def test_a_part_of_the_real_index_travels(tmp_path: Path) -> None:
    mirrored(tmp_path / "home")
    travels(tmp_path / "home", tmp_path)
