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
