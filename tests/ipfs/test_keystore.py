"""Keys by name: made once, whoever asks at the same time, and never written over."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dpip.ipfs.errors import InvalidArgument, NotFound
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.keystore import SELF, Keystore


def test_all_who_ask_first_have_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(Keystore(tmp_path).get, SELF) for _ in range(8)]
        names = {key.result().name for key in found}
    assert names == {Keystore(tmp_path).get(SELF).name}
    assert [path.name for path in tmp_path.iterdir()] == ["self.pem"]
    assert os.name != "posix" or (tmp_path / "self.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("links", [True, False])
def test_a_key_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(f"{path}: no links to {target} here")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    keys = Keystore(tmp_path)
    first = keys.generate("one")
    with pytest.raises(InvalidArgument):
        keys.put("one", PrivateKey.generate())
    assert keys.get("one").name == first.name
    keys.rename("one", "two")
    with pytest.raises(NotFound):
        keys.get("one")
    assert keys.find(first.name.encode("k")).name == first.name
