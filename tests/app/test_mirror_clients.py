"""A filtered mirror with its upstream cut off, and everybody who then installs from it.

One story, told of an index on loopback and of the real one (`make test-outside`), and its
beginning of one that replays real pages, with lock files. A
mirror of flask with its dependencies, the last two versions, two Pythons; upstream gone; pip,
uv, poetry and pdm install from the mirror's node, from a second node that knows only the
mirror's IPNS name, and plain pip from a Kubo that got everything while the mirror was there.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests import peers
from tests.app.installers import INSTALLERS, LOCKERS, install, lock
from tests.app.nodes import dpip, node
from tests.ipfs import kubo as scratch
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.ipfs.cid import CID
from dpip.ipfs.kubo.rpc import Kubo

pytestmark = pytest.mark.timeout(900)
RULES = ["--allow", "flask", "--with-dependencies", "--latest", "2", "--platform", "linux"]
PYTHONS = [f"{sys.version_info.major}.{sys.version_info.minor + more}" for more in (0, 1)]
NOWHERE = "http://127.0.0.1:9/simple/"


def mirrored(home: Path, *words: str) -> None:
    """Make a mirror of flask with its dependencies, sync it, and check it against upstream."""
    pythons = [word for python in PYTHONS for word in ("--python", python)]
    made = dpip("mirror", "init", "--home", str(home), *RULES, *pythons, *words)
    assert made.returncode == 0, made.stderr
    done = dpip("mirror", "sync", "--home", str(home), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    covered = json.loads(done.stdout)
    assert covered["complete"]
    assert covered["missing"] == 0
    compared = dpip("verify", "--home", str(home), *words)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    checked = dpip("mirror", "verify", "--home", str(home), "--json")
    assert json.loads(checked.stdout)["wrong"] == []


def published(home: Path) -> tuple[str, str]:
    """Publish a home's index; return its name and root."""
    done = dpip("index", "publish", "--json", "--key", "self", DPIP_HOME=str(home))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["name"], answer["root"]


def everybody_installs(simple_url: str, folder: Path) -> None:
    """Install flask with each installer, and see that all agree on which."""
    versions = {name: install(name, simple_url, folder / name, "flask") for name in INSTALLERS}
    assert len(set(versions.values())) == 1, versions


def from_the_mirror_and_from_who_follows_it(home: Path, tmp_path: Path) -> str:
    """Install from the mirror's node and from a second node; return the index's name."""
    with node(home, "--offline") as mirror:
        everybody_installs(mirror.simple, tmp_path / "from-mirror")
        name, _ = published(home)
        second = {"DPIP_HOME": str(tmp_path / "second")}
        assert dpip("index", "use", f"{name}@{mirror.url}", **second).returncode == 0
        refreshed = dpip("index", "refresh", "--wait", "--json", **second)
        assert json.loads(refreshed.stdout)[0]["sequence"] == 1, refreshed.stderr
        with node(tmp_path / "second", "--index-url", NOWHERE) as follower:
            everybody_installs(follower.simple, tmp_path / "from-follower")
            mirror.stop()
            version = install("uv", follower.simple, tmp_path / "alone", "flask")
            assert version, "what was installed once needs nobody"
    return name


@contextmanager
def kubo_that_got_everything(home: Path, folder: Path) -> Iterator[tuple[scratch.Kubo, str]]:
    """A daemon that has fetched the index over HTTP from a node that then went away."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with node(home, "--offline", port=port) as mirror:
        name, root = published(home)
        daemon = scratch.create(
            peers.require("kubo"),
            folder,
            Routing={"Type": "delegated", "DelegatedRouters": [mirror.url]},
            HTTPRetrieval={"Enabled": True, "TLSInsecureSkipVerify": True},
            Gateway={"NoFetch": False},
            Internal={"Bitswap": {"ProviderSearchDelay": "1ms"}},
        )
        daemon.start()
        try:
            with Kubo(daemon.api) as rpc:
                rpc.pin_add(CID.parse(root))
                assert rpc.name_resolve(name) == f"/ipfs/{root}"
            mirror.stop()
            yield daemon, root
        finally:
            daemon.stop()


def from_kubo_alone(home: Path, tmp_path: Path) -> None:
    """Install by plain pip from the gateway of a Kubo, with no dpip running at all."""
    with kubo_that_got_everything(home, tmp_path / "kubo") as (daemon, root):
        install("pip", f"{daemon.gateway}/ipfs/{root}/", tmp_path / "from-kubo", "flask")


def release(index: FixtureIndex, name: str, *requires: str) -> None:
    """Release three versions of a project, as wheel and sdist, and a fourth that is early."""
    for version in ("1.0", "2.0", "3.0", "4.0rc1"):
        index.add(name, wheel(name, version, requires=requires, size=20_000))
        index.add(name, sdist(name, version, requires=requires))


@pytest.mark.slow
def test_upstream_on_loopback_is_cut_off(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        release(index, "flask", "werkzeug>=2", "jinja2>=2", "itsdangerous", "click>=2", "blinker")
        release(index, "jinja2", "markupsafe>=2.0")
        release(index, "werkzeug", "markupsafe>=2")
        for name in ("markupsafe", "itsdangerous", "click", "blinker", "unrelated"):
            release(index, name)
        mirrored(tmp_path / "home", "--index-url", index.url)
    from_the_mirror_and_from_who_follows_it(tmp_path / "home", tmp_path)
    from_kubo_alone(tmp_path / "home", tmp_path)


@pytest.fixture
def recorded() -> Iterator[str]:
    """The URL of an index that replays real pages and metadata, with wheels in name only."""
    script = peers.bench_data("resolve") / "replay_index.py"
    process = subprocess.Popen(
        [sys.executable, str(script), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://{process.stdout.readline().split()[2]}/simple/"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_a_recorded_upstream_is_cut_off(recorded: str, tmp_path: Path) -> None:
    home, wanted = tmp_path / "home", "boto3"
    rules = ["--allow", wanted, "--with-dependencies", "--latest", "1", "--no-sdists"]
    pythons = [word for python in PYTHONS for word in ("--python", python)]
    words = [*rules, *pythons, "--platform", "linux", "--index-url", recorded]
    assert dpip("mirror", "init", "--home", str(home), *words).returncode == 0
    done = dpip("mirror", "sync", "--home", str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    with node(home, "--offline") as mirror:
        for one in LOCKERS:
            found = lock(one, mirror.simple, tmp_path / one, wanted)
            assert 'name = "botocore"' in found, one


@pytest.mark.outside
def test_the_real_upstream_is_cut_off(tmp_path: Path) -> None:
    mirrored(tmp_path / "home")
    from_the_mirror_and_from_who_follows_it(tmp_path / "home", tmp_path)
    from_kubo_alone(tmp_path / "home", tmp_path)
