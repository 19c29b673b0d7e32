"""The mirror that others run, with a node of ours as its master."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from tests import peers
from tests.app.nodes import dpip, node
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

CONFIG = """
[mirror]
directory = {directory}
master = {master}
api-method = simple
allow-non-https = true
json = true
release-files = true
simple-format = ALL
timeout = 20
workers = 2
hash-index = false
stop-on-error = true
compare-method = hash
verifiers = 1
storage-backend = filesystem
"""


def without_proxies() -> dict[str, str]:
    """Return the environment without the dead proxy: bandersnatch would ask it for loopback."""
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}


@pytest.mark.slow
def test_bandersnatch_mirrors_from_a_node(tmp_path: Path) -> None:
    program = peers.require("bandersnatch")
    made = [wheel("alpha", "1.0"), sdist("alpha", "1.0"), wheel("Beta.Two", "2.0")]
    home, directory = tmp_path / "home", tmp_path / "banders"
    with FixtureIndex() as index:
        index.add("alpha", *made[:2])
        index.add("beta-two", made[2])
        dpip("mirror", "init", "--home", str(home), "--index-url", index.url)
        assert dpip("mirror", "sync", "--home", str(home)).returncode == 0
    with node(home, "--offline") as served:
        config = tmp_path / "bandersnatch.conf"
        config.write_text(CONFIG.format(directory=directory, master=served.url))
        done = subprocess.run(
            [program, "-c", config, "mirror"],
            capture_output=True, text=True, timeout=100, check=False, env=without_proxies(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    files = {path.name: path.read_bytes() for path in directory.glob("web/packages/*/*")}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == {
        archive.filename: archive.sha256 for archive in made
    }
    page = json.loads((directory / "web/simple/alpha/index.v1_json").read_text())
    assert page["versions"] == ["1.0"]
    assert (directory / "status").read_text().strip() == "1000"
