"""Indexes behind TLS: whose certificates are believed, and which one is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.resolve.certificates import Authority, authority, over_tls
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.cli import early, main
from dpip.resolve.connections import open_transport
from dpip.resolve.errors import Unreachable
from dpip.resolve.transport import get


@pytest.fixture
def index() -> FixtureIndex:
    index = FixtureIndex()
    index.add("app", wheel("app", "1.0"))
    return index


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return authority(tmp_path)


def page_with(url: str, variables: dict[str, str], *trusted: str) -> bytes:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "SSL_"))}
    environ.pop("REQUESTS_CA_BUNDLE", None)
    transport = open_transport(
        attempts=1, trusted_hosts=frozenset(trusted), environ={**environ, **variables}
    )
    try:
        return get(transport, f"{url}app/", {}, 10_000)
    finally:
        transport.close()


@pytest.mark.parametrize("variable", ["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_bundle_of_ones_own(index: FixtureIndex, ca: Authority, variable: str) -> None:
    with over_tls(index, ca.certify("server")) as url:
        assert b"app-1.0" in page_with(url, {variable: str(ca.bundle)})


def test_a_stranger_is_refused_at_once_and_by_name(index: FixtureIndex, ca: Authority) -> None:
    with over_tls(index, ca.certify("server")) as url, pytest.raises(Unreachable) as caught:
        page_with(url, {})
    assert caught.value.permanent
    assert "certificate" in caught.value.message


def test_a_trusted_host_is_not_checked(index: FixtureIndex, ca: Authority) -> None:
    with over_tls(index, ca.certify("server")) as url:
        assert b"app-1.0" in page_with(url, {}, "127.0.0.1")


def test_a_certificate_of_ones_own_is_shown(index: FixtureIndex, ca: Authority) -> None:
    mine = ca.certify("me")
    bundle = {"PIP_CERT": str(ca.bundle)}
    with over_tls(index, ca.certify("server"), clients=ca.bundle) as url:
        with pytest.raises(Unreachable):
            page_with(url, bundle)
        assert b"app-1.0" in page_with(url, {**bundle, "PIP_CLIENT_CERT": str(mine)})


def test_a_connection_begun_early_is_checked_like_any_other(
    index: FixtureIndex, ca: Authority
) -> None:
    with over_tls(index, ca.certify("server")) as url:
        address = early.split(url)
        assert address is not None
        for bundle, fits in ((str(ca.bundle), True), (None, False)):
            environ = {"PIP_CERT": bundle} if bundle else {}
            transport = open_transport(attempts=1, environ=environ, begun=early.Early(*address))
            if fits:
                assert b"app-1.0" in get(transport, f"{url}app/", {}, 10_000)
            else:
                with pytest.raises(Unreachable):
                    get(transport, f"{url}app/", {}, 10_000)
            transport.close()


def test_pips_configuration_names_the_bundle(
    index: FixtureIndex,
    ca: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DPIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with over_tls(index, ca.certify("server")) as url:
        text = f"[global]\nindex-url = {url}\ncert = {ca.bundle}\n"
        (tmp_path / "pip.conf").write_text(text)
        assert main.main(["resolve", "app"]) == 0
    assert "app==1.0" in capsys.readouterr().out
