from __future__ import annotations

import subprocess
import sys

import pytest

from dpip import __version__
from dpip.cli import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"dpip {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in main.COMMANDS)


def test_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys; from dpip.cli import main; main.main(['--version']); "
        "bad = {'rich','asyncio','aiohttp','http.client','urllib3','msgspec','sqlite3',"
        "'argparse','packaging','tomllib','platformdirs'} & set(sys.modules); "
        "sys.exit(repr(sorted(bad)) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
