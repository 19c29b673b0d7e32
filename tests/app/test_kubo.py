"""A node and a real Kubo daemon: what the node has, the daemon gets, in both directions."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests import peers
from tests.app.nodes import NodeProcess, dpip, node
from tests.ipfs import kubo as scratch
from tests.ipfs.swarms import pair
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.ipfs.cid import CID
from dpip.ipfs.kubo.rpc import Kubo

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def install(index_url: str, into: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(into)]
    subprocess.run(
        [*command, "--index-url", index_url, "demo"], check=True, capture_output=True, timeout=90
    )


@contextmanager
def publisher(home: Path, *flags: str, **environ: str) -> Iterator[NodeProcess]:
    """A node that has fetched one package from an upstream, with a port that it knows."""
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0", size=3_000_000))
        port = free_port()
        with node(home, "--index-url", index.url, *flags, port=port, **environ) as running:
            install(running.simple, home.parent / "first")
            yield running


def published(running: NodeProcess, **environ: str) -> tuple[str, str]:
    done = dpip("index", "publish", "--json", DPIP_HOME=str(running.home), **environ)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["name"], answer["root"]


def certificate(folder: Path) -> tuple[str, str]:
    """Write a self-signed certificate for 127.0.0.1; return the paths of chain and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "key.pem").write_bytes(private)
    return str(folder / "cert.pem"), str(folder / "key.pem")


@contextmanager
def fetching_kubo(folder: Path, router: str) -> Iterator[scratch.Kubo]:
    """A daemon that knows nobody but our node, by delegated routing."""
    daemon = scratch.create(
        peers.require("kubo"),
        folder,
        Routing={"Type": "delegated", "DelegatedRouters": [router]},
        Ipns={"DelegatedPublishers": [router]},
        HTTPRetrieval={"Enabled": True, "TLSInsecureSkipVerify": True},
        Gateway={"NoFetch": False},
        Internal={"Bitswap": {"ProviderSearchDelay": "1ms"}},
    )
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "tls-h2"])
def test_kubo_fetches_our_index_over_http_and_pip_installs_from_its_gateway(
    tmp_path: Path, secure: bool
) -> None:
    environ = {}
    if secure:
        cert, key = certificate(tmp_path)
        environ = {
            "DPIP_TLS_CERTIFICATE": cert,
            "DPIP_TLS_KEY": key,
            "DPIP_TLS_PORT": str(free_port()),
        }
    with publisher(tmp_path / "home", **environ) as running:
        name, root = published(running)
        with fetching_kubo(tmp_path / "kubo", running.url) as daemon, Kubo(daemon.api) as rpc:
            assert rpc.name_resolve(name) == f"/ipfs/{root}"
            assert rpc.name_inspect(rpc.name_get(name), name)["Validation"]["Valid"] is True
            install(f"{daemon.gateway}/ipns/{name}/", tmp_path / "into")
            assert (tmp_path / "into" / "demo-1.0.dist-info").is_dir()
            held = {cid.multihash for cid in rpc.refs_local()}
            assert CID.parse(root).multihash in held


def test_kubo_publishes_names_through_our_node(tmp_path: Path) -> None:
    with (
        publisher(tmp_path / "home") as running,
        fetching_kubo(tmp_path / "kubo", running.url) as daemon,
        Kubo(daemon.api) as rpc,
    ):
        cid = rpc.block_put(b"published by the daemon")
        key = rpc.key_gen("theirs")
        rpc.name_publish(cid, "theirs")
        url = f"{running.url}/ipns/{key.id}?format=ipns-record"
        with urllib.request.urlopen(url, timeout=10) as response:
            record = response.read()
        assert rpc.name_inspect(record, key.id)["Validation"]["Valid"] is True


def test_the_engine_hands_over_what_comes_in_also_after_an_outage(tmp_path: Path) -> None:
    program = peers.require("kubo")
    daemon = scratch.create(program, tmp_path / "kubo", Routing={"Type": "none"})
    api = free_port()
    daemon.configure({"Addresses": {"API": f"/ip4/127.0.0.1/tcp/{api}", "Swarm": []}})
    settings = {"DPIP_ENGINE": "kubo", "DPIP_KUBO_API": f"http://127.0.0.1:{api}"}
    try:
        with publisher(tmp_path / "home", **settings) as running:
            # Nobody listens yet: the work waits on the disk.
            name, root = published(running, **settings)
            daemon.start()
            with Kubo(daemon.api) as rpc:
                until(lambda: rpc.is_pinned(CID.parse(root)))
                assert rpc.files_stat(f"/dpip/{name}").cid == CID.parse(root)
                path = f"{daemon.gateway}/ipfs/{root}/demo/index.html"
                with urllib.request.urlopen(path, timeout=10) as response:
                    assert b"demo-1.0-py3-none-any.whl" in response.read()
                cid = rpc.block_put(b"only the daemon has this")
                url = f"{running.url}/ipfs/{cid}?format=raw"
                with urllib.request.urlopen(url, timeout=10) as response:
                    assert response.read() == b"only the daemon has this"
    finally:
        daemon.stop()


def test_a_follower_gets_a_new_head_from_its_daemon_over_pubsub(tmp_path: Path) -> None:
    """No gateway, no DHT: the name, the head and the blocks come from daemon to daemon."""
    with pair(tmp_path, pubsub=True) as (first, second):
        settings = {"DPIP_ENGINE": "kubo", "DPIP_KUBO_API": first.api}
        with publisher(tmp_path / "home", **settings) as running:
            name, _ = published(running, **settings)
            with node(
                tmp_path / "other", "--index-url", "http://127.0.0.1:9/",
                DPIP_ENGINE="kubo", DPIP_KUBO_API=second.api, DPIP_INDEX=name,
            ) as follower:  # fmt: skip
                until(lambda: b"demo-1.0" in page(follower.simple + "demo/"))
                install(follower.simple, tmp_path / "into")
                assert (tmp_path / "into" / "demo-1.0.dist-info").is_dir()


def page(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return bytes(response.read())
    except urllib.error.HTTPError:
        return b""
