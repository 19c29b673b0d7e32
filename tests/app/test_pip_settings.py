from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dpip.app import pip_settings
from dpip.app.pip_settings import (
    PipMissing,
    PipSettings,
    ask_pip,
    environment_python,
    index_url,
    places,
)

PYTHON = Path(sys.executable)
OWN = "http://127.0.0.1:4747"


def with_config(tmp_path: Path, text: str, **changes: str) -> dict[str, str]:
    """Return an environment whose pip reads this configuration file."""
    path = tmp_path / "pip.conf"
    path.write_text(text)
    return {**os.environ, "PIP_CONFIG_FILE": str(path), "VIRTUAL_ENV": sys.prefix, **changes}


def test_pip_tells_its_settings_by_section(tmp_path: Path) -> None:
    environ = with_config(
        tmp_path,
        "[global]\nindex-url = http://a.invalid/simple\n[install]\nfind-links =\n  /one\n  /two\n",
        PIP_EXTRA_INDEX_URL="http://user:secret@b.invalid/",
    )
    settings = ask_pip(PYTHON, environ)
    assert settings.values["global"]["index-url"] == "http://a.invalid/simple"
    assert settings.values["install"]["find-links"].split() == ["/one", "/two"]
    assert settings.values[":env:"]["extra-index-url"] == "http://user:secret@b.invalid/"


def test_the_environment_wins_over_the_command_over_the_rest() -> None:
    values = {
        "global": {"index-url": "g", "cert": "c"},
        "install": {"index-url": "i"},
        ":env:": {"index-url": "e"},
    }
    assert PipSettings(values).get("index-url") == "e"
    del values[":env:"]
    assert PipSettings(values).get("index-url") == "i"
    assert PipSettings(values).get("cert") == "c"
    assert PipSettings(values).get("proxy") is None


def test_upstream_is_what_pip_is_configured_with(tmp_path: Path) -> None:
    config = "[global]\nindex-url = http://a.invalid/simple\n"
    assert index_url(OWN, with_config(tmp_path, config)) == "http://a.invalid/simple"
    environ = with_config(tmp_path, config, PIP_INDEX_URL="http://b.invalid/simple")
    assert index_url(OWN, environ) == "http://b.invalid/simple"


def test_a_pip_that_points_here_is_not_our_upstream(tmp_path: Path) -> None:
    config = "[global]\nindex-url = http://a.invalid/simple\n"
    environ = with_config(tmp_path, config, PIP_INDEX_URL=f"{OWN}/simple/")
    assert index_url(OWN, environ) == "http://a.invalid/simple"


def test_pip_tells_all_places_and_how_it_connects(tmp_path: Path) -> None:
    environ = with_config(
        tmp_path,
        "[global]\nindex-url = http://a.invalid/simple\ncert = /ca.pem\nproxy = http://p.invalid\n"
        "trusted-host = a.invalid\n[install]\nfind-links =\n  /one\n  /two\n",
        PIP_EXTRA_INDEX_URL=f"http://b.invalid/ {OWN}/simple/",
    )
    for name in ("PIP_CERT", "PIP_PROXY", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_INDEX_URL"):
        environ.pop(name, None)
    found = places(OWN, environ)
    assert found.index_url == "http://a.invalid/simple"
    assert found.extra_index_urls == ("http://b.invalid/",)
    assert found.find_links == ("/one", "/two")
    assert found.trusted_hosts == ("a.invalid",)
    assert dict(found.variables) == {"PIP_CERT": "/ca.pem", "PIP_PROXY": "http://p.invalid"}


def test_without_settings_it_is_pips_own_default(tmp_path: Path) -> None:
    default = index_url(OWN, with_config(tmp_path, ""))
    assert default.startswith("https://")
    assert default.endswith("/simple")


def test_a_default_that_pip_does_not_tell_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip_settings, "_pip", lambda *args, **kwargs: "no such option")
    with pytest.raises(PipMissing):
        pip_settings.default_index(PYTHON)


def test_the_active_environment_is_meant(tmp_path: Path) -> None:
    bin_ = tmp_path / "venv" / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "python").symlink_to(sys.executable)
    package = tmp_path / "venv" / "lib" / "python3" / "site-packages" / "pip"
    package.mkdir(parents=True)
    (package / "__main__.py").touch()
    environ = {"VIRTUAL_ENV": str(tmp_path / "venv")}
    assert environment_python(environ) == bin_ / "python"
    assert environment_python({"VIRTUAL_ENV": str(tmp_path / "gone")}) == PYTHON
