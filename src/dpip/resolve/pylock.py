"""pylock.toml (PEP 751), written without a TOML library: the form is small and fixed.

An answer for one environment lists the one file that was chosen for it; a universal answer
lists every file that may be installed, and says where each package is needed by a marker.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dpip.resolve.facts import CandidateFile
    from dpip.resolve.resolution import Pin, Solution

CREATED_BY = "dpip"


def render(solution: Solution, *, requires_python: str = "", all_files: bool = False) -> str:
    """Return the text of pylock.toml."""
    lines = ['lock-version = "1.0"']
    if solution.environments:
        lines.append(f"environments = {_value(list(solution.environments))}")
    if requires_python:
        lines.append(f"requires-python = {_value(requires_python)}")
    lines.append(f"created-by = {_value(CREATED_BY)}")
    for pin in solution.pins:
        lines += ["", "[[packages]]", *_package(pin, all_files=all_files)]
    return "\n".join(lines) + "\n"


def _package(pin: Pin, *, all_files: bool) -> Iterator[str]:
    yield f"name = {_value(pin.name)}"
    if not pin.url or pin.file.sha256:
        yield f"version = {_value(pin.version)}"
    if pin.marker:
        yield f"marker = {_value(pin.marker)}"
    if pin.record.requires_python:
        yield f"requires-python = {_value(pin.record.requires_python)}"
    if pin.url:
        yield from _direct(pin)
        return
    if pin.file.index:
        yield f"index = {_value(pin.file.index)}"
    files = pin.files if all_files else (pin.file,)
    sdist = next((file for file in files if file.kind == "sdist"), None)
    if sdist is not None:
        yield f"sdist = {_inline(_file(sdist))}"
    wheels = [file for file in files if file.kind == "wheel"]
    if wheels:
        yield "wheels = ["
        yield from (f"    {_inline(_file(file))}," for file in wheels)
        yield "]"


def _direct(pin: Pin) -> Iterator[str]:
    url = pin.file.url
    if url.startswith("git+"):
        bare, _, revision = url.partition("#")[0].rpartition("@")
        vcs: dict[str, object] = {"type": "git", "url": bare.removeprefix("git+")}
        vcs["commit-id"] = revision
        yield f"vcs = {_inline(vcs | _subdirectory(url))}"
    elif pin.file.sha256 is None:
        from urllib.request import url2pathname

        path = url2pathname(urlsplit(url).path)
        more = {"editable": True} if pin.editable else {}
        yield f"directory = {_inline({'path': path, **more, **_subdirectory(pin.url)})}"
    else:
        archive: dict[str, object] = {"url": url}
        archive |= _size(pin.file)
        archive["hashes"] = {"sha256": pin.file.sha256}
        yield f"archive = {_inline(archive | _subdirectory(pin.url))}"


def _subdirectory(url: str) -> dict[str, object]:
    found = dict(parse_qsl(urlsplit(url).fragment)).get("subdirectory")
    return {"subdirectory": found} if found else {}


def _file(file: CandidateFile) -> dict[str, object]:
    fields: dict[str, object] = {"name": file.filename}
    if file.upload_time is not None:
        fields["upload-time"] = datetime.fromtimestamp(file.upload_time, UTC)
    fields["url"] = file.url
    fields |= _size(file)
    # The key is required; an empty table says honestly that the index gave no hash.
    fields["hashes"] = {"sha256": file.sha256} if file.sha256 else {}
    return fields


def _size(file: CandidateFile) -> dict[str, object]:
    return {} if file.size is None else {"size": file.size}


def _inline(fields: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in fields.items()) + " }"


def _value(value: object) -> str:
    """Return a TOML value; JSON strings are TOML basic strings, escapes included."""
    if isinstance(value, dict):
        return _inline(value) if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
