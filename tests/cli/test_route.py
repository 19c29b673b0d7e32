from __future__ import annotations

import json

import pytest

from dpip.cli.main import main


def test_rows_are_set_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["route", "set", "acme-*", "private"]) == 0
    assert main(["route", "set", "tool", "https://user:secret@other.invalid/simple"]) == 0
    assert main(["route", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed == {"acme-*": "private", "tool": "https://other.invalid/simple"}
    assert main(["route", "rm", "acme-*"]) == 0
    assert main(["route", "list"]) == 0
    assert capsys.readouterr().out == "tool  https://other.invalid/simple\n"


def test_nonsense_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["route", "set", "x", "nowhere"]) == 2
    assert "no source" in capsys.readouterr().err
