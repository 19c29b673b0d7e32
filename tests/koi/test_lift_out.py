"""The package stands alone: copied elsewhere under another name, it works there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import dpip.koi

ROOM = Path(dpip.koi.__file__).parent
OWN = ["test_rid.py", "test_canonical.py", "test_pipeline.py", "test_policy.py", "test_ring.py",
       "test_wire.py", "test_cache.py", "test_graph.py"]  # fmt: skip


def test_a_copy_of_another_name_passes_its_tests(tmp_path: Path) -> None:
    shutil.copytree(ROOM, tmp_path / "lifted", ignore=shutil.ignore_patterns("__pycache__"))
    for name in OWN:
        text = (Path(__file__).parent / name).read_text("utf-8")
        assert "tests." not in text.replace("tests.koi", "tests."), f"{name} needs other tests"
        (tmp_path / name).write_text(text.replace("dpip.koi", "lifted"), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
               "--rootdir", str(tmp_path), *OWN]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_no_module_names_the_rest_of_dpip() -> None:
    for path in ROOM.rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            words = line.strip()
            if words.startswith(("import ", "from ")):
                assert not words.startswith(("import dpip", "from dpip")), f"{path}: {line}"
