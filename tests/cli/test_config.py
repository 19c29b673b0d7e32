from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpip import settings
from dpip.cli.main import main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["config", *words]) == 0
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "4848"), ("offline", "true"), ("name", 'quo"ted \\ Ω'), ("page-max-age", "12.5")],
)
def test_what_is_set_is_in_force(capsys: pytest.CaptureFixture[str], name: str, value: str) -> None:
    before = said(capsys, "get", name)
    said(capsys, "set", name, value)
    assert said(capsys, "get", name).lower() == value.lower()
    assert "(file)" in said(capsys, "list")
    said(capsys, "unset", name)
    assert said(capsys, "get", name) == before


def test_every_setting_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(said(capsys, "list", "--json"))
    assert listed.keys() == settings.field_types().keys()


def test_several_values_are_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "set", "first_contact", "http://a.invalid,http://b.invalid")
    assert json.loads(said(capsys, "get", "first_contact", "--json")) == [
        "http://a.invalid",
        "http://b.invalid",
    ]


@pytest.mark.parametrize(
    "words", [("set", "port", "high"), ("set", "colour", "red"), ("get", "colour"),
              ("set", "home", "/elsewhere")]
)  # fmt: skip
def test_nonsense_is_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert main(["config", *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_damaged_file_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DPIP_HOME", str(tmp_path))
    (tmp_path / settings.CONFIG_NAME).write_text("port = = 1")
    assert main(["config", "list"]) == 2
    assert settings.CONFIG_NAME in capsys.readouterr().err
