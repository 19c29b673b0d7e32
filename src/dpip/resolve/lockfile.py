"""Answers as text: requirements for pip, and JSON. `pylock.py` writes pylock.toml.

Everything is sorted and nothing says when or where it was made, so the same answer is the
same bytes. A pin has one URL and its hash; `all_hashes` lists the other files too that may be
installed in its place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.resolve.facts import CandidateFile
    from dpip.resolve.resolution import Pin, Solution


def requirements(solution: Solution, *, all_hashes: bool = False) -> str:
    """Return `name==version` lines with hashes, and each URL as a comment below."""
    return "".join(_entry(pin, all_hashes=all_hashes) for pin in solution.pins)


def _entry(pin: Pin, *, all_hashes: bool) -> str:
    marker = f" ; {pin.marker}" if pin.marker else ""
    if pin.editable:
        return f"-e {pin.file.url}{marker}\n"
    hashes = [f"--hash=sha256:{digest}" for digest in hashes_of(pin, all_hashes=all_hashes)]
    if pin.url:
        return " \\\n    ".join([f"{pin.name} @ {pin.file.url}{marker}", *hashes]) + "\n"
    lines = " \\\n    ".join([f"{pin.name}=={pin.version}{marker}", *hashes])
    return f"{lines}\n    # {pin.file.url}\n"


def hashes_of(pin: Pin, *, all_hashes: bool) -> list[str]:
    """Return SHA-256 digests: of the chosen file first, then of the others, sorted."""
    others = {file.sha256 for file in pin.files if file.sha256} if all_hashes else set()
    own = [pin.file.sha256] if pin.file.sha256 else []
    return own + sorted(others - set(own))


def as_json(solution: Solution, *, all_hashes: bool = False) -> str:
    """Return the answer as a JSON object; `version` is the form's."""
    packages = [_package(pin, all_files=all_hashes) for pin in solution.pins]
    body: dict[str, Any] = {"version": 1, "packages": packages}
    if solution.environments:
        body["environments"] = list(solution.environments)
    return json.dumps(body, indent=2) + "\n"


def _package(pin: Pin, *, all_files: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": pin.name, "version": pin.version, **_file(pin.file)}
    optional = {
        "marker": pin.marker,
        "extras": list(pin.extras),
        "requires_python": pin.record.requires_python,
        "direct": bool(pin.url),
        "editable": pin.editable,
        "index": pin.file.index,
    }
    entry |= {key: value for key, value in optional.items() if value}
    entry["requires"] = list(pin.requires)
    entry["wanted_by"] = list(pin.wanted_by)
    if all_files:
        entry["files"] = [_file(file) for file in pin.files]
    return entry


def _file(file: CandidateFile) -> dict[str, Any]:
    found = {
        "filename": file.filename,
        "url": file.url,
        "sha256": file.sha256,
        "size": file.size,
        "metadata_sha256": file.metadata_sha256,
    }
    return {key: value for key, value in found.items() if value not in {None, ""}}


def files(pins: Iterable[Pin]) -> list[CandidateFile]:
    """Return the chosen file of each pin, without duplicates."""
    return list({pin.file.url: pin.file for pin in pins}.values())
