from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpip.errors import HomeNotWritable
from dpip.mirror.private import NoSuchFile, NoSuchToken, Private
from dpip.simple.distribution import Distribution
from dpip.simple.upload import FileExists, Upload

NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Private]:
    opened = Private(tmp_path / "private.sqlite3")
    yield opened
    opened.close()


def upload(filename: str = "tool-1-py3-none-any.whl", content: bytes = b"1") -> Upload:
    made = Distribution(filename, "tool", "1", True, b"Name: tool\n", ">=3.9")
    return Upload(made, Path("x"), len(content), hashlib.sha256(content).hexdigest(), "me", "[]")


def test_a_token_grants_what_it_was_made_for(private: Private) -> None:
    everything, secret = private.add_token("ci", None, NOW)
    limited, other = private.add_token("tool", ["Tool_One"], NOW)
    whole, part = private.grant(secret), private.grant(other)
    assert whole is not None
    assert part is not None
    assert whole.covers("anything")
    assert (part.covers("tool-one"), part.covers("flask")) == (True, False)
    assert private.grant("dpip-guess") is None
    assert {token.id for token in private.tokens()} == {everything.id, limited.id}
    private.drop_token(everything.id)
    assert private.grant(secret) is None
    with pytest.raises(NoSuchToken):
        private.drop_token(everything.id)


def test_secrets_are_not_on_the_disk(private: Private, tmp_path: Path) -> None:
    _, secret = private.add_token("ci", None, NOW)
    private.close()
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()
    private.__init__(tmp_path / "private.sqlite3")  # type: ignore[misc]


def test_an_upload_is_listed_and_stays(private: Private, tmp_path: Path) -> None:
    assert private.project("tool") is None
    assert private.add(upload(), NOW)
    assert not private.add(upload(), NOW), "the same again is no error, and nothing new"
    again = Private(tmp_path / "private.sqlite3")
    page = again.project("tool")
    again.close()
    assert page is not None
    (file,) = page.files
    assert (file.filename, file.requires_python, file.upload_time) == (
        "tool-1-py3-none-any.whl", ">=3.9", NOW,
    )  # fmt: skip
    assert file.core_metadata == {"sha256": hashlib.sha256(b"Name: tool\n").hexdigest()}
    assert page.versions == ("1",)
    assert private.metadata(file.sha256 or "") == b"Name: tool\n"
    assert private.attestations(file.filename) == "[]"
    assert private.names() == ["tool"]


def test_released_names_never_change_their_content(private: Private) -> None:
    private.add(upload(), NOW)
    with pytest.raises(FileExists):
        private.add(upload(content=b"2"), NOW)
    assert private.delete("tool-1-py3-none-any.whl") == "tool"
    with pytest.raises(FileExists):
        private.add(upload(content=b"2"), NOW)
    assert private.owns("tool"), "a name stays private after its last file is gone"
    page = private.project("tool")
    assert page is not None
    assert page.files == ()
    assert private.add(upload(), NOW), "the same content may come back"


def test_yanking_and_taking_it_back(private: Private) -> None:
    private.add(upload(), NOW)
    for reason in ("broken", None):
        assert private.yank("tool-1-py3-none-any.whl", reason) == "tool"
        page = private.project("tool")
        assert page is not None
        assert page.files[0].yanked == reason
    for change in (private.delete, lambda name: private.yank(name, "x")):
        with pytest.raises(NoSuchFile):
            change("never-1.tar.gz")


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(HomeNotWritable):
        Private(tmp_path / "absent" / "private.sqlite3")
