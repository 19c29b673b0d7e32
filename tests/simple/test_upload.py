from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simple.test_distribution import METADATA, write_wheel

from dpip.simple.upload import FileExists, Grant, Upload, UploadServer, secret_of, secrets_match
from dpip.simple.upload_form import (
    MAX_FIELD_BYTES,
    Form,
    UploadInvalid,
    UploadTooLarge,
    read_form,
)

BOUNDARY = "b0und4ry"
CONTENT_TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'
WHEEL = "small_thing-1.0-py3-none-any.whl"


def encode(fields: list[tuple[str, str]], filename: str = WHEEL, content: bytes = b"data") -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    disposition = f'form-data; name="content"; filename="{filename}"'
    parts.append(f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode())
    return b"".join(parts) + content + f"\r\n--{BOUNDARY}--\r\n".encode()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def parse(body: bytes, into: Path, *, size: int = 50, limit: int = 2**20) -> Form:
    return asyncio.run(read_form(pieces(body, size), CONTENT_TYPE, into, max_file_size=limit))


@settings(max_examples=40, deadline=None)
@given(
    content=st.binary(max_size=300), size=st.integers(1, 400), text=st.text("ab \n√", max_size=9)
)
def test_a_form_reads_the_same_however_it_arrives(content: bytes, size: int, text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "f"
        form = parse(encode([("x", text), ("x", "2")], content=content), into, size=size)
        assert form.fields == {"x": [text, "2"]}
        assert into.read_bytes() == content
        assert (form.size, form.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("cut", [3, 4, 30, 60])
def test_a_truncated_form_is_refused(cut: int, tmp_path: Path) -> None:
    with pytest.raises(UploadInvalid):
        parse(encode([("a", "b")])[:-cut], tmp_path / "f")


def test_limits_hold(tmp_path: Path) -> None:
    with pytest.raises(UploadTooLarge):
        parse(encode([], content=b"x" * 101), tmp_path / "f", limit=100)
    with pytest.raises(UploadTooLarge):
        parse(encode([("a", "b" * (MAX_FIELD_BYTES + 1))]), tmp_path / "f", size=2**16)


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ("Basic " + base64.b64encode(b"__token__:s3").decode(), "s3"),
        ("Bearer s3", "s3"),
        ("Basic " + base64.b64encode(b"me:s3").decode(), None),
        ("Basic ???", None),
        ("Basic", None),
        ("", None),
    ],
)
def test_the_token_is_read_from_the_header(header: str, secret: str | None) -> None:
    assert secret_of(header) == secret


class OneToken:
    def grant(self, secret: str) -> Grant | None:
        return Grant("me", frozenset({"small-thing"})) if secrets_match(secret, "s3") else None


class Kept:
    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    async def accept(self, upload: Upload) -> None:
        held = self.files.setdefault(upload.distribution.filename, upload.sha256)
        if held != upload.sha256:
            raise FileExists(f"{upload.distribution.filename} already exists")


def post(app: UploadServer, body: bytes, secret: str = "s3", method: str = "POST") -> int:
    sent: list[MutableMapping[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "headers": [
            (b"authorization", f"Bearer {secret}".encode()),
            (b"content-type", CONTENT_TYPE.encode()),
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


@pytest.fixture
def wheel(tmp_path: Path) -> bytes:
    return write_wheel(tmp_path / "made").read_bytes()


def test_an_upload_is_checked_and_kept_once(tmp_path: Path, wheel: bytes) -> None:
    kept = Kept()
    app = UploadServer(OneToken(), kept, tmp_path, max_file_size=2**20)
    digest = hashlib.sha256(wheel).hexdigest()
    body = encode([(":action", "file_upload"), ("sha256_digest", digest)], content=wheel)
    assert post(app, body) == 200
    assert kept.files == {WHEEL: digest}
    assert post(app, body) == 200, "repeating an upload is no error"
    other = write_wheel(tmp_path / "other", METADATA + b"more").read_bytes()
    assert post(app, encode([], content=other)) == 400
    assert [path.name for path in tmp_path.glob("upload-*")] == []


@pytest.mark.parametrize(
    ("fields", "filename", "status"),
    [
        ([("sha256_digest", "0" * 64)], WHEEL, 400),
        ([("name", "other")], WHEEL, 400),
        ([(":action", "submit")], WHEEL, 400),
        ([("attestations", "{}")], WHEEL, 400),
        ([("attestations", "[")], WHEEL, 400),
        ([], "../" + WHEEL, 400),
        ([], "small_thing-2.0-py3-none-any.whl", 400),
    ],
)
def test_what_does_not_agree_is_refused(
    fields: list[tuple[str, str]], filename: str, status: int, tmp_path: Path, wheel: bytes
) -> None:
    kept = Kept()
    app = UploadServer(OneToken(), kept, tmp_path, max_file_size=2**20)
    assert post(app, encode(fields, filename, wheel)) == status
    assert kept.files == {}


def test_only_a_token_uploads_and_only_its_projects(tmp_path: Path, wheel: bytes) -> None:
    app = UploadServer(OneToken(), Kept(), tmp_path, max_file_size=2**20)
    assert post(app, encode([], content=wheel), secret="guess") == 403
    stranger = write_wheel(
        tmp_path / "x", METADATA.replace(b"Small.Thing", b"big"), "big-1.0.dist-info"
    )
    body = encode([], "big-1.0-py3-none-any.whl", stranger.read_bytes())
    assert post(app, body) == 403
    assert post(app, b"", method="GET") == 405
