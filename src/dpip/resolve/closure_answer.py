"""What a node answers to a question for a closure (JSON); the question is in `closure.py`.

The answer holds lean facts, not a verdict: for every project that a solver with this question
looks at, all version numbers, the files of the versions that it looks at, and their dependency
records. The client solves by itself on these facts. `state` names the state of the index that
the answer was made from; a client that sends it along gets `{"same": true}` while it lasts.
"""

from __future__ import annotations

import msgspec

from dpip.resolve.file_rows import FileRow  # noqa: TC001 - msgspec reads the annotations
from dpip.resolve.records import Record  # noqa: TC001


class WireProject(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A project: all versions newest first; files only of versions that were looked at.

    A file with an empty URL is at `files/<sha256>/<filename>` of the node. One without a hash
    as well belongs to a version that the search gave up: it says why, and is no file to fetch.
    """

    name: str
    versions: list[str]
    files: dict[int, list[FileRow]]


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of the answer. `metadata` is by file name; `unread` are files without any."""

    state: str
    max_age: float = 0.0
    same: bool = False
    projects: list[WireProject] = []
    missing: list[str] = []
    metadata: dict[str, Record] = {}
    unread: dict[str, str] = {}


decode = msgspec.json.Decoder(Answer).decode
encode = msgspec.json.encode
