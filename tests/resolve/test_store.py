from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dpip.resolve.store import Answer, Store, StoredPage

PAGE = StoredPage('"tag"', None, 50.0, b"digest", b"record")


def test_everything_comes_back_in_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite"
    store = Store(path)
    store.put_page("url", PAGE)
    store.put_metadata("key", b"record")
    store.put_host("host:80", "range", 2, until=10.0)
    store.put_answer("question", Answer(9.0, b"reads", "body", "talk"))
    store.refresh_page("url", 99.0)
    store.close()
    again = Store(path)
    assert again.page("url") == PAGE._replace(fresh_until=99.0)
    assert again.metadata("key") == b"record"
    assert again.host("host:80", "range", now=9.0) == 2
    assert again.host("host:80", "range", now=10.0) is None, "what is known of a host ages"
    assert again.answer("question") == Answer(9.0, b"reads", "body", "talk")
    assert again.page("other") is None
    again.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "overwritten"])
def test_a_damaged_store_is_set_aside_with_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "facts.sqlite"
    store = Store(path)
    for number in range(500):
        store.put_metadata(str(number), b"x" * 500)
    store.close()
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data = bytearray(b"this is no database" * 100)
    elif damage == "truncated":
        del data[len(data) // 2 :]
    else:
        data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    said: list[str] = []
    store = Store(path, say=said.append)
    for number in range(500):
        assert store.metadata(str(number)) in {None, b"x" * 500}
    store.put_metadata("new", b"fact")
    store.flush()
    assert store.metadata("new") == b"fact"
    store.close()
    assert len(said) == 1
    assert said[0].count("\n") == 1
    assert list(tmp_path.glob("*.damaged-*"))


def test_a_directory_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    store = Store(tmp_path / "file" / "facts.sqlite", say=said.append)
    store.put_metadata("key", b"record")
    store.flush()
    assert store.metadata("key") == b"record"
    store.close()
    assert len(said) == 1


WRITER = """
import sys
from pathlib import Path
from dpip.resolve.store import Store
store = Store(Path(sys.argv[1]))
for number in range(300):
    store.put_metadata(f"{sys.argv[2]} {number}", sys.argv[2].encode())
    if number % 10 == 0:
        store.flush()
store.close()
"""


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, path, name], stderr=subprocess.PIPE, text=True
        )
        for name in "abcd"
    ]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    store = Store(path)
    assert all(store.metadata(f"{n} {i}") == n.encode() for n in "abcd" for i in range(300))
    store.close()


def test_a_run_that_is_killed_leaves_a_usable_store(tmp_path: Path) -> None:
    path = tmp_path / "facts.sqlite"
    code = WRITER.replace("store.close()", "import os; os.kill(os.getpid(), 9)")
    done = subprocess.run([sys.executable, "-c", code, path, "a"], check=False, timeout=60)
    assert done.returncode != 0
    store = Store(path, say=pytest.fail)
    assert store.metadata("a 0") == b"a"
    store.close()


def test_threads_share_one_store_and_late_ones_do_no_harm(tmp_path: Path) -> None:
    store = Store(tmp_path / "facts.sqlite", say=pytest.fail)

    def write(name: str) -> None:
        for number in range(200):
            store.put_metadata(f"{name} {number}", b"fact")
            store.metadata(f"{name} {number - 1}")

    threads = [threading.Thread(target=write, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    store.put_metadata("late", b"fact")
    store.flush()
    assert store.metadata("late") is None
