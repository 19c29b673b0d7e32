from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dpip.cli.main import main


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)


def test_nothing_to_find(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "nothing bypasses the node" in capsys.readouterr().out


def test_what_bypasses_is_found_everywhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nextra-index-url = http://user:secret@other.invalid/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    (tmp_path / "requirements.txt").write_text("-r more.txt\nflask\n")
    (tmp_path / "more.txt").write_text("--index-url http://other.invalid/simple\n")
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    where = {finding["where"] for finding in report["findings"] if finding["bypasses"]}
    assert where == {"PIP_FIND_LINKS", "more.txt:1"}
    assert "pip config global.extra-index-url" in {f["where"] for f in report["findings"]}
    assert "secret" not in json.dumps(report)
    assert report["node"] is None


def test_a_file_that_is_not_there_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-r", "gone.txt"]) == 2
    assert "gone.txt" in capsys.readouterr().err
