"""Private names over HTTP: readers have them, for everybody else they do not exist."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests import peers
from tests.app.nodes import NodeProcess, dpip, node
from tests.federation.processes import fetch, until
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.app.audience import BlocksForReaders
from dpip.app.readers import ForReaders, Readers
from dpip.errors import UsageError
from dpip.ipfs.cid import CID, RAW
from dpip.mirror.apart import Apart
from dpip.mirror.store import opened
from dpip.resolve import closure
from dpip.resolve.environment import here
from dpip.resolve.request import Request

SECRET = "dpip-secret"


def scope(address: str | None, authorization: str = "", path: str = "/simple/x/") -> dict[str, Any]:
    headers = [(b"authorization", authorization.encode())] if authorization else []
    return {
        "client": None if address is None else (address, 1),
        "headers": headers,
        "path": path,
    }


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    ("address", "authorization", "reads"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("::ffff:127.0.0.1", "", True),
        (None, "", True),
        ("10.1.2.3", "", True),
        ("10.2.2.3", "", False),
        ("fe80::1%eth0", "", False),
        ("nonsense", "", False),
        ("8.8.8.8", basic("__token__", SECRET), True),
        ("8.8.8.8", f"Bearer {SECRET}", True),
        ("8.8.8.8", basic("__token__", "wrong"), False),
        ("8.8.8.8", basic("somebody", SECRET), False),
        ("8.8.8.8", "Basic ???", False),
    ],
)
def test_a_reader_is_known_by_address_or_token(
    address: str | None, authorization: str, reads: bool
) -> None:
    networks = ("127.0.0.0/8", "::1/128", "10.1.0.0/16")
    readers = Readers(networks, lambda secret: secret == SECRET)
    assert readers.may(scope(address, authorization)) is reads


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(UsageError, match="private_readers"):
        Readers(["everybody"], lambda _: False)


def test_an_answer_about_a_hidden_name_is_given_once() -> None:
    said: list[dict[str, Any]] = []

    async def full(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "reusable": lambda: True})

    async def public(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404})

    async def send(message: Any) -> None:
        said.append(message)

    def ask(address: str, path: str) -> dict[str, Any]:
        asyncio.run(application(scope(address, path=path), lambda: None, send))  # type: ignore[arg-type, return-value]
        return said.pop()

    readers = Readers(("127.0.0.0/8",), lambda _: False)
    application = ForReaders(readers, lambda name: name == "my-tool", full=full, public=public)
    assert "reusable" in ask("127.0.0.1", "/simple/other/")
    assert "reusable" not in ask("127.0.0.1", "/simple/My_Tool/")
    assert "reusable" not in ask("127.0.0.1", "/simple/my-tool")
    assert ask("10.0.0.1", "/simple/my-tool/")["status"] == 404


@pytest.fixture
def running(tmp_path: Path) -> Iterator[NodeProcess]:
    """Run a node with a private package, for which loopback is no reader."""
    with (
        FixtureIndex() as index,
        node(tmp_path / "a", "--index-url", index.url, DPIP_PRIVATE_READERS="10.9.9.0/24") as a,
    ):
        index.add("demo", wheel("demo", "1.0"))
        index.add("acme-tool", wheel("acme_tool", "99"))
        yield a


def status(url: str, authorization: str = "", data: bytes | None = None) -> tuple[int, bytes]:
    headers = {"Accept": "application/vnd.pypi.simple.v1+json"}
    if authorization:
        headers["Authorization"] = authorization
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def upload(running: NodeProcess, folder: Path, size: int = 0) -> tuple[Archive, str]:
    """Publish a private package; return it and the token."""
    token = dpip("private", "token", "add", "ci", DPIP_HOME=str(running.home)).stdout.strip()
    made = wheel("acme_tool", "1.0", size=size)
    path = folder / made.filename
    path.write_bytes(made.content)
    twine = [str(peers.require("twine")), "upload", "--disable-progress-bar", "-u", "__token__"]
    command = [*twine, "-p", token, "--repository-url", f"{running.url}/legacy/", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.unlink()
    return made, token


def test_who_is_no_reader_sees_no_private_name_in_any_form(
    running: NodeProcess, tmp_path: Path
) -> None:
    made, token = upload(running, tmp_path)
    allowed = basic("__token__", token)
    environment = closure.question(Request((), here())).environment
    wanted = msgspec.json.encode({"requirements": ["acme-tool"], "environment": environment})
    page = f"{running.simple}acme-tool/"
    assert status(page, allowed)[0] == 200
    assert status(page)[0] == 404
    assert status(f"{running.simple}demo/")[0] == 200
    for url in (f"{running.url}/pypi/acme-tool/json", f"{running.url}/integrity/{made.filename}"):
        assert status(url)[0] == 404
    assert status(f"{running.url}/pypi/acme-tool/json", allowed)[0] == 200
    assert b"acme" not in status(running.simple)[1]
    assert b"acme" in status(running.simple, allowed)[1]
    asked = running.url + closure.PATH
    assert made.sha256.encode() in gzip.decompress(status(asked, allowed, wanted)[1])
    code, answer = status(asked, data=wanted)
    assert code == 200
    assert made.sha256.encode() not in gzip.decompress(answer)


def blocks_of(home: Path, archive: Archive) -> list[CID]:
    """Take an archive of a node apart; return its root, its recipe and a leaf of it."""
    with opened(home) as archives:
        place = archives.place(archive.sha256, archive.filename)
        found = archives.add(place, archive.sha256, archive.filename)
        assert found.recipe is not None
        [leaf, *_] = archives.leaf_cids(found)
        return [found.root, found.recipe, leaf]


def test_who_is_no_reader_gets_no_byte_of_a_private_file_by_its_hash(
    running: NodeProcess, tmp_path: Path
) -> None:
    made, token = upload(running, tmp_path, size=3 * 2**20)
    allowed = basic("__token__", token)
    public = wheel("demo", "1.0")
    assert status(f"{running.simple}demo/")[0] == 200
    assert fetch(f"{running.url}/files/{public.sha256}/{public.filename}") == public.content
    root, recipe, leaf = blocks_of(running.home, made)
    whole = CID.v1(RAW, bytes.fromhex("1220" + made.sha256))
    paths = [
        f"files/{made.sha256}/{made.filename}",
        f"files/{made.sha256}/{made.filename}.metadata",
        f"files/{made.sha256}/other-1.0-py3-none-any.whl",
        f"packages/{made.sha256}/{made.filename}",
        f"ipfs/{root}",
        *(f"ipfs/{cid}?format={form}" for cid in (root, recipe) for form in ("raw", "car")),
        f"ipfs/{recipe}",
        f"ipfs/{leaf}?format=raw",
    ]
    for path in paths:
        until(lambda path=path: status(f"{running.url}/{path}")[0] == 404)  # type: ignore[misc]
        code, body = status(f"{running.url}/{path}", allowed)
        assert code == 200, path
        assert body, path
    assert status(f"{running.url}/ipfs/{whole}?format=raw")[0] == 404
    providers = f"{running.url}/routing/v1/providers/{root}"
    assert json.loads(status(providers)[1])["Providers"] in ([], None)
    assert json.loads(status(providers, allowed)[1])["Providers"]
    for cid in blocks_of(running.home, public):
        assert status(f"{running.url}/ipfs/{cid}?format=raw")[0] == 200
        assert json.loads(status(f"{running.url}/routing/v1/providers/{cid}")[1])["Providers"]


def test_an_answer_that_was_kept_ready_is_not_given_once_it_is_withheld() -> None:
    """What leads to a private file may be known only after somebody has asked for it."""
    given: list[str] = []

    class Grows:
        stamp, looked = 1, True

    async def public(scope: Any, receive: Any, send: Any) -> None:
        given.append("answer")

    application = BlocksForReaders(
        cast("Apart", Grows), Readers((), lambda _: False),
        full=public, public=public, forget=lambda: given.append("forget"),
    )  # fmt: skip

    def ask() -> None:
        asyncio.run(application(scope("10.0.0.1"), cast("Any", None), cast("Any", None)))

    ask()
    ask()
    Grows.stamp = 2
    ask()
    assert given == ["forget", "answer", "answer", "forget", "answer"]


def test_who_holds_a_private_file_is_said_to_readers_alone(
    running: NodeProcess, tmp_path: Path
) -> None:
    made, token = upload(running, tmp_path)
    address = f"{running.url}/files/{made.sha256}/{made.filename}"

    def held(**headers: str) -> int:
        asking = {"Cache-Control": "only-if-cached", **headers}
        request = urllib.request.Request(address, headers=asking, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert held() == 504
    assert held(Authorization=basic("__token__", token)) == 200
    unknown = status(address.replace(made.sha256, "0" * 64))
    assert status(address) == unknown, "in the words of what is unknown"
    request = urllib.request.Request(address, headers={"Authorization": basic("__token__", token)})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert "public" not in answer.headers["Cache-Control"], "no cache gives it to others"


def test_a_private_file_stays_withheld_over_restarts_and_deletion(tmp_path: Path) -> None:
    environ: dict[str, Any] = {"DPIP_PRIVATE_READERS": "10.9.9.0/24"}
    with node(tmp_path / "a", "--offline", **environ) as running:
        made, _ = upload(running, tmp_path)
    with node(tmp_path / "a", "--offline", **environ) as running:
        address = f"{running.url}/files/{made.sha256}/{made.filename}"
        assert status(address)[0] == 404
        assert dpip("private", "delete", made.filename, DPIP_HOME=str(running.home)).returncode == 0
    with node(tmp_path / "a", "--offline", **environ) as running:
        assert status(f"{running.url}/files/{made.sha256}/{made.filename}")[0] == 404


def test_a_file_that_is_public_too_is_for_everybody(tmp_path: Path) -> None:
    """The same bytes are listed under a public name, as a private copy of a public file is."""
    public = wheel("demo", "1.0")
    with (
        FixtureIndex() as index,
        FixtureIndex() as inner,
        node(
            tmp_path / "a", "--index-url", index.url, DPIP_PRIVATE_READERS="10.9.9.0/24"
        ) as running,
    ):
        index.add("demo", public)
        secret = wheel("acme_tool", "2.0")
        copy = replace(public, filename="acme_demo-1.0-py3-none-any.whl")
        inner.add("acme-tool", secret)
        inner.add("acme-demo", copy)
        home = {"DPIP_HOME": str(running.home)}
        assert dpip("route", "set", "acme-*", inner.url, **home).returncode == 0
        token = dpip("private", "token", "add", "ci", **home).stdout.strip()
        allowed = basic("__token__", token)
        for name in ("acme-tool", "acme-demo"):
            until(lambda name=name: status(f"{running.simple}{name}/", allowed)[0] == 200)  # type: ignore[misc]
            assert status(f"{running.simple}{name}/")[0] == 404
        address = f"{running.url}/files/{secret.sha256}/{secret.filename}"
        assert status(address)[0] == 404
        assert status(address, allowed)[1] == secret.content
        address = f"{running.url}/files/{copy.sha256}/{copy.filename}"
        assert status(address)[0] == 404
        assert status(f"{running.simple}demo/")[0] == 200
        assert status(address)[1] == public.content


def test_pip_reads_with_a_token(running: NodeProcess, tmp_path: Path) -> None:
    made, token = upload(running, tmp_path)
    pip = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "-q", "-d", str(tmp_path)]
    with_token = running.simple.replace("//", f"//__token__:{token}@", 1)
    refused = subprocess.run(
        [*pip, "--index-url", running.simple, "acme-tool"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "No matching distribution" in refused.stderr
    subprocess.run([*pip, "--index-url", with_token, "acme-tool"], check=True, timeout=60)
    assert (tmp_path / made.filename).read_bytes() == made.content
