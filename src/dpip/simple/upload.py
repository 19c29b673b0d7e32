"""The legacy upload API (`twine upload`, `uv publish`): who may, what is accepted, where to.

`check` decides, from the form and the file on disk, whether an upload is what it says it is;
the ASGI app around it authenticates, streams the file to a temporary place and hands the
result to `Uploads`. A file that exists with the same content is accepted again, so that an
interrupted release can simply be repeated; different content under the same name never is.
"""

from __future__ import annotations

import base64
import hmac
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dpip.errors import DpipError
from dpip.simple.asgi import send_whole
from dpip.simple.distribution import Distribution, DistributionInvalid, read_distribution
from dpip.simple.names import normalize
from dpip.simple.upload_form import Form, UploadInvalid, UploadTooLarge, read_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from dpip.simple.asgi import Receive, Scope, Send

USER_OF_TOKENS = "__token__"


class UploadForbidden(DpipError):
    """The token is missing, unknown, or does not cover this project."""

    slug = "upload-forbidden"
    default_hint = "upload as user __token__ with a token made by `dpip node token add`"


class FileExists(DpipError):
    """A different file of that name was released before; released files never change."""

    slug = "file-already-exists"
    default_hint = "release a new version"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: the projects it may release (normalized), or all of them."""

    owner: str
    projects: frozenset[str] | None = None

    def covers(self, project: str) -> bool:
        """Say whether the grant covers a project."""
        return self.projects is None or normalize(project) in self.projects


@dataclass(frozen=True, slots=True)
class Upload:
    """A checked upload; `path` is a temporary file that the receiver may move away."""

    distribution: Distribution
    path: Path
    size: int
    sha256: str
    owner: str
    attestations: str | None = None


class Tokens(Protocol):
    """Who may upload."""

    def grant(self, secret: str) -> Grant | None:
        """Return what a secret allows, or None. Compares in constant time."""
        ...


class Uploads(Protocol):
    """Where accepted uploads go."""

    async def accept(self, upload: Upload) -> None:
        """Store the file and list it, durably, before returning.

        Accepting the same content again is no error. Raises FileExists for other content
        under the same name, UploadForbidden for a name that belongs to another source.
        """
        ...


def secrets_match(given: str, expected: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def secret_of(authorization: str) -> str | None:
    """Return the token in an Authorization header: Basic `__token__:SECRET`, or Bearer."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        user, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return None
    return secret if user == USER_OF_TOKENS and secret else None


def check(form: Form, path: Path, grant: Grant) -> Upload:
    """Return the upload if form, file name and the file's own metadata agree.

    Raises UploadInvalid naming what disagrees, UploadForbidden where the grant is too small.
    """
    if form.first(":action") not in {"", "file_upload"}:
        raise UploadInvalid(f"unknown action {form.first(':action')!r}")
    claimed = form.first("sha256_digest").lower()
    if claimed and claimed != form.sha256:
        raise UploadInvalid("the file does not match the sha256_digest that was sent with it")
    distribution = read_distribution(path, form.filename)
    if normalize(form.first("name") or distribution.name) != distribution.name:
        raise UploadInvalid(f"the file is of {distribution.name!r}, not {form.first('name')!r}")
    if not grant.covers(distribution.name):
        raise UploadForbidden(f"this token may not release {distribution.name!r}")
    attestations = _attestations(form.first("attestations"))
    return Upload(distribution, path, form.size, form.sha256, grant.owner, attestations)


def _attestations(text: str) -> str | None:
    """Return PEP 740 attestations as sent, if any; they must at least be a JSON list."""
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise UploadInvalid("attestations must be a JSON list (PEP 740)")
    return text


STATUS: Mapping[type[DpipError], int] = {
    UploadForbidden: 403,
    FileExists: 400,
    UploadInvalid: 400,
    DistributionInvalid: 400,
    UploadTooLarge: 413,
}


class UploadServer:
    """ASGI app for POST `/legacy/`.

    `scratch` is a directory on the same file system as the store, so that an accepted file
    is moved and not copied.
    """

    def __init__(
        self, tokens: Tokens, uploads: Uploads, scratch: Path, *, max_file_size: int
    ) -> None:
        self._tokens = tokens
        self._uploads = uploads
        self._scratch = scratch
        self._max_file_size = max_file_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            await _answer(send, 405, "method-not-allowed", "upload with POST")
            return
        headers = {key.decode("latin-1"): value for key, value in scope["headers"]}
        try:
            await self._receive(headers, _body(receive))
        except DpipError as error:
            await _answer(send, STATUS.get(type(error), 500), error.slug, error.message)
            return
        await _answer(send, 200, "accepted", "accepted")

    async def _receive(self, headers: dict[str, bytes], body: AsyncIterator[bytes]) -> None:
        secret = secret_of(headers.get("authorization", b"").decode("latin-1"))
        grant = self._tokens.grant(secret) if secret else None
        if grant is None:
            raise UploadForbidden("uploading needs a token")
        content_type = headers.get("content-type", b"").decode("latin-1")
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="upload-") as folder:
            path = Path(folder) / "content"
            form = await read_form(body, content_type, path, max_file_size=self._max_file_size)
            await self._uploads.accept(check(form, path, grant))


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def _answer(send: Send, status: int, slug: str, message: str) -> None:
    """Answer in plain text: twine shows the body, and looks for "already exists" in it."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 403:
        headers.append((b"www-authenticate", b'Basic realm="dpip"'))
    await send_whole(send, status, headers, f"{message} ({slug})\n".encode())
