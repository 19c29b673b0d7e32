from __future__ import annotations

from pathlib import Path

import pytest

from dpip import settings
from dpip.errors import UsageError


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / settings.CONFIG_NAME).write_text("port = 1\nname = 'file'\nhost = '127.0.0.2'\n")
    environ = {"DPIP_HOME": str(tmp_path), "DPIP_PORT": "2", "DPIP_NAME": "environment"}
    loaded = settings.load({"port": 3, "offline": None}, environ)
    assert (loaded.port, loaded.name, loaded.host) == (3, "environment", "127.0.0.2")
    assert loaded.home == tmp_path
    assert loaded.offline is False


@pytest.mark.parametrize(("text", "value"), [("1", True), ("off", False), ("YES", True)])
def test_booleans_are_words(text: str, value: bool, tmp_path: Path) -> None:
    environ = {"DPIP_HOME": str(tmp_path), "DPIP_OFFLINE": text}
    assert settings.load({}, environ).offline is value


@pytest.mark.parametrize("line", ["port = 'many'", "colour = 'red'", "port = ["])
def test_a_senseless_file_is_a_usage_error(line: str, tmp_path: Path) -> None:
    (tmp_path / settings.CONFIG_NAME).write_text(line)
    with pytest.raises(UsageError):
        settings.load({}, {"DPIP_HOME": str(tmp_path)})


def test_the_url_brackets_ipv6() -> None:
    assert settings.Settings(home=Path(), host="::1", port=1).url == "http://[::1]:1"


@pytest.mark.parametrize(
    ("key", "value"),
    [("port", "65536"), ("port", "-1"), ("tls_port", "99999"), ("store_size", "-5"),
     ("page_max_age", "-1"), ("page_max_age", "nan")],
)  # fmt: skip
def test_numbers_have_a_range(key: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"setting {key}: .* is out of range"):
        settings.load({"home": tmp_path}, {f"DPIP_{key.upper()}": value})


def test_lists_are_read_with_blanks_and_without_what_is_empty(tmp_path: Path) -> None:
    found = settings.load(
        {"home": tmp_path}, {"DPIP_PEER_NETWORKS": " 10.0.0.0/8, 192.168.0.0/16,,"}
    )
    assert found.peer_networks == ("10.0.0.0/8", "192.168.0.0/16")
