"""Reading an upload: a multipart form whose file goes to disk while its hash is taken.

The legacy upload API has no standard; this follows what twine, `uv publish` and flit send:
text fields, some of them repeated, and one file field named `content`. Nothing but the file
is large, so fields are bounded in number and size, and the file by `max_file_size`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import ParseError
from python_multipart.multipart import MultipartParser

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MAX_FIELDS = 2_000
MAX_FIELD_BYTES = 4 * 2**20
FILE_FIELD = "content"


class UploadInvalid(DpipError):
    """The upload is not a well-formed form, or its parts do not agree."""

    slug = "upload-invalid"
    side = "theirs"


class UploadTooLarge(DpipError):
    """The uploaded file, or one of its fields, is larger than this node accepts."""

    slug = "upload-too-large"
    side = "theirs"


@dataclass(slots=True)
class Form:
    """A form that was read: text fields in order, and the file's name, size and SHA-256."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    filename: str = ""
    size: int = 0
    sha256: str = ""

    def first(self, name: str) -> str:
        """Return the first value of a field, or the empty string."""
        return self.fields.get(name, [""])[0]


def boundary_of(content_type: str) -> bytes:
    """Return the boundary of a multipart/form-data content type, or raise UploadInvalid."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/form-data" or not boundary:
        raise UploadInvalid("an upload is a multipart/form-data request", hint="use twine")
    return boundary.encode("latin-1", "replace")


async def read_form(
    body: AsyncIterator[bytes], content_type: str, into: Path, *, max_file_size: int
) -> Form:
    """Read `body`, writing the file field to the path `into`; return the rest.

    Raises UploadInvalid for a malformed or truncated form and UploadTooLarge beyond a limit.
    """
    with into.open("wb") as out:
        reader = _Reader(out, max_file_size)
        parser = MultipartParser(boundary_of(content_type), reader.callbacks())  # type: ignore[arg-type]
        try:
            async for chunk in body:
                parser.write(chunk)
            parser.finalize()
        except ParseError as error:
            raise UploadInvalid(f"malformed form: {error}") from None
    return reader.result()


class _Reader:
    """Collects the parser's callbacks: one part at a time, header by header."""

    def __init__(self, out: BinaryIO, max_file_size: int) -> None:
        self._out = out
        self._limit = max_file_size
        self._hash = hashlib.sha256()
        self._form = Form()
        self._header = bytearray()
        self._headers = Message()
        self._value = bytearray()
        self._count = 0
        self._name = ""
        self._text = bytearray()
        self._complete = False

    def callbacks(self) -> dict[str, object]:
        """Return the parser's table of callbacks."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def result(self) -> Form:
        """Return the form, or raise UploadInvalid if it ended early or holds no file."""
        if not self._complete:
            raise UploadInvalid("the upload ended early", hint="try again")
        if not self._form.filename:
            raise UploadInvalid(f"the form has no file field named {FILE_FIELD!r}")
        self._form.sha256 = self._hash.hexdigest()
        return self._form

    def _begin(self) -> None:
        self._count += 1
        if self._count > MAX_FIELDS:
            raise UploadTooLarge(f"more than {MAX_FIELDS} fields")
        self._headers, self._name = Message(), ""
        self._text.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.decode("latin-1")] = self._value.decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _on_headers(self) -> None:
        name = self._headers.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise UploadInvalid("a part of the form has no name")
        self._name = name
        if name == FILE_FIELD:
            if self._form.filename:
                raise UploadInvalid("one upload holds one file")
            self._form.filename = self._headers.get_filename("")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        part = memoryview(data)[start:end]
        if self._name == FILE_FIELD:
            self._write(part)
            return
        self._text += part
        if len(self._text) > MAX_FIELD_BYTES:
            raise UploadTooLarge(f"field {self._name!r} is larger than {MAX_FIELD_BYTES} bytes")

    def _write(self, part: memoryview) -> None:
        self._form.size += len(part)
        if self._form.size > self._limit:
            raise UploadTooLarge(f"the file is larger than {self._limit} bytes")
        self._hash.update(part)
        self._out.write(part)

    def _end(self) -> None:
        if self._name != FILE_FIELD:
            text = self._text.decode("utf-8", "replace")
            self._form.fields.setdefault(self._name, []).append(text)

    def _finish(self) -> None:
        self._complete = True
